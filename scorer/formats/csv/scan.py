"""Many records of CSV at once: offsets of records and of one cell, with numpy.

As long as quotes are well-formed, a byte is inside a quoted cell exactly when the number of quotes
before it is odd. So: take the parity of the quotes, find the first quote that breaks the rules
under this reading, and believe everything before it. A quote behind a backslash that escapes it is
data, in quoted cells and in others. Without quoting there is nothing to find.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.formats.text.cells import Flags, Offsets
from scorer.formats.text.dialects import BACKSLASH, CR, LF, QUOTE, Dialect


@dataclass(frozen=True, slots=True, eq=False)
class Spans:
    """Well-formed records one after the other; all arrays are [records]."""

    starts: Offsets
    ends: Offsets  # of the content, before the line ending
    stops: Offsets  # after the line ending
    cells: Offsets  # number of cells
    text_starts: Offsets  # of the text cell; without meaning where the number of cells is wrong
    text_ends: Offsets

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.starts)

    def __getitem__(self, rows: slice | Flags) -> "Spans":
        """Return some of the records."""
        return Spans(*(getattr(self, name)[rows] for name in self.__slots__))

    def shifted(self, by: int) -> "Spans":
        """Return the same records with larger offsets."""
        cells = self.cells
        moved = {name: getattr(self, name) + by for name in self.__slots__ if name != "cells"}
        return Spans(cells=cells, **moved)

    @classmethod
    def joined(cls, parts: "list[Spans]") -> "Spans":
        """Return the records of several, in order."""
        empty = np.zeros(0, np.int64)
        return cls(
            *(np.concatenate([empty, *(getattr(p, n) for p in parts)]) for n in cls.__slots__)
        )


def scan(data: NDArray[np.uint8], dialect: Dialect, text_cell: int, cap: int) -> tuple[Spans, bool]:
    """Split as many complete records as are sure to be right.

    Args:
        data: UTF-8 from the first byte of a record on.
        dialect: How records are delimited.
        text_cell: Number of the cell whose offsets are wanted.
        cap: Largest distance from a record's first byte to the last of its line ending.

    Returns:
        The records, and whether the one after them is irregular (as opposed to incomplete).
    """
    separators = (data == dialect.delimiter) | (data == dialect.ending)
    special = np.flatnonzero(separators | (data == QUOTE) if dialect.quoting else separators)
    kinds = data[special]
    sure, separates = len(special), np.ones(len(special), np.bool_)
    if dialect.quoting:
        sure, separates = _separating(data, special, kinds, dialect)
    separates = separates[:sure]
    spans = _spans(data, special[:sure][separates], kinds[:sure][separates], dialect, text_cell)
    too_long = np.flatnonzero(spans.stops - spans.starts > cap + 1)
    if too_long.size:
        return spans[: int(too_long[0])], True
    return spans, sure < len(special)


def _separating(
    data: NDArray[np.uint8], special: Offsets, kinds: NDArray[np.uint8], dialect: Dialect
) -> tuple[int, Flags]:
    """Return how many special bytes are read rightly, and which of them separate cells."""
    quotes = kinds == QUOTE
    is_quote = quotes & ~_escaped(data, special, quotes) if dialect.escape else quotes
    sure, inside = _parity(data, special, is_quote, dialect)
    if sure < len(special):
        data_quotes = _quotes_of_plain_lines(data, special, kinds, dialect)
        second = _parity(data, special, is_quote & ~data_quotes, dialect, data_quotes)
        if second[0] > sure:
            sure, inside = second
    return sure, ~(quotes | inside)


def _escaped(data: NDArray[np.uint8], special: Offsets, quotes: Flags) -> Flags:
    """Tell which special bytes are quotes behind an odd number of backslashes."""
    found = np.zeros(len(special), np.bool_)
    slashes = np.flatnonzero(data == BACKSLASH)
    if not slashes.size:
        return found
    begins = np.concatenate([[True], np.diff(slashes) > 1])
    first = slashes[np.maximum.accumulate(np.where(begins, np.arange(len(slashes)), 0))]
    before = np.searchsorted(slashes, special) - 1  # the last backslash before each
    behind = quotes & (before >= 0) & (slashes[before] == special - 1)
    found[behind] = (special[behind] - first[before[behind]]) % 2 == 1
    return found


def _parity(
    data: NDArray[np.uint8],
    special: Offsets,
    is_quote: Flags,
    dialect: Dialect,
    data_quotes: Flags | None = None,
) -> tuple[int, Flags]:
    """Return how many special bytes are read rightly, and which of them are in a quoted cell.

    A quote's own flag tells whether the byte after it is.
    """
    inside = (np.cumsum(is_quote, dtype=np.uint8) & 1).astype(np.bool_)
    which = np.flatnonzero(is_quote)
    wrong = which[_misplaced(data, special[which], inside[which], dialect)]
    if data_quotes is not None:  # they are data only outside of quoted cells
        wrong = np.sort(np.concatenate([wrong, np.flatnonzero(data_quotes & inside)]))
    return (int(wrong[0]) if wrong.size else len(special)), inside


def _misplaced(data: NDArray[np.uint8], quotes: Offsets, opens: Flags, dialect: Dialect) -> Flags:
    """Tell which quotes neither open nor close a cell nor belong to a pair."""
    last = len(data) - 1
    neighbours = np.where(opens, quotes - 1, quotes + 1)
    found = data[np.clip(neighbours, 0, last)]
    allowed = (found == dialect.delimiter) | (found == dialect.ending)
    if dialect.escape:
        allowed |= (neighbours < 0) | (neighbours > last)
    else:
        allowed |= found == QUOTE  # beyond the data: the quote itself, so no fault
    wrong: Flags = ~allowed
    if dialect.ending == LF and wrong.any():
        after = np.minimum(neighbours + 1, last)
        crlf = (found == CR) & ((data[after] == LF) | (neighbours == last))
        wrong &= opens | ~crlf
    return wrong


def _quotes_of_plain_lines(
    data: NDArray[np.uint8], special: Offsets, kinds: NDArray[np.uint8], dialect: Dialect
) -> Flags:
    """Tell which quotes stand on a physical line that has no quote at a cell's start.

    If such a line begins a record, then all its quotes are data, as TSV is often written.
    """
    is_quote = kinds == QUOTE
    previous = data[np.maximum(special - 1, 0)]
    at_start = (previous == dialect.delimiter) | (previous == dialect.ending) | (special == 0)
    lines = np.cumsum(kinds == dialect.ending)
    opened = np.zeros(int(lines[-1]) + 1, np.bool_)
    opened[lines[is_quote & at_start]] = True
    plain: Flags = is_quote & ~opened[lines]
    return plain


def _spans(
    data: NDArray[np.uint8],
    separators: Offsets,
    kinds: NDArray[np.uint8],
    dialect: Dialect,
    text_cell: int,
) -> Spans:
    last = np.flatnonzero(kinds == dialect.ending)  # each record's last separator
    first = np.concatenate([[0], last[:-1] + 1])[: len(last)]
    stops = separators[last] + 1
    starts = np.concatenate([[0], stops[:-1]])[: len(last)]
    ends = stops - 1
    if dialect.ending == LF:
        ends = ends - ((ends > starts) & (data[np.maximum(ends - 1, 0)] == CR))
    cells = last - first + 1
    right = np.minimum(first + text_cell, last)
    text_ends = np.where(right == last, ends, separators[right])
    left = np.minimum(right, first + text_cell - 1)
    text_starts = separators[left] + 1 if text_cell else starts
    return Spans(starts, ends, stops, cells, text_starts, text_ends)
