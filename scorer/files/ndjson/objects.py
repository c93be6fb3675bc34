"""Many lines of NDJSON at once: vectorised where all is well, strict where there is a doubt.

pyarrow's parser reads the text out of lines that begin with `{` and end with `}`. It looks at
bytes, not at lines, but `}` and `{` can only meet between two objects: as many objects as lines,
so each line is one. What it lets pass and the rules do not, NaN and the like, and what it
refuses though it is valid, is kept from it: such lines are read one by one. Where it refuses
anything else, all lines at hand are.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from scorer.files.cells import Flags, Offsets, content_of, not_utf8, pieces
from scorer.files.ndjson.lines import Lines
from scorer.files.ndjson.strict import MOST_DEPTH, SPACE, Failure, Keys, Row, read_line
from scorer.records import Reject

# Surrogates, NaN and infinities outside of strings, and a byte that ends the parser's input.
_DOUBTFUL = r"\\u[dD][89a-fA-F]|[:\[,][ \t\r]*-?(?:NaN|Inf)|\x00"
# A name in plain ASCII can be spelled otherwise only so.
_SPELLED_ASCII = r"\\u00[2-7]"
_ANY_ESCAPE = r"\\"


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Lines that are rows; all arrays and the texts are [rows]."""

    data: bytes
    starts: Offsets
    braces: Offsets  # of the object's last brace
    stops: Offsets
    bare: Flags  # which objects have no members
    texts: pl.Series  # String
    rejects: tuple[tuple[int, Reject], ...] = ()  # each with the number of rows before it

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.starts)

    def rows(self, start: int, stop: int) -> "Objects":
        """Return some of the rows, without the rejects."""
        here = slice(start, stop)
        offsets = (self.starts[here], self.braces[here], self.stops[here], self.bare[here])
        return Objects(self.data, *offsets, self.texts[here])

    def first(self, rows: int) -> "Objects":
        """Return the first rows and the rejects among them."""
        found = self.rows(0, rows)
        rejects = tuple(each for each in self.rejects if each[0] < rows)
        return Objects(
            self.data, found.starts, found.braces, found.stops, found.bare, found.texts, rejects
        )


class ObjectReader:
    """Finds the rows among lines."""

    def __init__(self, keys: Keys, cap: int) -> None:
        self._keys = keys
        self._cap = cap
        taken = [re.escape(f'"{name}"') for name in keys.appended if _is_literal(name)]
        self._doubtful = "|".join([doubtful(keys.text, *keys.appended), *taken])
        schema = pa.schema([pa.field(keys.text, pa.string())])
        self._options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")

    def read(self, lines: Lines) -> Objects:
        """Return the rows and rejects among the lines."""
        too_long = lines.ends - lines.starts > self._cap
        bad_bytes = not_utf8(lines.data, lines.starts, lines.ends, int(lines.stops[-1]))
        lost = too_long | bad_bytes
        regular = ~lost & self._is_regular(lines)
        texts = self._parsed(lines, regular)
        if texts is None:
            texts, regular = pa.array([], pa.string()), np.zeros_like(regular)
        return _Assembly(lines, regular, texts, self._cap).all_rows(self._keys, too_long, bad_bytes)

    def _is_regular(self, lines: Lines) -> Flags:
        """Tell which lines pyarrow's parser is sure to judge as the rules do."""
        data = np.frombuffer(lines.data, np.uint8)
        last = np.maximum(lines.ends - 1, 0)
        before = data[np.maximum(lines.ends - 2, 0)]
        framed = (data[lines.starts] == ord("{")) & (data[last] == ord("}"))
        framed &= (lines.ends - lines.starts > 1) & ~np.isin(before, list(SPACE))
        whole = data[int(lines.starts[0]) : int(lines.stops[-1])]
        opens = (whole == ord("{")) | (whole == ord("["))
        openers = np.add.reduceat(opens.astype(np.int32), lines.starts - lines.starts[0])
        framed &= openers <= MOST_DEPTH
        content = pieces(lines.data, lines.starts, lines.ends, pa.binary())
        doubtful = pc.match_substring_regex(content, self._doubtful)
        regular: Flags = framed & ~doubtful.to_numpy(zero_copy_only=False)
        return regular

    def _parsed(self, lines: Lines, regular: Flags) -> pa.StringArray | None:
        """Return the texts of the regular lines, or None where one of them is not so regular."""
        if not regular.any():
            return pa.array([], pa.string())
        if regular.all():
            content = lines.data[int(lines.starts[0]) : int(lines.stops[-1])]
        else:
            starts, stops = lines.starts[regular], lines.stops[regular]
            content = content_of(pieces(lines.data, starts, stops, pa.binary()))
        reading = pj.ReadOptions(use_threads=False, block_size=len(content) + 1)
        try:
            table = pj.read_json(pa.BufferReader(content), reading, self._options)
        except pa.ArrowInvalid:
            return None
        return table.column(0).combine_chunks() if len(table) == regular.sum() else None


def doubtful(*names: str) -> str:
    """Return a regular expression for lines in which pyarrow may not find what the rules find.

    Args:
        names: Of the keys that are looked for.
    """
    return f"{_DOUBTFUL}|{_SPELLED_ASCII if all(map(_is_plain, names)) else _ANY_ESCAPE}"


def _is_plain(name: str) -> bool:
    """Tell whether a name can be spelled otherwise only by numbers of ASCII characters."""
    return _is_literal(name) and name.isascii() and "/" not in name


def _is_literal(name: str) -> bool:
    """Tell whether a name stands in JSON as it is, unless it is spelled by numbers."""
    return all(c >= " " and c not in '"\\' for c in name)


class _Assembly:
    """Rows that were read at once, and those that are read one by one."""

    def __init__(self, lines: Lines, regular: Flags, texts: pa.StringArray, cap: int) -> None:
        self._cap = cap
        self._lines = lines
        self._regular = regular
        self._fast = texts

    def all_rows(self, keys: Keys, too_long: Flags, bad_bytes: Flags) -> Objects:
        """Read the other lines strictly and return all in order."""
        lines, data = self._lines, np.frombuffer(self._lines.data, np.uint8)
        is_row = self._regular.copy()
        braces = lines.ends - 1
        bare = data[np.maximum(braces - 1, 0)] == ord("{")
        slow: list[str | None] = []
        lost: list[tuple[int, Failure]] = []
        for i in np.flatnonzero(~self._regular).tolist():
            found = self._read_singly(i, keys, bool(too_long[i]), bool(bad_bytes[i]))
            if isinstance(found, Failure):
                lost.append((i, found))
                continue
            is_row[i], bare[i] = True, found.bare
            braces[i] = lines.starts[i] + found.brace
            slow.append(found.text)
        rejects = tuple(self._rejects(lost, is_row))
        texts = self._texts(slow, is_row)
        return Objects(
            lines.data, lines.starts[is_row], braces[is_row], lines.stops[is_row], bare[is_row],
            texts, rejects,
        )  # fmt: skip

    def _read_singly(self, i: int, keys: Keys, too_long: bool, bad_bytes: bool) -> Row | Failure:
        if too_long:
            return Failure("record-too-long", f"the line is longer than {self._cap} bytes")
        if bad_bytes:
            return Failure("encoding", "bytes that are not UTF-8")
        return read_line(self._lines.content(i), keys)

    def _texts(self, slow: list[str | None], is_row: Flags) -> pl.Series:
        texts = in_order(self._fast, slow, self._regular[is_row])
        return pl.Series("text", pl.from_arrow(texts), dtype=pl.String)

    def _rejects(
        self, lost: list[tuple[int, Failure]], is_row: Flags
    ) -> Iterator[tuple[int, Reject]]:
        before = np.cumsum(is_row)
        for i, why in lost:
            raw = _first_bytes(self._lines.content(i), self._cap)
            yield int(before[i]), Reject(self._lines.first + i, why.kind, why.reason, raw)


def in_order(fast: pa.StringArray, slow: list[str | None], regular: Flags) -> pa.StringArray:
    """Return the values of regular lines and of the others, each in its place."""
    if not slow:
        return fast
    order = np.where(regular, np.cumsum(regular) - 1, len(fast) + np.cumsum(~regular) - 1)
    return pa.concat_arrays([fast, pa.array(slow, pa.string())]).take(pa.array(order))


def _first_bytes(line: bytes, cap: int) -> bytes:
    """Cut a line that is too long, not in the middle of a character."""
    stop = cap
    while len(line) > cap and cap - stop < 4 and line[stop] & 0xC0 == 0x80:
        stop -= 1
    return line[:stop]
