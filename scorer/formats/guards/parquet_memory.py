"""Finds how many rows of a Parquet row group can be read at once, before any is read.

A reader's memory is the pages that it holds, one of each column, and the rows that it has
decoded. A file of a few hundred bytes can make both as large as it likes: by pages that expand,
by a dictionary whose one long value is repeated for ever, by values that repeat the beginning of
the last one. The page headers say: batches are cut to fit, and a file is refused only where
what must be in memory at once is too much.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError
from scorer.formats.guards.parquet_pages import Chunk, Group, Page, pages_of

BATCH_ROWS = 16_384  # rows read at once, where they are not too large
BATCH_BYTES = 64 << 20  # bytes of decoded rows that are read at once

_MOST_PAGE = 256 << 20  # bytes of one page
_MOST_PAGES = 2 << 30  # bytes of one page of each column, and its dictionary
_MOST_ROW = 512 << 20  # bytes of a single row
_MOST_NESTED = 1 << 30  # bytes of a chunk of lists that may be far smaller in the file
_HONEST = 64  # times that lists may be larger in memory than in the file

_MiB = 1 << 20
_MOST_COUNTED = 1 << 20  # values of a dictionary that are measured one by one

# By the numbers of the format.
_WIDTHS = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}  # bytes of a value in memory
_FIXED = 7
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_OVERHEAD = 8  # bytes that a value costs beside its own: offset, validity, levels
_DICTIONARIES = {2, 8}  # encodings
_PREFIXED = 7  # each value begins like the one before it


@dataclass(frozen=True, slots=True)
class ReadingPlan:
    """How one row group can be read."""

    rows: int  # of the row group
    batch: int  # rows at once


def reading_plans(
    path: Path,
    groups: Iterable[Group],
    columns: Sequence[pq.ColumnSchema],
    name: str | None = None,
) -> Iterator[ReadingPlan]:
    """Yield for each row group how many rows fit a batch.

    Args:
        path: The file.
        groups: What its footer says about some columns.
        columns: These, as pyarrow knows them.
        name: Of the one among them that is read, with those inside of it; None: all.

    Raises:
        DataError: footer or page headers are damaged, or bounded reading is impossible.
    """
    read = [name is None or c.path == name or c.path.startswith(f"{name}.") for c in columns]
    try:
        for number, group in enumerate(groups):
            where = f"row group {number + 1} of {path}"
            pairs = compress(zip(group.chunks, columns, strict=True), read)
            yield ReadingPlan(group.rows, _batch_rows(path, where, group.rows, pairs))
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path} is damaged: {error}", "write it again") from error


def _batch_rows(
    path: Path, where: str, rows: int, chunks: Iterable[tuple[Chunk, pq.ColumnSchema]]
) -> int:
    held, row = 0, 0.0
    with path.open("rb") as file:
        for chunk, column in chunks:
            size = _ChunkSize(f"column {column.path!r} in {where}", chunk, column, rows)
            row += size.row_cost(file.fileno())
            held += size.held
    if held > _MOST_PAGES:
        raise _too_large(f"the pages of {where} that are read together take", held)
    if row > _MOST_ROW:
        raise _too_large(f"a row of {where} takes", row)
    return max(1, min(BATCH_ROWS, int(BATCH_BYTES / max(row, 1))))


class _ChunkSize:
    """The memory that one column chunk takes."""

    def __init__(self, where: str, chunk: Chunk, column: pq.ColumnSchema, rows: int) -> None:
        self.held = 0  # bytes of its largest page and its dictionary
        self._where = where
        self._chunk = chunk
        self._nested = column.max_repetition_level > 0
        self._rows = rows
        self._width = column.length if chunk.physical == _FIXED else _WIDTHS.get(chunk.physical, 0)
        self._longest = 0  # bytes of a value of the dictionary

    def row_cost(self, file: int) -> float:
        """Return the bytes that a row costs where its values are largest."""
        largest = dictionary = packed = values = 0
        cost = 0.0  # of a value
        for page in pages_of(file, self._chunk.start, self._chunk.values):
            if page.size > _MOST_PAGE:
                raise _too_large(f"a page of {self._where} takes", page.size)
            packed += page.packed
            if page.dictionary:
                dictionary = max(dictionary, page.size)
                self._longest = max(self._longest, self._longest_of(file, page))
            elif page.data:
                largest = max(largest, page.size)
                values += page.values
                cost = max(cost, _OVERHEAD + self._value_cost(page))
        self.held = largest + dictionary
        if not self._nested:
            if values != self._rows:
                raise ValueError(f"{self._where} has {values:,} values for {self._rows:,} rows")
            return cost
        if cost * values > max(_MOST_NESTED, _HONEST * packed):
            raise _too_large(
                f"{self._where}: lists that cannot be read in pieces take", cost * values
            )
        return cost * values / max(self._rows, 1)

    def _value_cost(self, page: Page) -> float:
        if self._width:
            return self._width
        if page.encoding in _DICTIONARIES:
            return self._longest
        return page.size if page.encoding == _PREFIXED else page.size / max(page.values, 1)

    def _longest_of(self, file: int, page: Page) -> int:
        """Return the bytes of the dictionary's longest value, where they can matter."""
        least = self._width or 4  # bytes of a value in the page
        if page.values * least > page.size:
            raise ValueError(f"the dictionary of {self._where} is too short")
        small = page.size <= BATCH_BYTES // BATCH_ROWS
        if self._width or small or page.values > _MOST_COUNTED or self._chunk.codec not in _CODECS:
            return page.size  # an upper bound
        return _longest(self._decompressed(file, page), page.values)

    def _decompressed(self, file: int, page: Page) -> bytes:
        packed = os.pread(file, page.packed, page.at)
        if self._chunk.codec == 0:
            return packed
        codec = _CODECS[self._chunk.codec]
        unpacked: bytes = pa.decompress(packed, page.size, codec, asbytes=True)
        return unpacked


def _longest(dictionary: bytes, values: int) -> int:
    """Return the greatest of the lengths that precede the values, at most that of all of them."""
    unpack = struct.Struct("<I").unpack_from
    last = len(dictionary) - 4
    longest = at = 0
    for _ in range(values):  # hundreds of thousands
        if at > last:
            break
        (length,) = unpack(dictionary, at)
        if length > longest:  # noqa: PLR1730 - max() takes three times as long
            longest = length
        at += 4 + length
    return min(longest, len(dictionary))


def _too_large(what: str, size: float) -> DataError:
    return DataError(
        f"{what} {size / _MiB:,.0f} MiB of memory", "write it again in smaller row groups"
    )
