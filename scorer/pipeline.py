"""The outer hallway, files to files.

For each input: open and check -> first pass (read, prepare, score, keep the results) ->
second pass (publish the input's rows with their scores, then the run report). Reading and
preparing the next window overlap with scoring this one, so memory is two windows however long
the input. Nothing under the output's name changes before the one rename that publishes it.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from scorer.errors import DataError, TweetscoreError, UsageError
from scorer.files.discover import (
    failed_report_path,
    own_products,
    plan_outputs,
    rejects_path,
    report_path,
)
from scorer.files.formats import open_source
from scorer.files.parts import Parts, parts_of
from scorer.files.publish import FileIdentity, admit_output, json_text, replacing, write_json
from scorer.files.rejects import RejectLog, reject_log
from scorer.files.source import OutputColumns, Source, input_changed
from scorer.files.storage import reading, writing
from scorer.monitor.run_report import RunRecord, describe_input
from scorer.records import Reject, TextWindow
from scorer.run_options import Outcome, RunOptions, TextClassifier, renamed

T = TypeVar("T")

CPU_WINDOW = 16_384
CUDA_WINDOW = 262_144


def open_classifier(options: RunOptions) -> TextClassifier:
    """Open the model that the options name on the device that they name."""
    from scorer.inference.bundle import open_bundle
    from scorer.inference.classifier import Classifier

    bundle = open_bundle(options.model)
    return Classifier.open(
        bundle, device=options.device, precision=options.precision, threads=options.threads
    )


def skipped(options: RunOptions) -> list[Path]:
    """Return the inputs that a run passes over, because their names say that they are ours."""
    return own_products(options.inputs)


def run(
    options: RunOptions,
    *,
    classifier_for: Callable[[RunOptions], TextClassifier] = open_classifier,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Outcome]:
    """Score the inputs one after the other and yield what became of each.

    What fails for one file is in its outcome and does not keep the others from their turn;
    what concerns all of them is raised before any work. `progress` hears each window's rows.
    """
    plan = _plan(options)
    runs = [_FileRun(path, output, options) for path, output in plan]
    try:
        for each in runs:
            with each.attempt():
                each.open([path for path, _ in plan])
        ready = [each for each in runs if not each.error]
        if ready:
            classifier = _load(options, ready, classifier_for)
    except BaseException:
        # What ends the run must not hide what was wrong with single files.
        yield from (each.outcome() for each in runs if each.error)
        raise
    for each in runs:
        if not each.error:
            with each.attempt():
                each.score(classifier, progress)
        yield each.outcome()


def _plan(options: RunOptions) -> list[tuple[Path, Path]]:
    """Pair each input with its output, before anything is opened."""
    for path in options.inputs:
        if path.is_dir():
            raise UsageError(f"{path} is a directory", "name the files in it")
    several = len(options.inputs) > 1
    if several and options.output and options.output.exists() and not options.output.is_dir():
        raise UsageError(f"{options.output} is a file", "several inputs need a directory")
    return plan_outputs(options.inputs, options.output)


def _load(
    options: RunOptions,
    runs: list["_FileRun"],
    classifier_for: Callable[[RunOptions], TextClassifier],
) -> TextClassifier:
    """Load the model once for all files, each of which records it."""
    try:
        with runs[0].record.stage("load"):
            classifier = classifier_for(options)
        for each in runs:
            each.expect(classifier)
    except BaseException as error:
        for each in runs:
            each.fail(error)
        raise
    return classifier


class _FileRun:
    """One input on its way to its output."""

    def __init__(self, path: Path, output: Path, options: RunOptions) -> None:
        self.error: TweetscoreError | None = None
        self.record = RunRecord(options.as_json())
        self._published = False
        self._input = path
        self._output = output
        self._options = options
        self._report: dict[str, Any] = {}
        self._source: Source
        self._columns = OutputColumns(options.label_column, options.score_column, ())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Keep an error of this file; let an error in the call, a bug or an interrupt pass."""
        try:
            with writing(self._output):
                yield
        except UsageError:
            raise
        except TweetscoreError as error:
            self.fail(error)
            self.error = error
        except BaseException as error:
            self.fail(error)
            raise

    def fail(self, error: BaseException) -> None:
        """Report a failure beside the good output and its report, which stay as they are."""
        # The error itself matters more than that it cannot be reported, for whatever reason.
        with suppress(Exception):
            self._report = self.record.failed(error)
            if not isinstance(error, UsageError):
                write_json(failed_report_path(self._output), self._report)

    def outcome(self) -> Outcome:
        """Return what became of the file."""
        warnings = tuple(self.record.warnings)
        return Outcome(self._input, self._output, self._report, warnings, self.error)

    def open(self, inputs: Sequence[Path]) -> None:
        """Check all that can be checked without the model; no input may become an output."""
        options = self._options
        if len(options.inputs) > 1:
            self._output.parent.mkdir(parents=True, exist_ok=True)
        admit_output(self._output, inputs, overwrite=options.overwrite)
        self._source = open_source(
            self._input,
            text_column=options.text_column,
            encoding=options.encoding,
            delimiter=options.delimiter,
            limit=options.limit,
        )
        self._columns.check_against(self._source.columns)
        with reading(self._input):
            self.record.note(input=describe_input(self._input, format=self._source.format))

    def expect(self, classifier: TextClassifier) -> None:
        """Name the output's columns and record what is about to run."""
        self._columns = _columns(self._options, classifier.labels)
        self._source.check_plan(self._columns)
        bundle = classifier.bundle
        self.record.note(
            model={"name": bundle.name, "version": bundle.version, "digest": bundle.digest},
            runtime=asdict(classifier.runtime),
            canary=asdict(classifier.canary),
        )
        self.record.warnings.extend(classifier.warnings)
        self.record.expect_labels(classifier.labels, self._columns.label_values)

    def score(self, classifier: TextClassifier, progress: Callable[[int], object]) -> None:
        """Read, score, publish."""
        self.record.begin()
        with (
            parts_of(self._output) as parts,
            self._complete_but("not its list of rejects"),
            reject_log(self._output, self._source.encoding) as rejects,
        ):
            self._first_pass(classifier, parts, rejects, progress)
            self._publish(parts)
        with self._complete_but("the report of an earlier failure is still there"):
            failed_report_path(self._output).unlink(missing_ok=True)

    def _first_pass(
        self,
        classifier: TextClassifier,
        parts: Parts,
        rejects: RejectLog,
        progress: Callable[[int], object],
    ) -> None:
        record, most = self.record, self._options.max_rejects
        first: Reject | None = None
        with closing(one_ahead(self._prepared(classifier))) as windows:
            for window, prepared in windows:
                rejects.add(window.rejects)
                record.rejected = rejects.count
                first = first or next(iter(window.rejects), None)
                if first and record.rejected > most:
                    rejects.commit()  # though nothing is published, what is to be mended is
                    raise self._too_many_rejects(first)
                with record.stage("score"):
                    scores = classifier.score(prepared)
                with record.stage("keep"):
                    parts.write(window, scores)
                record.add(scores)
                progress(len(window.texts))

    def _prepared(self, classifier: TextClassifier) -> Iterator[tuple[TextWindow, Any]]:
        """Read and prepare windows; runs one window ahead, in a thread of its own."""
        windows = self._source.windows(self._options.chunk_rows or _window_rows(classifier))
        while True:
            with self.record.stage("read"):
                window = next(windows, None)
            if window is None:
                return
            with self.record.stage("prepare"):
                prepared = classifier.prepare(window.texts)
            yield window, prepared

    def _too_many_rejects(self, first: Reject) -> DataError:
        count, log = self.record.rejected, rejects_path(self._output)
        records = "1 record so far is" if count == 1 else f"{count:,} records so far are"
        return DataError(
            f"{records} no row of {self._input}, the first on line {first.line}: {first.reason}",
            f"reading stopped there: mend what {log} lists, or allow for it with --max-rejects",
        )

    def _publish(self, parts: Parts) -> None:
        """Write the output and its report under temporary names, then rename the two."""
        # The report lies ready before the output appears: without it the next run would not
        # know the output as ours.
        with (
            self._complete_but("not its report"),
            replacing(report_path(self._output)) as report_file,
        ):
            with replacing(self._output) as scored_file:
                output = self._write(scored_file, parts)
                self._report = self.record.succeeded(output)
                report_file.write_text(json_text(self._report), encoding="ascii")
            self._published = True

    @contextmanager
    def _complete_but(self, what: str) -> Iterator[None]:
        """Once the output has its name, let an error be a warning."""
        try:
            yield
        except (TweetscoreError, OSError) as error:
            if not self._published:
                raise
            self.record.warnings.append(f"{self._output} is complete, but {what}: {error}")

    def _write(self, destination: Path, parts: Parts) -> dict[str, Any]:
        with self.record.stage("publish"):
            rows = self._source.write_scored(destination, self._columns, parts.read())
            if rows != self.record.counters.rows:
                raise input_changed(self._input)
            identity = FileIdentity.of(destination)
        return {"path": str(self._output.absolute()), "rows": rows, **identity.as_json()}


def _columns(options: RunOptions, labels: tuple[str, ...]) -> OutputColumns:
    names = renamed(labels, options.label_names)
    per_class = tuple(f"score_{label}" for label in labels) if options.scores == "all" else ()
    return OutputColumns(options.label_column, options.score_column, names, per_class)


def _window_rows(classifier: TextClassifier) -> int:
    return CUDA_WINDOW if classifier.runtime.device == "cuda" else CPU_WINDOW


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the items while the next one is being made in another thread."""
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        future = pool.submit(next, items, None)
        while (item := future.result()) is not None:
            future = pool.submit(next, items, None)
            yield item
