"""Tables of a lake among local directories: which of their files are inputs."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import InputMissing, TweetscoreError
from scorer.hints import path_word
from scorer.lake.tables import DELTA_LOG, HUDI, ICEBERG_METADATA, Kind, not_read, table_kind
from scorer.os_errors import is_directory


@dataclass(frozen=True, slots=True)
class LiveFiles:
    """The files that the latest version of a Delta table has below a directory.

    Attributes:
        version: That of the table.
        whole: Whether the directory is all of the table.
        paths: The files, as they are found below the directory.
        missing: Those of them that are not there, each with its error.
    """

    version: int
    whole: bool
    paths: tuple[Path, ...]
    missing: tuple[tuple[Path, TweetscoreError], ...]

    @property
    def absolute(self) -> frozenset[str]:
        """The files as reports name them."""
        return frozenset(map(os.path.abspath, self.paths))


def kind_at(directory: Path) -> Kind | None:
    """Return what a directory is a table of; None for one of files."""
    names = (DELTA_LOG, HUDI, ICEBERG_METADATA)
    there = [name for name in names if is_directory(directory / name)]
    return table_kind(there, lambda name: _names(directory / name)) if there else None


def _names(directory: Path) -> list[str]:
    with suppress(OSError):  # what cannot be listed says nothing
        return [each.name for each in directory.iterdir()]
    return []


def table_around(directory: Path) -> tuple[Path, Kind] | None:
    """Return the table in whose directory a directory lies, and what it is; the links resolved.

    An Iceberg table's files lie in its directory `data`.
    """
    real = Path(os.path.realpath(directory))
    for root in real.parents:
        kind = kind_at(root)
        if kind and (kind != "iceberg" or real.relative_to(root).parts[0] == "data"):
            return root, kind
    return None


def live_files(directory: Path, root: Path) -> LiveFiles:
    """Return the live files of a Delta table that lie below a directory.

    Args:
        directory: As it was named.
        root: That of the table: the directory itself, or one that it lies in.

    Raises:
        TweetscoreError: What `scorer.lake.delta.latest` raises.
    """
    from scorer.lake.delta import latest

    real = Path(os.path.realpath(root))
    snapshot = latest(str(root), str(real))
    start = Path(os.path.realpath(directory)).relative_to(real)
    paths = tuple(
        directory / path.relative_to(start) for path in snapshot.files if path.is_relative_to(start)
    )
    missing = tuple(_missing(paths, root, snapshot.version))
    return LiveFiles(snapshot.version, start == Path(), paths, missing)


def _missing(
    paths: tuple[Path, ...], root: Path, version: int
) -> Iterator[tuple[Path, TweetscoreError]]:
    for path in paths:
        if not os.path.lexists(path):
            problem = f"{path} is gone, but version {version} of the Delta table {root} has it"
            remedy = "restore it, or take it out of the log (in Spark: FSCK REPAIR TABLE)"
            yield path, InputMissing(problem, remedy)


def check_readable(table: Path, kind: Kind) -> None:
    """Raise DataError for a table of a kind that is not read."""
    if kind != "delta":
        raise not_read(str(table), kind)


def warnings_about(directories: Iterable[str]) -> Iterator[str]:
    """Yield a warning for each Delta table of which files are named, by their directories."""
    around = {
        root: None
        for directory in map(Path, directories)
        for root in (directory, *directory.parents)
        if is_directory(root / DELTA_LOG)
    }
    for root in around:
        yield (
            f"files of the Delta table {root} are named one by one, and scored whether the table "
            f"still has them or not; for its live rows try: tweetscore run {path_word(root)}"
        )
