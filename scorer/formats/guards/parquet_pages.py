"""What a Parquet file says of itself, read without pyarrow: row groups, column chunks, pages.

The footer and the page headers are Thrift's compact protocol.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_DEEPEST = 16  # structs and lists in each other; Parquet's are six deep


class Compact:
    """A reader of Thrift; IndexError where the bytes end too early, ValueError if they are none."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._integer()
            fields[number] = self._value(kind & 15, depth + 1)
        return fields

    def elements_of_field(self, number: int) -> Iterator[Any]:
        """Read a struct and yield the elements of one of its lists, one in memory at a time."""
        at = 0
        while kind := self._byte():
            at = at + (kind >> 4) if kind >> 4 else self._integer()
            if at == number and kind & 15 == 9:
                yield from self._elements(1)
            else:
                self._value(kind & 15, 1)

    def _elements(self, depth: int) -> Iterator[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        for _ in range(size):
            # A truth value takes a byte here, as a small number does.
            yield self._value(3 if head & 15 in {1, 2} else head & 15, depth + 1)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {1, 2}:
            return kind == 1
        if kind in {4, 5, 6}:
            return self._integer()
        if kind == 8:
            return self._skip(self._varint())
        if kind in {3, 7}:
            return self._skip(1 if kind == 3 else 8)
        if kind in {9, 12} and depth < _DEEPEST:
            return self.struct(depth) if kind == 12 else list(self._elements(depth))
        raise ValueError(f"there is a field of type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number has no end")
        return number | byte << shift

    def _integer(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError


_MOST_HEADER = 16 << 20  # bytes; pyarrow's own limit
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_HOLD_VALUES = {_DATA, _DATA_V2}
_DETAILS = {_DATA: (5, 2), _DICTIONARY: (7, 2), _DATA_V2: (8, 4)}  # field, and its encoding's


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the footer says about one column of a row group."""

    physical: int  # the number of its type
    codec: int
    values: int  # nulls included
    start: int  # of its first page in the file


@dataclass(frozen=True, slots=True)
class Group:
    """What the footer says about one row group."""

    rows: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """What the header of one page says."""

    dictionary: bool
    data: bool  # a page of another kind holds nothing that is read
    encoding: int
    values: int  # nulls included
    size: int  # bytes when decompressed
    packed: int  # bytes in the file
    at: int  # of the first byte after the header


def groups_of(path: Path) -> Iterator[Group]:
    """Yield the row groups of a file that ends with a footer.

    Raises:
        ValueError: The footer is damaged.
    """
    with path.open("rb") as file:
        length = file.seek(-8, os.SEEK_END)
        size = int.from_bytes(file.read(4), "little")
        file.seek(max(0, length - size))
        compact = Compact(file.read(size))
    try:
        for group in compact.elements_of_field(4):
            yield _group(group)
    except IndexError:
        raise ValueError("the footer has no end") from None


def _group(fields: dict[int, Any]) -> Group:
    columns = fields.get(1)
    rows = _number(fields, 3)
    if rows < 0 or not isinstance(columns, list):
        raise ValueError("a row group of the footer is damaged")
    return Group(rows, tuple(_chunk(column) for column in columns))


def _chunk(column: Any) -> Chunk:
    fields = column.get(3) if isinstance(column, dict) else None
    physical, codec, values, data, dictionary = (_number(fields, i) for i in (1, 4, 5, 9, 11))
    if min(physical, codec, values, data) < 0:
        raise ValueError("a column of the footer is damaged")
    start = min(data, dictionary) if dictionary > 0 else data
    return Chunk(physical, codec, values, start)


def pages_of(file: int, start: int, values: int) -> Iterator[Page]:
    """Yield the pages of a column chunk of so many values, from their headers alone.

    Args:
        file: A descriptor.
        start: Of the chunk's first page.
        values: How many the chunk has.

    Raises:
        ValueError: What is there is no page.
    """
    end = os.fstat(file).st_size
    while values > 0:
        header, length = _read_header(file, start)
        page = _page(header, start + length)
        if page is None or page.at + page.packed > end:
            raise ValueError(f"there is no page header at byte {start:,}")
        yield page
        start = page.at + page.packed
        values -= page.values if page.data else 0


def _page(header: dict[int, Any], at: int) -> Page | None:
    """Return None where a number is missing or negative."""
    kind, size, packed = (_number(header, i) for i in (1, 2, 3))
    if kind in _DETAILS:
        field, encoding_field = _DETAILS[kind]
        details = header.get(field)
        values, encoding = _number(details, 1), _number(details, encoding_field)
    else:
        values = encoding = 0  # of a kind that readers pass over
    if min(kind, size, packed, values, encoding) < 0:
        return None
    return Page(kind == _DICTIONARY, kind in _HOLD_VALUES, encoding, values, size, packed, at)


def _number(fields: Any, number: int) -> int:
    """Return a field's number, or -1 where it is something else."""
    value = fields.get(number) if isinstance(fields, dict) else None
    return value if type(value) is int else -1


def _read_header(file: int, start: int) -> tuple[dict[int, Any], int]:
    size = 1 << 10
    while True:
        compact = Compact(os.pread(file, size, start))
        try:
            return compact.struct(), compact.at
        except IndexError:
            if size >= _MOST_HEADER or len(compact.data) < size:
                raise ValueError(f"the page header at byte {start:,} has no end") from None
            size *= 16
