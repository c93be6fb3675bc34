"""One input on its way to its output.

    look -> lock -> recover -> up to date? -> load -> first pass -> second pass -> commit -> tidy up

Everything before the commit leaves the output as it was and can be taken up by the next run;
nothing after it can make the run fail.
"""

import os
from collections import ChainMap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer import keys
from scorer.errors import OutputLocked, TweetscoreError, UsageError
from scorer.files.attributes import keep_attributes
from scorer.files.discover import failed_report_path, resolved, state_directory
from scorer.files.lock import Lock, locked
from scorer.files.place import check_output
from scorer.files.publish import (
    FileIdentity,
    Inodes,
    check_owner,
    inodes,
    replacing,
    report_on,
    write_json,
)
from scorer.files.source import OutputColumns, Source, blaming_changes, input_changed
from scorer.files.state import (
    State,
    finish,
    forget_failure,
    open_state,
    publish_rejects,
    recover,
    scratch,
    write_commit_record,
)
from scorer.files.storage import writing
from scorer.inference.baseline import baseline_of
from scorer.inference.handle import ModelHandle
from scorer.memory import WITH_SMALLER_WINDOWS, told
from scorer.monitor.drift import outside
from scorer.monitor.run_report import RunRecord
from scorer.one_input import check_names, describe, open_input, output_columns
from scorer.run_options import Outcome, RunOptions, called, window_rows
from scorer.versions import library_versions

if TYPE_CHECKING:
    from scorer.first_pass import Windows
    from scorer.inference.bundle import Bundle
    from scorer.inference.classifier import Classifier
    from scorer.inference.opening import Candidate


class FileRun:
    """One input, its output, and what became of them."""

    def __init__(
        self,
        path: Path,
        output: Path,
        options: RunOptions,
        *,
        several: bool = False,
        outdated: bool = False,
    ) -> None:
        self.error: TweetscoreError | None = None
        self.interrupt: KeyboardInterrupt | None = None  # one that came after the commit
        self._input = path
        self._output = output  # as it was named, for messages
        self._target = resolved(output)  # a link stays one: what it points to is replaced
        self._options = options
        self._several = several  # whether others have their turn too
        self._outdated = outdated  # whether an output that is there is known to be out of date
        self._record = RunRecord(options.as_json(), options.options_from)
        self._report: dict[str, Any] = {}
        self._up_to_date = False
        self._was_checked = False  # whether the call and the input were found in order
        self._described: dict[str, Any] = {}
        self._key: dict[str, Any] = {}
        self._inode: os.stat_result | None = None  # of the complete file, before it has its name
        self._source: Source
        self._columns: OutputColumns

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Keep an error of this file; let an error in the call, a bug or an interrupt pass.

        Of several files, one that does not fit the call does not keep the others from their turn.
        After the commit nothing is an error any more: the next run tidies up.
        """
        try:
            with called(self._options.names), writing(self._output):
                yield
        except BaseException as caught:
            error = told(caught, WITH_SMALLER_WINDOWS)
            if self._is_published():
                words = "interrupted" if isinstance(error, KeyboardInterrupt) else error
                self._record.warnings.append(
                    f"{self._output} is complete, but not all is tidy ({words}); "
                    "the next run sees to it"
                )
                self.interrupt = error if isinstance(error, KeyboardInterrupt) else None
                return
            self.fail(error)
            if not isinstance(error, TweetscoreError):
                raise
            if isinstance(error, UsageError) and not self._several:
                raise
            self.error = error

    def _is_published(self) -> bool:
        """Tell whether the rename has happened, even if a signal came right after it."""
        try:
            return self._inode is not None and os.path.samestat(self._inode, self._target.stat())
        except OSError:
            return False

    def fail(self, error: BaseException) -> None:
        """Report a failure beside the good output and its report, which stay as they are.

        A call or an input that is not in order touches nothing; nor does a run out of turn.
        """
        # The error itself matters more than that it cannot be reported, for whatever reason.
        with suppress(Exception):
            self._report = self._record.failed(error)
            if self._was_checked and not isinstance(error, (UsageError, OutputLocked)):
                write_json(failed_report_path(self._target), self._report, beside=self._target)

    def outcome(self) -> Outcome:
        """Return what became of the file."""
        return Outcome(
            self._input,
            self._output,
            self._report,
            tuple(self._record.warnings),
            self.error,
            self._up_to_date,
            self._outside(),
            was_checked=self._was_checked,
        )

    def _outside(self) -> dict[str, float]:
        bound = self._options.fail_on_drift
        return {} if bound is None or self.error else outside(self._report, bound)

    def look(self, inputs: Inodes) -> None:
        """Check all that can be checked without model and lock; no input may become an output."""
        options = self._options
        self._source = open_input(self._input, options)  # first: it may not be there
        if options.output not in (None, self._output):  # it is the directory of many
            self._target.parent.mkdir(parents=True, exist_ok=True)
        check_output(self._target, ChainMap(inodes([self._input]), inputs))
        check_names(self._source, options)
        self._was_checked = True

    def expect(self, bundle: "Bundle") -> None:
        """Name the output's columns, and check that the input's format can hold them."""
        self._columns = output_columns(self._options.output_spec, bundle.labels)
        self._source.check_output_schema(self._columns)
        needed = self._options.fail_on_drift is not None
        baseline = baseline_of(bundle, required=needed)
        self._record.expect_labels(bundle.labels, self._columns.label_values, baseline)
        self._record.note(
            model={"name": bundle.name, "version": bundle.version, "digest": bundle.digest}
        )

    def score(self, model: ModelHandle, inputs: Inodes, progress: Callable[[int], object]) -> None:
        """Bring the output up to date, under its lock."""
        with locked(self._target, wait=self._options.lock_wait) as lock:
            self._record.warnings.extend(recover(self._target))
            self._find_key(model.bundle)
            if self._is_up_to_date():
                return
            self.look(inputs)  # what was found before the lock may be different now
            check_owner(self._target, overwrite=self._options.overwrite)
            self.expect(model.bundle)
            with self._record.stage("load"):
                loaded = model.load()
            self._run(model, loaded, lock, progress)

    def _find_key(self, bundle: "Bundle") -> None:
        """Find the key of what the output will hold."""
        self._described = describe(self._source, self._options)
        self._key = keys.result_key(self._described, bundle, self._options)
        self._record.note(input=self._described)
        self._record.result_key = keys.digest(self._key)

    def _is_up_to_date(self) -> bool:
        """Take over the report of an output that holds what this run would write."""
        if self._outdated or not self._options.incremental:
            return False
        report = report_on(self._target) or {}
        self._up_to_date = keys.is_up_to_date(report, self._record.result_key, self._options)
        if self._up_to_date:
            self._report = report
            forget_failure(self._target)
        return self._up_to_date

    def _run(
        self, model: ModelHandle, loaded: "Candidate", lock: Lock, progress: Callable[[int], object]
    ) -> None:
        from scorer.first_pass import Windows  # needs polars, which `load` has loaded meanwhile

        rows = self._options.chunk_rows or window_rows(loaded.device)
        windows = Windows(self._source, loaded, self._record, rows)
        classifier = self._proven(model, windows)
        self._record.note(runtime=asdict(classifier.runtime), canary=asdict(classifier.canary))
        self._hear(classifier)
        self._both_passes(classifier, windows, lock, progress)

    def _proven(self, model: ModelHandle, windows: "Windows") -> "Classifier":
        """Prove the model; with the first window, if that is read soon and surely to be scored."""
        options, record = self._options, self._record
        may_be_known = options.id_column is not None or state_directory(self._target).exists()
        if may_be_known or options.resume == "require" or windows.are_large:
            with record.stage("load"):
                classifier = model.prove()
            record.begin()
            return classifier
        record.begin()
        with blaming_changes(self._input, self._has_changed):
            return windows.prove(model, options.max_rejects)

    def _both_passes(
        self,
        classifier: "Classifier",
        windows: "Windows",
        lock: Lock,
        progress: Callable[[int], object],
    ) -> None:
        from scorer.files.earlier import Earlier
        from scorer.first_pass import FirstPass
        from scorer.take_over import answers_of, find_earlier

        options, record = self._options, self._record
        earlier = find_earlier(self._target, options, self._key["bundle"], classifier)
        sha256 = earlier.sha256 if isinstance(earlier, Earlier) else None
        plan = keys.resume_key(
            self._key, classifier.runtime, library_versions(), windows.rows, sha256
        )
        with open_state(self._target, plan, options.resume) as state:
            if state.warning:
                record.warnings.append(state.warning)
            with blaming_changes(self._input, self._has_changed):
                with answers_of(earlier, self._source, state.join, record) as answers:
                    first_pass = FirstPass(windows, classifier, state, record, answers)
                    try:
                        too_many = first_pass.run(options.max_rejects, progress)
                    finally:
                        self._hear(classifier)
                if too_many:
                    from scorer.files.refusal import too_many_rejects

                    publish_rejects(self._target, record.rejected)  # what is to be mended
                    raise too_many_rejects(self._source, too_many, record.rejected, self._target)
                self._publish(state, lock)
            lock.check()  # the state of a run that came after a deleted lock is not ours to remove
            finish(self._target, self._report)

    def _hear(self, classifier: "Classifier") -> None:
        """Take over what the model has to say and has not said yet."""
        said = self._record.warnings
        found = (*classifier.warnings, *self._source.remarks)
        said.extend(warning for warning in found if warning not in said)

    def _has_changed(self) -> bool:
        return describe(self._source, self._options) != self._described

    def _publish(self, state: State, lock: Lock) -> None:
        """Write the output under a temporary name, record the commit, and let it take its place."""
        record, target, options = self._record, self._target, self._options
        temporary = scratch(target)
        with replacing(target, temporary):
            with record.stage("publish"):
                rows = self._source.write_scored(temporary, self._columns, state.checkpoints.read())
                if rows != record.counters.rows or self._has_changed():
                    raise input_changed(self._input)
                identity = FileIdentity.of(temporary)
            record.warnings.extend(keep_attributes(target, temporary))
            self._report = record.succeeded(
                {"path": str(target.absolute()), "rows": rows, **identity.as_json()}
            )
            # Hours may have passed: somebody else's file may have come there meanwhile.
            check_owner(target, overwrite=options.overwrite)
            lock.check()
            write_commit_record(target, self._report)
            self._inode = temporary.stat()
