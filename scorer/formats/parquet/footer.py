"""The footer of a Parquet file as spans of bytes.

It is read by us before pyarrow reads any of it. What is not needed is passed over and stays as it
is, so fields that nobody here knows survive, and memory is the footer's own size, however many
column chunks it describes.
"""

import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scorer.errors import DataError
from scorer.formats.guards.parquet_pages import Group, chunk_of
from scorer.formats.guards.thrift import I32, I64, LIST, STRUCT, Compact
from scorer.formats.parquet.spans import (
    ENCRYPTED,
    ENCRYPTION,
    KEY_VALUES,
    NUM_ROWS,
    ROW_GROUPS,
    SCHEMA,
    SIGNING_KEY,
    VERSION,
    Groups,
    Refused,
    Span,
    TopColumn,
    columns_of,
)
from scorer.os_errors import reading

MAGIC = b"PAR1"
_TAIL = 8  # bytes after the footer: its length, and the magic


@dataclass(frozen=True, slots=True, eq=False)
class Footer:
    """A footer that has been found in order."""

    data: bytes
    start: int  # of the footer in the file
    fields: dict[int, Span]
    columns: tuple[TopColumn, ...]
    root: Span  # of the schema
    rows: "array[int]"  # of each row group
    heads: "array[int]"  # where each row group begins
    chunks: "array[int]"  # where each column chunk begins; after each row group's last its end
    has_page_index: bool  # whether any column chunk has an index of its pages

    @property
    def version(self) -> int:
        """The version of the format."""
        span = self.fields.get(VERSION)
        return Compact(self.data, span.begin).integer() if span and span.kind == I32 else 2

    @property
    def leaves(self) -> int:
        """The number of column chunks in each row group."""
        return self.columns[-1].last if self.columns else 0

    def chunk_bounds(self, group: int, first: int, last: int) -> tuple[int, int]:
        """Return where consecutive column chunks of a row group begin and end."""
        base = group * (self.leaves + 1)
        return self.chunks[base + first], self.chunks[base + last]

    def groups(self, columns: Sequence[TopColumn]) -> Iterator[Group]:
        """Yield the row groups with the column chunks of some columns.

        Raises:
            ValueError: One of these is damaged.
        """
        for group, rows in enumerate(self.rows):
            base = group * (self.leaves + 1)
            starts = (at for c in columns for at in self.chunks[base + c.first : base + c.last])
            found = (chunk_of(Compact(self.data, at).struct()) for at in starts)
            yield Group(rows, tuple(found))

    def value(self, field: int) -> bytes:
        """Return a field's bytes, none where it is missing."""
        span = self.fields.get(field)
        return self.data[span.begin : span.end] if span else b""

    def key_values(self) -> Iterator[tuple[bytes, bytes | None, bytes]]:
        """Yield each key with its value, and the bytes of both; ValueError if they are damaged."""
        if KEY_VALUES in self.fields:
            compact = Compact(self.data, self.fields[KEY_VALUES].begin)
            size, kind = compact.list_head()
            for _ in range(size):
                begin = compact.at
                fields = compact.struct() if kind == STRUCT else {}
                key, value = fields.get(1), fields.get(2)
                if type(key) is not bytes or type(value) not in {bytes, type(None)}:
                    raise ValueError("a key of the footer is damaged")
                yield key, value, self.data[begin : compact.at]


def read_footer(path: Path, file: int | None = None) -> Footer:
    """Read a file's footer.

    Args:
        path: The file.
        file: A descriptor of it, where it is open.

    Raises:
        DataError: It is no Parquet, or damaged, or encrypted, or has columns in other files.
    """
    with reading(path):
        if file is None:
            with path.open("rb") as opened:
                return read_footer(path, opened.fileno())
        try:
            return _parsed(*_tail(file))
        except IndexError:
            raise _damaged(path, "the footer has no end") from None
        except (ValueError, OverflowError) as error:
            raise _damaged(path, str(error)) from error
        except Refused as error:
            raise DataError(f"{path} {error.problem}", error.remedy) from None


def _damaged(path: Path, words: str) -> DataError:
    return DataError(f"{path} is not a readable Parquet file: {words}", "write it again")


def _tail(file: int) -> tuple[bytes, int]:
    """Return the footer, and where it begins."""
    size = os.fstat(file).st_size
    tail = os.pread(file, _TAIL, max(0, size - _TAIL))
    if tail[4:] == b"PARE":
        raise Refused(*ENCRYPTED)
    if size < len(MAGIC) + _TAIL or tail[4:] != MAGIC:
        raise ValueError(f"it does not end with {MAGIC.decode()}: it is cut, or of another format")
    length = int.from_bytes(tail[:4], "little")
    start = size - _TAIL - length
    if start < len(MAGIC):
        raise ValueError(f"its footer of {length:,} bytes is larger than the file")
    data = b"".join(_pieces(file, start, length))
    return data, start


def _pieces(file: int, at: int, left: int) -> Iterator[bytes]:
    while left:
        piece = os.pread(file, min(left, 1 << 30), at)
        if not piece:
            raise IndexError
        yield piece
        at += len(piece)
        left -= len(piece)


# A run reads its input's footer four times and its output's twice: of a million column chunks each
# takes 9 s. What is equal, byte for byte, is found in order once.
@lru_cache(maxsize=1)
def _parsed(data: bytes, start: int) -> Footer:
    compact = Compact(data)
    fields: dict[int, Span] = {}
    groups = Groups(data, start)
    columns: tuple[TopColumn, ...] = ()
    root = Span(STRUCT, 0, 0)
    for field in compact.fields():
        if field.number in fields:
            raise ValueError(f"field {field.number} of the footer is there twice")
        if field.number == ROW_GROUPS and field.kind == LIST:
            compact.at = groups.scan(field.at, columns[-1].last if columns else 0)
        else:
            compact.pass_over(field.kind)
        fields[field.number] = Span(field.kind, field.at, compact.at)
        if field.number == SCHEMA:
            root, columns = columns_of(data, field.at)
    rows, heads, chunks, indexed = groups.rows, groups.heads, groups.chunks, groups.indexed
    footer = Footer(data, start, fields, columns, root, rows, heads, chunks, indexed)
    _check(footer)
    return footer


def _check(footer: Footer) -> None:
    if footer.fields.keys() & {ENCRYPTION, SIGNING_KEY}:
        raise Refused(*ENCRYPTED)
    for number, kind in ((SCHEMA, LIST), (NUM_ROWS, I64), (ROW_GROUPS, LIST)):
        if number not in footer.fields or footer.fields[number].kind != kind:
            raise ValueError("a part of the footer is missing")
    found, said = sum(footer.rows), Compact(footer.data, footer.fields[NUM_ROWS].begin).integer()
    if found != said:
        raise ValueError(f"its row groups have {found:,} rows, its footer says {said:,}")
    for _ in footer.key_values():
        pass
