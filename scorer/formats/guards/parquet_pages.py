"""What a Parquet file says of its pages, read without pyarrow."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scorer.formats.guards.thrift import Compact

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


def chunk_of(column: Any) -> Chunk:
    """Return what the footer says about a column chunk; ValueError where it is damaged."""
    fields = column.get(3) if isinstance(column, dict) else None
    physical, codec, values, data, dictionary = (number_of(fields, i) for i in (1, 4, 5, 9, 11))
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
    kind, size, packed = (number_of(header, i) for i in (1, 2, 3))
    if kind in _DETAILS:
        field, encoding_field = _DETAILS[kind]
        details = header.get(field)
        values, encoding = number_of(details, 1), number_of(details, encoding_field)
    else:
        values = encoding = 0  # of a kind that readers pass over
    if min(kind, size, packed, values, encoding) < 0:
        return None
    return Page(kind == _DICTIONARY, kind in _HOLD_VALUES, encoding, values, size, packed, at)


def number_of(fields: Any, number: int) -> int:
    """Return the number in a field, or -1 where it is something else."""
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
