"""What follows a run that succeeded: manifests, and outputs whose input is gone are removed.

An output is known by its report, and its input by what the report says of it. What no report
records stays, and so does what was changed since. The output goes first, durably, then what
belongs to it: after a kill in between, the next run removes the rest.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scorer.errors import UsageError
from scorer.formats.registry import Place
from scorer.monitor.report_types import decoded
from scorer.options import RunOptions
from scorer.os_errors import is_directory, reading, writing
from scorer.run.table_manifest import manifest, write_manifest
from scorer.store.commit import fsync_directory, read_report, report_on
from scorer.store.found import Found, Inputs, LakeTable
from scorer.store.lock import locked
from scorer.store.output_plan import plan_outputs
from scorer.store.paths import (
    EarlierPlaces,
    failed_report_path,
    own_directory,
    rejects_path,
    report_path,
)
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


def finish(options: RunOptions, found: Inputs, *, prune: bool) -> Iterator[Departed]:
    """Do what follows a run that succeeded, and yield the outputs that are removed.

    The manifests of Delta tables are written; then the outputs of files that left them go, and with
    `prune` those whose input is gone from another directory, each under its lock.

    Raises:
        TweetscoreError: A manifest cannot be written, an output is locked, or cannot be removed.
    """
    for table in found.tables:
        if table.whole:
            _write_manifest(table, options, found)
    is_gone = gone_from(found, prune=prune)
    for each in departed(options, found, prune=prune):
        if remove(each.output, is_gone, options.lock_wait):
            yield each


def _write_manifest(table: LakeTable[Path], options: RunOptions, found: Inputs) -> None:
    where = table_directory(table, options.output)
    files = (
        (path.relative_to(table.place), output.relative_to(where))
        for path, output in plan_outputs(found, options.output, options.input_spec.format)
        if path.is_relative_to(table.place)
    )
    names = ((str(path), str(output)) for path, output in files)
    write_manifest(where, manifest(os.path.abspath(table.place), table.version, names))


def table_directory(table: LakeTable[Path], output: Path | None) -> Path:
    """Return the directory that mirrors a table."""
    return table.mirror if output is None else output / table.below


def departed(options: RunOptions, found: Inputs, *, prune: bool) -> Iterator[Departed]:
    """Yield the outputs whose input is gone; of some only the report may be left.

    Args:
        options: What was asked for.
        found: What the run scores.
        prune: Whether files that are gone from plain directories count.
    """
    plan = plan_outputs(found, options.output, options.input_spec.format)
    kept = {os.path.abspath(report_path(output)) for _, output in plan}
    if prune:
        tops = output_directories(options.output, found)
    else:
        tops = [table_directory(table, options.output) for table in found.tables]
    yield from departed_below(tops, kept, gone_from(found, prune=prune))


def output_directories(output: P | None, found: Found[P]) -> list[P]:
    """Return the directories that hold the outputs of a run over directories."""
    outputs = [each.outputs for each in found.searched] if output is None else [output]
    return [each for each in dict.fromkeys(outputs) if each]


def gone_from(found: Found[Any], *, prune: bool) -> IsGone:
    """Return what tells whether a file is gone from the directories and tables that were searched.

    A file that left a table may still be there. Of one elsewhere nobody knows: its disk may not
    be mounted.
    """
    tables = [
        (_start(each.place), each.live) for each in found.tables if isinstance(each.place, Path)
    ]
    searched = [each.place for each in found.searched if prune and isinstance(each.place, Path)]
    places = tuple(map(_start, searched))

    def is_gone(name: str) -> bool:
        if not Path(name).is_absolute():  # a URL, or standard input
            return False
        path = os.path.abspath(name)
        for place, live in tables:
            if path.startswith(place):
                return path not in live
        return path.startswith(places) and _is_missing(path)

    return is_gone


def _start(directory: Path) -> str:
    """Return how the path of each file in a directory begins."""
    return f"{os.path.abspath(directory).rstrip(os.sep)}{os.sep}"


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
            if path in (report_path(output), EarlierPlaces.of(output).report):  # and no copy
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
        for place in (own_directory(directory / "x"), directory):  # 0.1 put them beside outputs
            if is_directory(place):
                with reading(place):
                    names = sorted(
                        each.name for each in place.iterdir() if each.name.endswith(REPORT)
                    )
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
