"""What `run` shows meanwhile and with --dry-run: a progress bar, and what a run would do."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.exit_codes import print_error
from scorer.errors import one_line
from scorer.hints import counted

if TYPE_CHECKING:
    from tqdm import tqdm

    from scorer.options import Outcome, RunOptions
    from scorer.run.dry_run import FilePreview, Preview, Probe


_FEW = 10


class Progress:
    """How far a run is; without a bar, nothing is counted."""

    def __init__(self, bar: "tqdm | None" = None, expected: dict[Path, int] | None = None) -> None:
        self._bar = bar
        self._expected = expected  # rows of each file; None where files are counted
        self._rows = 0  # of the file in hand

    def hear(self, rows: int) -> None:
        """Take note of rows that are done."""
        self._rows += rows
        if self._bar is not None and self._expected is not None:
            with suppress(OSError):  # the terminal is gone, the run is not
                self._bar.update(rows)

    def settle(self, outcome: "Outcome") -> None:
        """Take note of a file that is done, and clear the line for what is to be said of it."""
        if self._bar is None:
            return
        with suppress(OSError):
            if self._expected is None:
                self._bar.update()
            else:
                self._bar.total += self._rows - self._expected.get(outcome.input, 0)
            self._bar.clear()
        self._rows = 0


@contextmanager
def closed_quietly(bar: "tqdm") -> "Iterator[tqdm]":
    """Give a bar that goes with the block; a terminal that is gone by then is no error."""
    try:
        yield bar
    finally:
        with suppress(OSError):
            bar.close()


@contextmanager
def progress(wanted: "RunOptions", files: Sequence[object], *, hidden: bool) -> Iterator[Progress]:
    """Show a bar on stderr while the block lasts, if somebody watches.

    What is not here yet, as it belongs to a URL, is counted when it comes.
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


_FATES = {
    "score": "would be scored",
    "go on": "would go on where the run of {since} was interrupted",
    "leave": "is up to date",
}


def show(preview: "Preview") -> int:
    """Print what a run would do, and return its exit code as far as it is known now."""
    code = 0
    for each in preview.files:
        if each.error:
            files = {"input": str(each.input), "output": str(each.output)}
            failed = print_error(each.error, "file", **files)
            code = code or failed
        else:
            click.echo(one_line(_line(each)))
    bundle = preview.bundle
    _say("model", f"{bundle.name} {bundle.version}, in {bundle.directory}")
    _say("appends", ", ".join(preview.appended))
    if preview.probe:
        _say_probe(preview.probe)
        _say("time", f"about {_duration(preview.probe.estimate(preview.rows.rows))}")
    _say("files", _fates(preview))
    return code


def _line(file: "FilePreview") -> str:
    fate = _FATES[file.fate].format(since=file.since)
    rows = counted(file.rows.rows, "row", str(file.rows))
    return f"{file.input} -> {file.output}: {rows} of {', '.join(file.columns)}: {fate}"


def _say(topic: str, words: str) -> None:
    click.echo(f"{topic + ':':<9}{words}")


def _say_probe(probe: "Probe") -> None:
    runtime = probe.classifier.runtime
    threads = counted(runtime.threads, "thread")
    _say("runs on", f"{runtime.device} {runtime.precision}, {threads}")
    _say("because", runtime.reason)
    for warning in probe.classifier.warnings:
        _say("warning", warning)
    words = f"{counted(probe.rows, 'row')} took {probe.seconds:.2f} s"
    _say("probe", f"{words}, after {probe.load_seconds:.1f} s for loading the model")


def _fates(preview: "Preview") -> str:
    counts = Counter(each.fate for each in preview.files)
    waiting = counts["score"] + counts["go on"]
    rows = counted(preview.rows.rows, "row", str(preview.rows))
    line = f"{waiting:,} would be scored ({rows})"
    return f"{line}, {counts['leave']:,} up to date, {counts['fail']:,} would fail"


def _duration(seconds: float) -> str:
    """Return seconds in the unit that a person would choose."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
