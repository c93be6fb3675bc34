"""Splits a stream of UTF-8 CSV into records: vectorised where all is well, strict everywhere.

What a reject costs: a wrong number of cells or a byte that is not the encoding costs the record.
Where quotes are broken or the cap is passed, the end of the record is unknown: that
costs its first physical line, and the lines behind it that had been read already are taken one
line each (a quoted cell must close on its line there). So an open quote swallows nothing, and no
byte is read more than a fixed number of times.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from scorer.formats.base import RECORD_CAP
from scorer.formats.csv.scan import Spans, scan
from scorer.formats.text.cells import not_utf8
from scorer.formats.text.dialects import LF, Dialect, Failure, Record, read_record
from scorer.records import Reject, RejectKind

_SMALL_SCAN = 1 << 12  # bytes; after an irregular record
_LARGE_SCAN = 1 << 18  # bytes; offsets of separators take 50 times the memory of their bytes
_WHOLE_BLOCK = 1 << 30  # bytes; more than a block ever has
_LARGEST_RUN = 1 << 10  # irregular records read in a row before the next scan
_ROWS_AT_ONCE = 1 << 17  # so that a block of nothing but line ends does not fill the memory
_REJECTS_AT_ONCE = 1 << 13  # so that a block of nothing but rejects does not fill the memory


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """The rows found in one block, or in a part of it."""

    data: bytes
    spans: Spans
    dialect: Dialect
    rejects: tuple[tuple[int, Reject], ...] = ()  # each with the number of rows before it

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.spans)

    def rows(self, start: int, stop: int) -> "Records":
        """Return some of the rows, without the rejects."""
        return Records(self.data, self.spans[start:stop], self.dialect)

    def first(self, rows: int) -> "Records":
        """Return the first rows and the rejects among them."""
        rejects = tuple(each for each in self.rejects if each[0] < rows)
        return Records(self.data, self.spans[:rows], self.dialect, rejects)


@dataclass(frozen=True, slots=True)
class _Lost:
    """A reject whose line is not counted yet."""

    start: int
    kind: RejectKind
    reason: str
    raw: bytes


class RecordSplitter:
    """Cuts blocks into records; the result does not depend on where the blocks were cut."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        cells: int,
        text_cell: int,
        first_line: int = 1,
        cap: int = RECORD_CAP,
    ) -> None:
        self._dialect = dialect
        self._cells = cells
        self._text_cell = text_cell
        self._line = first_line
        self._cap = cap
        self._rest = b""
        self._in_long_line = False
        self._doubtful = 0  # lines that end before this offset are read one by one
        self._window = _LARGE_SCAN
        self._run = 1

    def split(self, block: bytes, *, final: bool) -> Iterator[Records]:
        """Yield the records that are complete with this block; `final` completes the last.

        They come in parts, so that the rejects of each are few.
        """
        data = self._rest + block
        at = start = 0
        more = True
        while more:
            spans, lost, at, more = self._structure(data, start, final)
            yield from self._checked(data, spans, lost, start, at)
            start = at
        self._rest = data[at:]
        self._doubtful = max(0, self._doubtful - at)

    def _structure(
        self, data: bytes, start: int, final: bool
    ) -> tuple[Spans, list[_Lost], int, bool]:
        """Return the records from `start` on, where they end, and whether there may be more."""
        array = np.frombuffer(data, np.uint8)
        parts: list[Spans] = []
        lost: list[_Lost] = []
        at = start or self._end_of_long_line(data)
        more = at < len(data)
        while more and len(lost) < _REJECTS_AT_ONCE and _rows(parts) < _ROWS_AT_ONCE:
            if at >= self._doubtful:
                at = self._scan(array, at, parts)
            before = at
            at = self._read_singly(data, at, final, parts, lost)
            more = before < at < len(data)  # else what is left may go on in the next block
        return Spans.joined(parts), lost, at, more

    def _end_of_long_line(self, data: bytes) -> int:
        if not self._in_long_line:
            return 0
        found = data.find(self._dialect.ending)
        self._in_long_line = found < 0
        return len(data) if found < 0 else found + 1

    def _scan(self, array: NDArray[np.uint8], at: int, parts: list[Spans]) -> int:
        """Scan in windows; return where they were enough, or an irregular record begins.

        A window grows after damage, and to hold a record that is longer than it.
        """
        while True:
            window = array[at : at + self._window]
            spans, irregular = scan(window, self._dialect, self._text_cell, self._cap)
            whole = at + self._window >= len(array)
            if len(spans):
                parts.append(spans.shifted(at))
                at += int(spans.stops[-1])
            if irregular:
                self._run = 1 if len(spans) > self._run else min(2 * self._run, _LARGEST_RUN)
                self._window = _SMALL_SCAN
                return at
            self._run = 1
            self._window = min(4 * self._window, _LARGE_SCAN if len(spans) else _WHOLE_BLOCK)
            if whole or _rows(parts) >= _ROWS_AT_ONCE:
                return at

    def _read_singly(
        self, data: bytes, at: int, final: bool, parts: list[Spans], lost: list[_Lost]
    ) -> int:
        """Read the next few records strictly, as far as they are complete."""
        found: list[tuple[int, Record]] = []
        for _ in range(self._run):
            limit = self._limit(data, at, final)
            if limit is None:
                break
            result = read_record(
                data, at, self._dialect, limit, at_end=final and limit == len(data)
            )
            if isinstance(result, Record):
                found.append((at, result))
                at = result.stop
            else:
                at = self._lose_line(data, at, result, lost)
        if found:
            parts.append(self._spans_of(found))
        return at

    def _limit(self, data: bytes, at: int, final: bool) -> int | None:
        """Return where the record at `at` must have ended, or None where that is not known yet."""
        if at < self._doubtful:
            found = data.find(self._dialect.ending, at, self._doubtful)
            if found >= 0:
                return found + 1
        limit = at + self._cap + 1
        if at == len(data) or (limit >= len(data) and not final):
            return None
        return min(limit, len(data))

    def _lose_line(self, data: bytes, at: int, failure: Failure, lost: list[_Lost]) -> int:
        """Note a reject, and return the offset behind its first physical line."""
        found = data.find(self._dialect.ending, at)
        stop = len(data) if found < 0 else found + 1
        kind, reason = failure.kind, failure.reason
        if stop - at > self._cap + 1:
            kind, reason = "record-too-long", f"the line is longer than {self._cap} bytes"
        lost.append(_Lost(at, kind, reason, self._raw(data, at, stop)))
        self._in_long_line = found < 0
        self._doubtful = max(self._doubtful, failure.reach)
        return stop

    def _spans_of(self, found: list[tuple[int, Record]]) -> Spans:
        texts = [r.cells[min(self._text_cell, len(r.cells) - 1)] for _, r in found]
        columns = (
            [start for start, _ in found],
            [r.end for _, r in found],
            [r.stop for _, r in found],
            [len(r.cells) for _, r in found],
            [start for start, _ in texts],
            [end for _, end in texts],
        )
        return Spans(*(np.array(column, np.int64) for column in columns))

    def _raw(self, data: bytes, start: int, stop: int) -> bytes:
        """Return a lost line as far as the cap, without its line ending."""
        if stop - start > self._cap + 1:
            stop = start + self._cap
            while data[stop] & 0xC0 == 0x80 and start + self._cap - stop < 4:
                stop -= 1  # not in the middle of a character
            return data[start:stop]
        line = data[start:stop]
        if self._dialect.ending == LF and line.endswith(b"\r\n"):
            return line[:-2]
        return line.removesuffix(bytes([self._dialect.ending]))

    def _checked(
        self, data: bytes, spans: Spans, lost: list[_Lost], start: int, stop: int
    ) -> Iterator[Records]:
        """Take out rows with a wrong number of cells or bytes that are not the encoding."""
        bad_bytes = not_utf8(data, spans.starts, spans.ends, stop)
        dropped = bad_bytes | (spans.cells != self._cells)
        first_of = np.sort(np.append(spans.starts[dropped], [each.start for each in lost]))
        cuts = first_of[_REJECTS_AT_ONCE::_REJECTS_AT_ONCE].astype(np.int64).tolist()
        for begin, end in pairwise([start, *cuts, stop]):
            here = slice(*np.searchsorted(spans.starts, (begin, end)).tolist())
            lines = slice(
                *(bisect_left(lost, at, key=lambda each: each.start) for at in (begin, end))
            )
            rejects = lost[lines] + [
                self._lost_record(data, spans, i, bool(bad_bytes[i]))
                for i in (here.start + np.flatnonzero(dropped[here])).tolist()
            ]
            rejects.sort(key=lambda each: each.start)
            yield self._numbered(data, spans[here][~dropped[here]], rejects, begin, end)

    def _numbered(
        self, data: bytes, rows: Spans, lost: list[_Lost], begin: int, end: int
    ) -> Records:
        """Count the lines from `begin` to `end`, and give each reject its own."""
        endings = np.flatnonzero(np.frombuffer(data, np.uint8)[begin:end] == self._dialect.ending)
        starts = np.array([each.start for each in lost], np.int64)
        lines = (self._line + np.searchsorted(endings, starts - begin)).tolist()
        before = np.searchsorted(rows.starts, starts).tolist()
        rejects = tuple(
            (row, Reject(line, each.kind, each.reason, each.raw))
            for row, line, each in zip(before, lines, lost, strict=True)
        )
        self._line += len(endings)
        return Records(data, rows, self._dialect, rejects)

    def _lost_record(self, data: bytes, spans: Spans, i: int, bad_bytes: bool) -> _Lost:
        start, end, cells = int(spans.starts[i]), int(spans.ends[i]), int(spans.cells[i])
        if bad_bytes:
            return _Lost(start, "encoding", "bytes that are not the encoding", data[start:end])
        found = f"{cells} cell{'s' * (cells != 1)} where {self._cells} are expected"
        reason = "a blank line" if start == end else found
        return _Lost(start, "field-count", reason, data[start:end])


def _rows(parts: list[Spans]) -> int:
    return sum(map(len, parts))
