"""Blocks of NDJSON to whole lines, and the objects on them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import msgspec
import numpy as np
import polars as pl

from scorer.formats.ndjson.decoder import Decoder
from scorer.formats.ndjson.strict import (
    MOST_DEPTH,
    SPACE,
    Failure,
    Row,
    TextKeys,
    read_line,
    text_or_spelled,
)
from scorer.formats.text.cells import Flags, Offsets, not_utf8
from scorer.formats.text.columns import Keys
from scorer.records import Reject

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


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Lines that are rows; all arrays and the texts are [rows]."""

    data: bytes
    starts: Offsets
    braces: Offsets  # of the object's last brace
    stops: Offsets
    bare: Flags  # which objects have no members
    not_finite: Flags  # which objects have a constant that is no JSON
    texts: pl.Series  # String
    rejects: tuple[tuple[int, Reject], ...] = ()  # each with the number of rows before it

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts)

    def rows(self, start: int, stop: int) -> "Objects":
        """Return some of the rows, without the rejects."""
        here = slice(start, stop)
        offsets = (self.starts[here], self.braces[here], self.stops[here], self.bare[here])
        return Objects(self.data, *offsets, self.not_finite[here], self.texts[here])

    def lines(self) -> list[bytes]:
        """Return the lines with their line endings."""
        bounds = zip(self.starts.tolist(), self.stops.tolist(), strict=True)
        return [self.data[start:stop] for start, stop in bounds]

    def first(self, rows: int) -> "Objects":
        """Return the first rows and the rejects among them."""
        rejects = tuple(each for each in self.rejects if each[0] < rows)
        return replace(self.rows(0, rows), rejects=rejects)


class ObjectReader:
    """Finds the rows among lines."""

    def __init__(self, keys: TextKeys, cap: int) -> None:
        self._keys = keys
        self._cap = cap
        self._decoder = Decoder(keys.path, str | None, keys.appended)

    def read(self, lines: Lines) -> Objects:
        """Return the rows and rejects among the lines."""
        too_long = lines.ends - lines.starts > self._cap
        bad_bytes = not_utf8(lines.data, lines.starts, lines.ends, int(lines.stops[-1]))
        lost = dict[int, Failure]()
        singly = too_long | bad_bytes
        around = memoryview(lines.data)[int(lines.starts[0]) : int(lines.stops[-1])]
        framed = not singly.any() and _are_framed(lines)
        texts = self._decoder.all_values(around, len(lines)) if framed else None
        if texts is None:
            texts, doubts = self._decoder.values(lines.contents(), around)
            singly[doubts] = True
        braces, bare, odd = _last_braces(lines)
        not_finite = np.zeros_like(bare)
        for i in np.flatnonzero(odd & ~singly).tolist():
            braces[i], bare[i] = _last_brace(lines.content(i), int(lines.starts[i]))
        for i in np.flatnonzero(singly).tolist():
            found = self._read_singly(lines.content(i), bool(too_long[i]), bool(bad_bytes[i]))
            if isinstance(found, Row):
                texts[i], bare[i], not_finite[i] = found.text, found.bare, found.not_finite
                braces[i] = lines.starts[i] + found.brace
            else:
                lost[i] = found
        is_row = np.ones(len(lines), np.bool_)
        is_row[list(lost)] = False
        if lost:
            texts = list(compress(texts, is_row))
        return Objects(
            lines.data, lines.starts[is_row], braces[is_row], lines.stops[is_row], bare[is_row],
            not_finite[is_row], pl.Series("text", texts, dtype=pl.String),
            tuple(self._rejects(lines, lost, is_row)),
        )  # fmt: skip

    def _read_singly(self, line: bytes, too_long: bool, bad_bytes: bool) -> Row | Failure:
        if too_long:
            return Failure("record-too-long", f"the line is longer than {self._cap} bytes")
        if bad_bytes:
            return Failure("encoding", "bytes that are not UTF-8")
        return read_line(line, self._keys)

    def _rejects(
        self, lines: Lines, lost: dict[int, Failure], is_row: Flags
    ) -> Iterator[tuple[int, Reject]]:
        before = np.cumsum(is_row)
        for i, why in lost.items():
            raw = _first_bytes(lines.content(i), self._cap)
            yield int(before[i]), Reject(lines.first + i, why.kind, why.reason, raw)


def _are_framed(lines: Lines) -> bool:
    """Tell whether all lines begin with `{` and end with `}`, and none can be nested too deep."""
    data = np.frombuffer(lines.data, np.uint8)
    lengths = lines.ends - lines.starts
    if not lengths.all() or (data[lines.starts] != ord("{")).any():
        return False
    if (data[lines.ends - 1] != ord("}")).any():
        return False
    if int(lengths.max()) <= MOST_DEPTH:
        return True
    first = int(lines.starts[0])
    here = data[first : int(lines.stops[-1])]
    opens = (here == ord("{")) | (here == ord("["))
    counts = np.add.reduceat(opens, lines.starts - first, dtype=np.int32)
    return int(counts.max()) <= MOST_DEPTH


def _last_braces(lines: Lines) -> tuple[Offsets, Flags, Flags]:
    """Return where objects end and whether they are empty, if no white space is there.

    Also which lines may have some: they end in another byte, or in white space and a brace.
    """
    data = np.frombuffer(lines.data, np.uint8)
    braces = lines.ends - 1
    before = data[np.maximum(braces - 1, 0)]
    odd = (data[np.maximum(braces, 0)] != ord("}")) | np.isin(before, list(SPACE))
    return braces, before == ord("{"), odd


def _last_brace(line: bytes, start: int) -> tuple[int, bool]:
    brace = len(line.rstrip(SPACE)) - 1
    return start + brace, line[:brace].strip(SPACE) == b"{"


def _first_bytes(line: bytes, cap: int) -> bytes:
    """Cut a line that is too long, not in the middle of a character."""
    stop = cap
    while len(line) > cap and cap - stop < 4 and line[stop] & 0xC0 == 0x80:
        stop -= 1
    return line[:stop]


_WHOLE = re.compile(rb"-?[0-9]+")
SCALAR = re.compile(rb"-?[0-9].*|true|false")
_string = msgspec.json.Decoder(str).decode


class Values:
    """Takes strings, and other values as they are spelled, out of rows.

    Args:
        path: Keys, from the outermost.
        others: How other values are spelled that are taken; whole numbers are.
    """

    def __init__(self, path: Keys, others: re.Pattern[bytes] = _WHOLE) -> None:
        self._path = path
        self._others = others
        self._decoder = Decoder(path, msgspec.Raw)

    def of(self, rows: Objects) -> pl.Series:
        """Return String [rows]; null where a key is missing or there twice, or of another kind."""
        lines = rows.lines()
        found, doubts = self._decoder.values(lines, memoryview(rows.data))
        cells = list(map(self._spelled, found))
        for i in doubts:
            cells[i] = text_or_spelled(lines[i], self._path, self._others)
        return pl.Series(self._path[-1], cells, dtype=pl.String)

    def _spelled(self, value: Any) -> str | None:
        if value is None:
            return None
        raw = bytes(value)
        if raw.startswith(b'"'):
            return _string(raw) if b"\\" in raw else raw[1:-1].decode()
        return raw.decode() if self._others.fullmatch(raw) else None
