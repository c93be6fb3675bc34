"""The steps that bring one input to its output.

    validate -> lock -> recover -> preflight -> up to date? -> load -> first pass -> second pass
             -> commit -> tidy up

Everything before the commit leaves the output as it was, and the next run can resume it;
nothing after it can make the run fail.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.errors import OutputLocked, TweetscoreError, UsageError
from scorer.formats.base import Source, blaming_changes, input_changed
from scorer.inference.bundle import baseline_of
from scorer.inference.loading import ModelHandle
from scorer.monitor.drift import outside
from scorer.monitor.report_types import CompleteReport, Outcome, RunReport
from scorer.monitor.run_report import RunRecord
from scorer.monitor.versions import library_versions
from scorer.options import CPU_WINDOW, RunOptions, called, window_rows
from scorer.os_errors import WITH_SMALLER_WINDOWS, as_out_of_memory, writing
from scorer.records import OnProgress
from scorer.run import cache_keys
from scorer.run.file_progress import FileProgress
from scorer.run.preflight import Preflight, describe, preflight, resolve_schema, validate
from scorer.store.commit import FileIdentity, Inodes, check_owner, replacing
from scorer.store.lock import Lock, locked
from scorer.store.own_files import keep_attributes
from scorer.store.paths import resolved, state_directory
from scorer.store.state import (
    State,
    finish,
    forget_failure,
    open_state,
    publish_rejects,
    recover,
    scratch,
    write_commit_record,
    write_failed_report,
)

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.classifier import Classifier
    from scorer.inference.loading import Candidate
    from scorer.run.score_pass import Windows


class FileRun:
    """One input, its output, and the outcome."""

    def __init__(
        self,
        path: Path,
        output: Path,
        options: RunOptions,
        *,
        several: bool = False,
        outdated: bool = False,
        table_version: int | None = None,
    ) -> None:
        self.error: TweetscoreError | None = None
        self.interrupt: KeyboardInterrupt | None = None  # one that came after the commit
        self._input = path
        self._output = output  # as it was named, for messages
        self._target = resolved(output)  # a link stays one: what it points to is replaced
        self._options = options
        self._several = several  # whether others have their turn too
        self._table_version = table_version  # of the Delta table that has the input
        self._outdated = outdated  # whether an output that is there is known to be out of date
        self._record = RunRecord(options.as_json(), options.options_from)
        self._report: RunReport | None = None
        self._up_to_date = False
        self._was_checked = False  # whether the call and the input were found in order
        self._inode: os.stat_result | None = None  # of the complete file, before it has its name

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Keep an error of this file; raise an error in the call, a bug or an interrupt.

        Of several files, one that does not fit the call does not keep the others from their turn.
        After the commit nothing is an error any more: the next run tidies up.
        """
        try:
            with called(self._options.names), writing(self._output):
                yield
        except BaseException as caught:
            error = as_out_of_memory(caught, WITH_SMALLER_WINDOWS)
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

        After an error of the call or the input, or without the lock, nothing is written.
        """
        # The error itself matters more than that it cannot be reported, for whatever reason.
        with suppress(Exception):
            self._report = self._record.failed(error)
            if self._was_checked and not isinstance(error, (UsageError, OutputLocked)):
                write_failed_report(self._target, self._report.as_json())

    def outcome(self) -> Outcome:
        """Return the outcome of the file."""
        return Outcome(
            self._input,
            self._output,
            self._report,
            tuple(self._record.warnings),
            self.error,
            self._up_to_date,
            outside(self._report.drift if self._report else None, self._options.fail_on_drift),
            was_checked=self._was_checked,
        )

    def validate(self, inputs: Inodes) -> Source:
        """Open the input and check all that can be checked without a model and a lock."""
        source = validate(self._input, self._output, self._options, inputs)
        self._was_checked = True
        return source

    def resolve(self, source: Source, bundle: "Bundle") -> None:
        """Check the input against the model, and note the model for the report.

        `score` does so itself; called for all inputs first, nothing is scored in vain.
        """
        schema = resolve_schema(source, self._options, bundle)
        baseline = baseline_of(bundle, required=self._options.fail_on_drift is not None)
        self._record.expect_labels(bundle.labels, schema.label_values, baseline, bundle.task)
        known_by = {"name": bundle.name, "version": bundle.version, "digest": bundle.digest}
        self._record.note(model=known_by | {"task": bundle.task})

    def _preflight(self, source: Source, bundle: "Bundle") -> Preflight:
        found = preflight(source, self._output, self._options, bundle)
        version = self._table_version
        table = {} if version is None else {"table_version": version}
        self._record.note(input={**found.described, **table})
        self._record.result_key = cache_keys.digest(found.key)
        return found

    def score(
        self, source: Source, model: ModelHandle, inputs: Inodes, on_progress: OnProgress
    ) -> None:
        """Bring the output of a valid input up to date, under its lock."""
        self.resolve(source, model.bundle)
        with locked(self._target, wait=self._options.lock_wait) as lock:
            self._record.warnings.extend((*lock.warnings, *recover(self._target)))
            found = self._preflight(source, model.bundle)
            if found.current and not self._outdated:
                self._report, self._up_to_date = found.current, True
                forget_failure(self._target)
                return
            # Again from the start: what was checked before the lock may be different now.
            found = self._preflight(self.validate(inputs), model.bundle)
            check_owner(self._target, overwrite=self._options.overwrite)
            progress = FileProgress(self._input, on_progress)
            progress.step("load")
            with self._record.stage("load"):
                loaded = model.load()
            self._run(found, model, loaded, lock, progress)

    def _run(
        self,
        found: Preflight,
        model: ModelHandle,
        loaded: "Candidate",
        lock: Lock,
        progress: FileProgress,
    ) -> None:
        from scorer.run.score_pass import Windows  # needs polars, which `load` has loaded meanwhile

        rows = self._options.chunk_rows or window_rows(loaded.device)
        windows = Windows(found.source, loaded, self._record, rows, progress)
        classifier = self._proven(found, model, windows)
        self._record.note(runtime=classifier.runtime, canary=classifier.canary)
        self._collect_warnings(found, classifier)
        self._both_passes(found, classifier, windows, lock)

    def _proven(self, found: Preflight, model: ModelHandle, windows: "Windows") -> "Classifier":
        """Prove the model; with the first window, if that is read soon and surely to be scored."""
        options, record = self._options, self._record
        may_be_known = options.id_column is not None or state_directory(self._target).exists()
        # Reading a large window first would delay an error of the model.
        if may_be_known or options.resume == "require" or windows.rows > CPU_WINDOW:
            windows.progress.step("check")
            with record.stage("load"):
                classifier = model.prove()
            record.begin()
            return classifier
        record.begin()
        with blaming_changes(self._input, partial(self._has_changed, found)):
            return windows.prove(model, options.max_rejects)

    def _both_passes(
        self,
        found: Preflight,
        classifier: "Classifier",
        windows: "Windows",
        lock: Lock,
    ) -> None:
        from scorer.readback.earlier import Earlier
        from scorer.run.score_pass import answers_of, find_earlier, score_windows

        options, record = self._options, self._record
        earlier = find_earlier(self._target, options, classifier)
        sha256 = earlier.sha256 if isinstance(earlier, Earlier) else None
        plan = cache_keys.resume_key(
            found.key, classifier.runtime, library_versions(), windows.rows, sha256
        )
        with open_state(self._target, plan, options.resume) as state:
            if state.warning:
                record.warnings.append(state.warning)
            with blaming_changes(self._input, partial(self._has_changed, found)):
                with answers_of(earlier, found.source, state.join, record) as answers:
                    try:
                        too_many = score_windows(
                            windows, classifier, state, answers, options.max_rejects
                        )
                    finally:
                        self._collect_warnings(found, classifier)
                if too_many:
                    from scorer.store.refusal import too_many_rejects

                    publish_rejects(self._target, record.rejected)  # what is to be mended
                    raise too_many_rejects(found.source, too_many, record.rejected, self._target)
                windows.progress.step("publish")
                report = self._publish(found, state, lock)
            lock.check()  # the state of a run that came after a deleted lock is not ours to remove
            finish(self._target, report.as_json())

    def _collect_warnings(self, found: Preflight, classifier: "Classifier") -> None:
        """Keep the warnings of the model and the input that are new."""
        kept = self._record.warnings
        all_of_them = (*classifier.warnings, *found.source.remarks)
        kept.extend(warning for warning in all_of_them if warning not in kept)

    def _has_changed(self, found: Preflight) -> bool:
        return describe(found.source, self._options) != found.described

    def _publish(self, found: Preflight, state: State, lock: Lock) -> CompleteReport:
        """Write the output under a temporary name, record the commit, and let it take its place."""
        record, target, options = self._record, self._target, self._options
        temporary = scratch(target)
        with replacing(target, temporary):
            with record.stage("publish"):
                written = found.source.write_scored(
                    temporary, found.output_schema, state.checkpoints.read()
                )
                if written.rows != record.counters.rows or self._has_changed(found):
                    raise input_changed(self._input)
                identity = FileIdentity.of(temporary, written.copied_bytes or 0, written.hashed)
            record.warnings.extend(keep_attributes(target, temporary))
            self._report = report = record.succeeded(
                {"path": str(target.absolute()), **written.as_json(), **identity.as_json()}
            )
            # Hours may have passed: another program may have put a file there meanwhile.
            check_owner(target, overwrite=options.overwrite)
            lock.check()
            write_commit_record(target, report.as_json())
            self._inode = temporary.stat()
        return report
