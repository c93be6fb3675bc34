"""Blocks of bytes as whole lines, a bounded number at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from scorer.files.cells import Offsets

LINES_AT_ONCE = 1 << 13  # so that a block of nothing but line ends or rejects is not held at once

LF, CR = 0x0A, 0x0D


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Consecutive lines, at least one; all arrays are [lines]."""

    data: bytes
    starts: Offsets
    ends: Offsets  # of the content, before LF or CRLF
    stops: Offsets  # after the line ending
    first: int  # number of the first line, from 1

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self.starts)

    def content(self, i: int) -> bytes:
        """Return one line without its line ending."""
        return self.data[int(self.starts[i]) : int(self.ends[i])]

    def contents(self) -> list[bytes]:
        """Return all lines without their line endings."""
        bounds = zip(self.starts.tolist(), self.ends.tolist(), strict=True)
        return [self.data[start:end] for start, end in bounds]


def split_lines(blocks: Iterable[bytes], cap: int) -> Iterator[Lines]:
    """Yield all lines; of one that is longer than `cap` bytes, a little more than `cap`.

    What is found does not depend on where the blocks were cut.
    """
    rest, number, skipping = b"", 1, False
    for block in blocks:
        data = block
        if skipping:
            found = block.find(LF)
            if found < 0:
                continue
            data = block[found:]
            skipping = False
        data = rest + data
        whole = data.rfind(LF) + 1
        for lines in _lines(data[:whole], number):
            number += len(lines)
            yield lines
        rest = data[whole:]
        if len(rest) > cap + 1:  # it may end in a CR, which would not count
            rest, skipping = rest[: cap + 2], True
    yield from _lines(rest, number)


def _lines(data: bytes, first: int) -> Iterator[Lines]:
    array = np.frombuffer(data, np.uint8)
    stops = np.flatnonzero(array == LF) + 1
    if data and not data.endswith(b"\n"):
        stops = np.append(stops, len(data))
    starts = np.concatenate([[0], stops[:-1]])[: len(stops)].astype(np.int64)
    ends = stops - (array[stops - 1] == LF)
    ends = ends - ((ends > starts) & (array[np.maximum(ends - 1, 0)] == CR))
    for at in range(0, len(stops), LINES_AT_ONCE):
        here = slice(at, at + LINES_AT_ONCE)
        yield Lines(data, starts[here], ends[here], stops[here], first + at)
