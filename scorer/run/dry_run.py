"""`--dry-run`: what a run would do, without doing it. Nothing is written, locked or removed.

The checks are those that a run makes before its first window, so what it would refuse is found
here; what only reading shows (a broken record in a large file, a full disk) is not.
"""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scorer.errors import TweetscoreError, UsageError
from scorer.formats.base import Source
from scorer.formats.row_count import NO_ROWS, RowCount, count_rows, sum_rows
from scorer.inference.bundle import baseline_of
from scorer.inference.loading import ModelHandle
from scorer.options import RunOptions
from scorer.os_errors import exists
from scorer.run.pipeline import discover
from scorer.run.preflight import open_input, output_columns, preflight, validate
from scorer.run.prune import Departed, check_searched, departed
from scorer.store.commit import Inodes, check_owner, inodes
from scorer.store.found import Inputs, LakeTable
from scorer.store.output_plan import plan_outputs
from scorer.store.state import unfinished_since

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.classifier import Classifier

_REJECTS_SHOWN = 1000  # in the error
PROBE_ROWS = 512  # scored for the estimate: 0.4 s of the embedded model on two cores

Action = Literal["score", "go on", "leave", "fail"]


@dataclass(frozen=True, slots=True)
class FilePreview:
    """What a run would do with one input."""

    input: Path
    output: Path
    action: Action
    columns: tuple[str, ...] = ()
    rows: RowCount = NO_ROWS
    error: TweetscoreError | None = None
    source: Source | None = None  # of what waits for the model
    since: str = ""  # when the run began that would go on


@dataclass(frozen=True, slots=True)
class Probe:
    """The device of the run, and its speed on the first rows."""

    classifier: "Classifier"
    load_seconds: float
    rows: int
    seconds: float

    def estimate(self, rows: int) -> float:
        """Return the seconds that a run over so many rows would take."""
        return self.load_seconds + (rows * self.seconds / self.rows if self.rows else 0.0)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a whole call would do."""

    files: tuple[FilePreview, ...]
    bundle: "Bundle"
    appended: tuple[str, ...]  # names of the columns that every output gets
    probe: Probe | None  # None where there is nothing to score
    warnings: tuple[str, ...] = ()  # that a run would print before its first file
    departed: tuple[Departed, ...] = ()  # outputs that would be removed
    tables: tuple[LakeTable[Path], ...] = ()  # among the inputs

    @property
    def rows(self) -> RowCount:
        """The rows that would be scored."""
        return sum_rows(file.rows for file in self.files if file.action in {"score", "go on"})


def preview(
    options: RunOptions,
    inputs: Inputs | None = None,
    *,
    model: ModelHandle | None = None,
    prune: bool = False,
) -> Preview:
    """Check all inputs and outputs as a run would, load the model, and time it on a few rows.

    What a run would refuse in single files is in their previews.

    Raises:
        TweetscoreError: What would end the run as a whole.
    """
    inputs = inputs or discover(options)
    model = model or ModelHandle.of(options.model_spec)
    if prune:
        check_searched(inputs.searched)
    plan = plan_outputs(inputs, options.output, options.input_spec.format)
    taken = inodes(inputs.files)
    baseline_of(model.bundle, required=options.fail_on_drift is not None)
    appended = output_columns(options.output_spec, model.bundle).names
    previews = [_preview_file(options, path, output, taken, model.bundle) for path, output in plan]
    if len(plan) == 1 and isinstance(previews[0].error, UsageError):
        raise previews[0].error
    lost = [FilePreview(path, path, "fail", error=error) for path, error in inputs.unreadable]
    waiting = [file for file in previews if file.source]
    largest = max(waiting, key=lambda file: file.rows.rows, default=None)
    probe = _probe(model, largest.source) if largest and largest.source else None
    succeeds = not any(each.error for each in (*lost, *previews))
    pruned = departed(options, inputs, prune=prune) if succeeds else ()
    gone = tuple(each for each in pruned if exists(each.output))
    files, tables = (*lost, *previews), inputs.tables
    return Preview(files, model.bundle, appended, probe, inputs.warnings, gone, tables)


def expected_rows(options: RunOptions, files: Iterable[Path]) -> dict[Path, int]:
    """Return about how many rows each file has; none for files that cannot be read."""
    expected = {}
    for path in files:
        with suppress(TweetscoreError):
            source = open_input(path, options)
            expected[path] = count_rows(source, limit=options.input_spec.limit).rows
    return expected


def _preview_file(
    options: RunOptions, path: Path, output: Path, taken: Inodes, bundle: "Bundle"
) -> FilePreview:
    """Return what a run would do with one input."""
    try:
        return _checked(options, path, output, taken, bundle)
    except TweetscoreError as error:
        return FilePreview(path, output, "fail", error=error)


def _checked(
    options: RunOptions, path: Path, output: Path, taken: Inodes, bundle: "Bundle"
) -> FilePreview:
    source = validate(path, output, options, taken, dry_run=True)
    found = preflight(source, output, options, bundle)
    if found.current:
        rows = RowCount(found.current.counters.rows, exact=True)
        return FilePreview(path, output, "leave", source.columns, rows)
    check_owner(found.target, overwrite=options.overwrite)
    rows = count_rows(source, limit=options.input_spec.limit)
    if rows.rejects > options.max_rejects:
        from scorer.store.refusal import too_many_rejects

        rejects = chain.from_iterable(window.rejects for window in source.windows(PROBE_ROWS))
        some = list(islice(rejects, _REJECTS_SHOWN))
        raise too_many_rejects(source, some, rows.rejects, found.target, foreseen=True)
    since = unfinished_since(found.target, found.key) if options.resume != "never" else None
    action: Action = "go on" if since else "score"
    return FilePreview(path, output, action, source.columns, rows, source=source, since=since or "")


def _probe(model: ModelHandle, source: Source) -> Probe:
    """Load the model and let it score the first rows of an input."""
    begin = time.monotonic()
    classifier = model.prove()
    loaded = time.monotonic()
    window = next(source.windows(PROBE_ROWS), None)
    if window is not None:
        classifier.score(classifier.prepare(window.texts))
    rows = len(window.texts) if window else 0
    return Probe(classifier, loaded - begin, rows, time.monotonic() - loaded)
