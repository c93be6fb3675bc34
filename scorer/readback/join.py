"""Rows of an earlier file found again among those of a later one, through files in a directory.

Both sides are split into partitions by the first bits of a key. Of a partition the known rows are
sorted in memory and the asked ones looked up; what is found comes out in the order of the asked
rows. So memory is one partition of the known rows, however many are asked for, and every file is
read and written from beginning to end.
"""

import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from scorer.os_errors import reading, writing

Rows = NDArray[np.void]  # records of one of the types below
RowType = np.dtype[np.void]

ASKED: RowType = np.dtype([("key", "u8"), ("check", "u8"), ("row", "i8")])

_PARTITION = 1 << 18  # known rows in a partition, as long as there are not too many partitions
_MOST_BITS = 8  # 256 partitions, each an open file: of 100 million rows they hold 400,000 each
_LOOKED_UP = 1 << 16  # asked rows at once
_FOUND_AT_ONCE = 1 << 10  # found rows of each partition in memory


def known_type(scores: int) -> RowType:
    """Return the type of a known row with so many scores."""
    answer = [("label", "i2"), ("scores", "f4", (scores,))]
    return np.dtype([("key", "u8"), ("check", "u8"), *answer])


def found_type(scores: int) -> RowType:
    """Return the type of a known row that was asked for."""
    answer = [("label", "i2"), ("scores", "f4", (scores,))]
    return np.dtype([("row", "i8"), ("check", "u8"), *answer])


class Partitions:
    """Files of a directory over which rows are spread by the first bits of their keys."""

    def __init__(self, directory: Path, rows: int) -> None:
        """Choose how many there are: of so many rows, each holds a part that fits in memory."""
        self._directory = directory
        self._bits = min(max(1, math.ceil(rows / _PARTITION).bit_length()), _MOST_BITS)

    def paths(self, kind: str) -> list[Path]:
        """Return the files of one kind of rows: equal keys have the same place in each list."""
        return [self._directory / f"{kind}-{number:03d}" for number in range(1 << self._bits)]

    def split(self, kind: str, batches: Iterable[Rows]) -> None:
        """Write each row to the file of its partition."""
        with ExitStack() as stack:
            files = [stack.enter_context(_created(path)) for path in self.paths(kind)]
            for rows in batches:
                numbers = rows["key"] >> np.uint64(64 - self._bits)
                order = np.argsort(numbers, kind="stable")
                firsts = np.searchsorted(numbers[order], np.arange(1, len(files), dtype=np.uint64))
                for file, part in zip(files, np.split(rows[order], firsts), strict=True):
                    file.write(part.tobytes())


class Join:
    """A directory to which known rows go, then asked ones, and from which the found ones come."""

    def __init__(self, directory: Path, rows: int, scores: int) -> None:
        """Make the directory.

        Args:
            directory: A name that is free, but for what a killed run left.
            rows: How many are known.
            scores: How many each of them has.
        """
        self._directory = directory
        self._known, self._found = known_type(scores), found_type(scores)
        self._partitions = Partitions(directory, rows)
        with writing(directory):
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()

    def add_known(self, batches: Iterable[Rows]) -> None:
        """Take the known rows."""
        self._partitions.split("known", batches)

    def look_up(self, batches: Iterable[Rows]) -> "Found":
        """Take the asked rows, and return those that are known."""
        self._partitions.split("asked", batches)
        known, asked, found = map(self._partitions.paths, ("known", "asked", "found"))
        for paths in zip(known, asked, found, strict=True):
            self._join(*paths)
        return Found(found, self._found)

    def remove(self) -> None:
        """Remove the directory; what cannot be removed now goes with what is around it."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def _join(self, known: Path, asked: Path, found: Path) -> None:
        """Write those rows of a partition that are known and asked for."""
        rows = np.concatenate([np.empty(0, self._known), *_read(known, self._known)])
        rows = rows[np.argsort(rows["key"], kind="stable")]
        keys = np.ascontiguousarray(rows["key"])
        with _created(found) as file:
            for wanted in _read(asked, ASKED) if len(keys) else ():
                at = np.minimum(np.searchsorted(keys, wanted["key"]), len(keys) - 1)
                same = (keys[at] == wanted["key"]) & (rows["check"][at] == wanted["check"])
                answers = np.empty(int(same.sum()), self._found)
                answers["row"] = wanted["row"][same]
                for name in ("check", "label", "scores"):
                    answers[name] = rows[name][at[same]]
                file.write(answers.tobytes())
        for path in (known, asked):
            path.unlink()


class Found:
    """The rows that were found, handed out once in the order in which they were asked for."""

    def __init__(self, paths: list[Path], kind: RowType) -> None:
        self._nothing = np.empty(0, kind)
        self._files = [_read(path, kind, _FOUND_AT_ONCE) for path in paths]
        self._held = [self._nothing for _ in paths]

    def before(self, row: int) -> Rows:
        """Return those before a row that have not been handed out: in any order."""
        taken = [self._nothing]
        for number, file in enumerate(self._files):
            while len(held := self._held[number]) == 0 or held["row"][-1] < row:
                taken.append(held)
                if (following := next(file, None)) is None:
                    self._held[number] = self._nothing
                    break
                self._held[number] = following
            else:
                first = int(np.searchsorted(held["row"], row))
                taken.append(held[:first])
                self._held[number] = held[first:]
        return np.concatenate(taken)


@contextmanager
def _created(path: Path) -> Iterator[IO[bytes]]:
    with writing(path), path.open("xb") as file:
        yield file


def _read(path: Path, kind: RowType, rows: int = _LOOKED_UP) -> Iterator[Rows]:
    with reading(path), path.open("rb") as file:
        while content := file.read(rows * kind.itemsize):
            yield np.frombuffer(content, kind)
