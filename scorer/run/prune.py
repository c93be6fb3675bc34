"""`--prune`: outputs whose input is gone are removed, at the end of a run that succeeded.

An output is known by its report, and its input by what the report says of it. What no report
records stays, and so does what was changed since. The output goes first, durably, then what
belongs to it: after a kill in between, the next run removes the rest.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scorer.errors import UsageError
from scorer.formats.registry import Place
from scorer.monitor.report_types import decoded
from scorer.options import RunOptions
from scorer.os_errors import is_directory, reading, writing
from scorer.store.commit import fsync_directory, read_report, report_on
from scorer.store.inputs import Found, Inputs
from scorer.store.lock import locked
from scorer.store.output_plan import plan_outputs
from scorer.store.paths import failed_report_path, rejects_path, report_path
from scorer.store.state import recover, remove_state

P = TypeVar("P", bound=Place)
IsGone = Callable[[str], bool]  # takes the path of an input as its report has it

REPORT = report_path(Path("x")).name.removeprefix("x")  # how the name of each report ends


@dataclass(frozen=True, slots=True)
class Departed:
    """An output whose input is gone."""

    output: Path
    input: str  # as its report names it
    url: str = ""  # of the output, where it is no file

    def __str__(self) -> str:
        """Return the output as people know it."""
        return self.url or str(self.output)


def check_searched(searched: Sequence[object]) -> None:
    """Raise UsageError where no INPUT is one that a file can leave."""
    if not searched:
        raise UsageError(
            "--prune is about files that are gone from a directory, and no INPUT is one",
            "name a directory, or leave --prune out",
        )


def prune(options: RunOptions, found: Inputs) -> Iterator[Departed]:
    """Remove the outputs whose input is gone, each under its lock, and yield each.

    Raises:
        TweetscoreError: One of them is locked, or cannot be removed.
    """
    is_gone = gone_from(each.place for each in found.searched)
    for each in departed(options, found):
        if remove(each.output, is_gone, options.lock_wait):
            yield each


def departed(options: RunOptions, found: Inputs) -> Iterator[Departed]:
    """Yield the outputs whose input is gone; of some only the report may be left.

    Args:
        options: What was asked for.
        found: What the run scores.
    """
    plan = plan_outputs(found, options.output, options.input_spec.format)
    kept = {os.path.abspath(report_path(output)) for _, output in plan}
    is_gone = gone_from(each.place for each in found.searched)
    yield from departed_below(output_directories(options.output, found), kept, is_gone)


def output_directories(output: P | None, found: Found[P]) -> list[P]:
    """Return the directories that hold the outputs of a run over directories."""
    outputs = [each.outputs for each in found.searched] if output is None else [output]
    return [each for each in dict.fromkeys(outputs) if each]


def gone_from(directories: Iterable[Path]) -> IsGone:
    """Return what tells whether a file is gone from directories that were searched.

    Of a file elsewhere nobody knows: its disk may not be mounted.
    """
    places = [f"{os.path.abspath(each).rstrip(os.sep)}{os.sep}" for each in directories]

    def is_gone(path: str) -> bool:
        path = os.path.abspath(path)
        return any(map(path.startswith, places)) and _is_missing(path)

    return is_gone


def _is_missing(path: str) -> bool:
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # it cannot be seen
        return False
    return False


def departed_below(tops: Sequence[Path], kept: set[str], is_gone: IsGone) -> Iterator[Departed]:
    """Yield the outputs below some directories whose input is gone.

    Args:
        tops: The directories.
        kept: The reports that need not be read, as absolute paths.
        is_gone: Tells it of an input.
    """
    for directory, path in (each for top in tops if is_directory(top) for each in _reports(top)):
        report = None if os.path.abspath(path) in kept else decoded(read_report(path))
        if report is not None and is_gone(report.input.path):
            output = directory / Path(report.output.path).name
            if report_path(output) == path:  # and not a copy that was put there
                yield Departed(output, report.input.path)


def _reports(top: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the reports of all outputs below a directory, each with the directory of the output.

    Hidden directories and links are left out, as they are where inputs are searched.
    """
    unread = [top]
    while unread:
        directory = unread.pop()
        with reading(directory), os.scandir(directory) as entries:
            below = [each.name for each in entries if each.is_dir(follow_symlinks=False)]
        unread += sorted((directory / name for name in below if name[0] != "."), reverse=True)
        place = report_path(directory / "x").parent
        if is_directory(place):
            with reading(place):
                names = sorted(each.name for each in place.iterdir() if each.name.endswith(REPORT))
            yield from ((directory, place / name) for name in names)


def remove(output: Path, is_gone: IsGone, wait: float) -> bool:
    """Remove an output and what belongs to it but the lock; return whether it was there.

    What is no longer what its report says, or has an input again, stays.
    """
    with locked(output, wait=wait) as lock:
        recover(output)
        report = decoded(read_report(report_path(output)))
        if report is None or not is_gone(report.input.path):
            return False
        there = os.path.lexists(output)
        if there and report_on(output) is None:
            return False
        lock.check()
        with writing(output):
            output.unlink(missing_ok=True)
            fsync_directory(output.parent)  # or a power cut could keep it without its report
            for path in (rejects_path(output), failed_report_path(output), report_path(output)):
                path.unlink(missing_ok=True)
        remove_state(output)
        return there
