"""The progress bar of `run` and `table`, and what `run --dry-run` prints."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.process import print_error
from scorer.errors import one_line
from scorer.hints import counted

if TYPE_CHECKING:
    from tqdm import tqdm

    from scorer.monitor.report_types import Outcome
    from scorer.options import RunOptions
    from scorer.run.dry_run import FilePreview, Preview, Probe


_FEW = 10


class Progress:
    """The progress of a run; without a bar, nothing is counted."""

    def __init__(self, bar: "tqdm | None" = None, expected: dict[Path, int] | None = None) -> None:
        self._bar = bar
        self._expected = expected  # rows of each file; None where files are counted
        self._rows = 0  # of the current file

    def add_rows(self, rows: int) -> None:
        """Count rows that are scored."""
        self._rows += rows
        if self._bar is not None and self._expected is not None:
            with suppress(OSError):  # the terminal is gone, the run is not
                self._bar.update(rows)

    def finish_file(self, outcome: "Outcome") -> None:
        """Count a file that is done, and clear the line for its report."""
        if self._bar is None:
            return
        with suppress(OSError):
            if self._expected is None:
                self._bar.update()
            else:
                self._bar.total += self._rows - self._expected.get(outcome.input, 0)
            self._bar.refresh()  # `update` leaves out what comes soon after the last drawing
            self._bar.clear()
        self._rows = 0


@contextmanager
def closed_quietly(bar: "tqdm") -> "Iterator[tqdm]":
    """Yield a bar and close it after the block; a terminal that is gone by then is no error."""
    try:
        yield bar
    finally:
        with suppress(OSError):
            bar.close()


@contextmanager
def progress(wanted: "RunOptions", files: Sequence[object], *, hidden: bool) -> Iterator[Progress]:
    """Show a bar on stderr while the block lasts, if stderr is a terminal.

    The rows of a URL are counted when it has been fetched.
    """
    if hidden or not sys.stderr.isatty():
        yield Progress()
        return
    from tqdm import tqdm

    from scorer.run.dry_run import expected_rows

    if len(files) > _FEW:
        with closed_quietly(tqdm(total=len(files), unit=" files", leave=False)) as bar:
            yield Progress(bar)
        return
    expected = expected_rows(wanted, [each for each in files if isinstance(each, Path)])
    total = sum(expected.values())
    bar = tqdm(total=total, unit=" tweets", unit_scale=True, leave=False)
    with closed_quietly(bar):
        yield Progress(bar, expected)


_ACTIONS = {
    "score": "would be scored",
    "go on": "would go on where the run of {since} was interrupted",
    "leave": "is up to date",
}


def show(preview: "Preview") -> int:
    """Print what a run would do, and return its exit code as far as it is known."""
    code = 0
    for each in preview.files:
        if each.error:
            files = {"input": str(each.input), "output": str(each.output)}
            failed = print_error(each.error, "file", **files)
            code = code or failed
        else:
            click.echo(one_line(_line(each)))
    for gone in preview.departed:
        click.echo(one_line(f"{gone}: would be removed, as {gone.input} is gone"))
    bundle = preview.bundle
    _print("model", f"{bundle.name} {bundle.version}, in {bundle.directory}")
    _print("appends", ", ".join(preview.appended))
    for table in preview.tables:
        live = counted(len(table.live), "live file")
        _print("table", one_line(f"{table.place}, version {table.version} of Delta: {live}"))
    for warning in preview.warnings:
        _print("warning", warning)
    if preview.probe:
        _print_probe(preview.probe)
        _print("time", f"about {_duration(preview.probe.estimate(preview.rows.rows))}")
    _print("files", _totals(preview))
    return code


def _line(file: "FilePreview") -> str:
    action = _ACTIONS[file.action].format(since=file.since)
    rows = counted(file.rows.rows, "row", str(file.rows))
    return f"{file.input} -> {file.output}: {rows} of {', '.join(file.columns)}: {action}"


def _print(topic: str, words: str) -> None:
    click.echo(f"{topic + ':':<9}{words}")


def _print_probe(probe: "Probe") -> None:
    runtime = probe.classifier.runtime
    threads = counted(runtime.threads, "thread")
    _print("runs on", f"{runtime.device} {runtime.precision}, {threads}")
    _print("because", runtime.reason)
    for warning in probe.classifier.warnings:
        _print("warning", warning)
    words = f"{counted(probe.rows, 'row')} took {probe.seconds:.2f} s"
    _print("probe", f"{words}, after {probe.load_seconds:.1f} s for loading the model")


def _totals(preview: "Preview") -> str:
    counts = Counter(each.action for each in preview.files)
    waiting = counts["score"] + counts["go on"]
    rows = counted(preview.rows.rows, "row", str(preview.rows))
    line = f"{waiting:,} would be scored ({rows})"
    line += f", {counts['leave']:,} up to date, {counts['fail']:,} would fail"
    removed = len(preview.departed)
    return line + (f", {removed:,} would be removed" if removed else "")


def _duration(seconds: float) -> str:
    """Return seconds in hours, minutes or seconds."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
