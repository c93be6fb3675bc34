"""The directories that INPUTs name: their partitions, and DIR.scored/, which mirrors one. Pure."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from scorer.formats.registry import Place

_PARTITION = re.compile(r"([^=]+)=.*")

P_co = TypeVar("P_co", bound=Place, covariant=True)


@dataclass(frozen=True, slots=True)
class Searched(Generic[P_co]):
    """A directory that was searched for inputs."""

    place: P_co
    # Holds the outputs where no -o names a place: DIR.scored, or for a pattern the directory
    # itself. None where a directory has no name, such as the root or a whole bucket.
    mirror: P_co | None
    # Outputs of version 0.1 lie beside its files: for one release runs go on there.
    continued: bool = False

    @property
    def outputs(self) -> P_co | None:
        """The directory that gets the outputs where no -o names one."""
        return self.place if self.continued else self.mirror


def partition_keys(path: Path) -> tuple[str, ...]:
    """Return the columns that a file's directories are named after: year=2026/month=11."""
    parts = path.absolute().parent.parts
    partitions = parts[len(above_partitions(parts)) :]
    return tuple(part.partition("=")[0] for part in partitions)


def above_partitions(parts: Sequence[str]) -> Sequence[str]:
    """Return the root of a partitioned table: a reader finds the columns of paths below it."""
    while parts and _PARTITION.fullmatch(parts[-1]):
        parts = parts[:-1]
    return parts


def mirror_parts(parts: Sequence[str]) -> tuple[str, ...] | None:
    """Return the parts of DIR.scored for those of DIR; None for what has no name.

    A partition stays one: that of lake/day=1 is lake.scored/day=1.
    """
    top = above_partitions(parts)
    if not top or top[-1] == os.sep:
        return None
    *above, name = top
    return (*above, f"{name}.scored", *parts[len(top) :])


def mirror_of(directory: Path) -> Path | None:
    """Return DIR.scored beside a directory; relative where that is, also for `.` and `..`."""
    # What `..` leads to is the file system's to say: it may follow a link.
    absolute = (os.path.realpath if ".." in directory.parts else os.path.abspath)(directory)
    parts = mirror_parts(Path(absolute).parts)
    if parts is None:
        return None
    return Path(*parts) if directory.is_absolute() else Path(os.path.relpath(Path(*parts)))


def in_mirror(path: Path, searched: Searched[Path]) -> Path:
    """Return where a file that was found would lie in the directory of the outputs."""
    outputs = searched.outputs
    return path if outputs is None else outputs / path.relative_to(searched.place)


def path_below(path: Path, top: Path) -> PurePosixPath:
    """Return the path below a directory, which outputs mirror."""
    return PurePosixPath(os.path.relpath(path, top))
