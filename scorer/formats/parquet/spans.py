"""Where the parts of a Parquet footer are: the schema's columns, row groups, column chunks."""

from array import array
from dataclasses import dataclass
from typing import NamedTuple

from scorer.formats.guards.parquet_pages import number_of
from scorer.formats.guards.thrift import I64, LIST, STRUCT, Compact, end_of_value, number

# Fields of the footer, of a row group, of a column chunk and of a schema's element.
VERSION, SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES, CREATED_BY, COLUMN_ORDERS = range(1, 8)
ENCRYPTION, SIGNING_KEY = 8, 9
CHUNKS, TOTAL_BYTES, GROUP_ROWS, TOTAL_COMPRESSED = 1, 2, 3, 6
_FILE_PATH, METADATA, OFFSET_INDEX, COLUMN_INDEX, _KEYS, _ENCRYPTED_METADATA = 1, 3, 4, 6, 8, 9
NUM_CHILDREN = 5
#: Fields with places in the file, of a column chunk and of its metadata.
CHUNK_PLACES = frozenset({OFFSET_INDEX, COLUMN_INDEX})
METADATA_PLACES = frozenset({9, 10, 11, 14})  # data, index, dictionary, Bloom filter


class Span(NamedTuple):
    """A field's value in the footer."""

    kind: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class TopColumn:
    """A column of the table, which may be a struct of others."""

    name: bytes
    begin: int  # of its schema elements in the footer
    end: int
    first: int  # the number of its first leaf among all, which is that of its column chunk
    last: int  # of the one after its last


class Refused(Exception):
    """A file of a kind that is not supported."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


ENCRYPTED = ("is encrypted or signed", "decrypt it first: write it again without encryption")
_ELSEWHERE = ("has columns in other files", "write it again as one file")
_UNSUPPORTED = {_FILE_PATH: _ELSEWHERE, _KEYS: ENCRYPTED, _ENCRYPTED_METADATA: ENCRYPTED}


def columns_of(data: bytes, at: int) -> tuple[Span, tuple[TopColumn, ...]]:
    """Return a schema's root, and the columns below it.

    Its elements are listed depth first, each with the number of its children.
    """
    compact = Compact(data, at)
    size, kind = compact.list_head()
    if not size or kind != STRUCT:
        raise ValueError("the schema of the footer is damaged")
    begin = compact.at
    children = _children(compact.struct())
    root = Span(STRUCT, begin, compact.at)
    columns, leaf, left = [], 0, size - 1
    for _ in range(children):
        begin, first, open_ = compact.at, leaf, 1
        name: bytes | None = None
        while open_:
            left -= 1
            if left < 0:
                raise ValueError("the schema of the footer has too few elements")
            fields = compact.struct()
            name = fields.get(4) if name is None else name
            below = _children(fields)
            leaf += not below and number_of(fields, 1) >= 0
            open_ += below - 1
        if type(name) is not bytes:
            raise ValueError("the schema of the footer is damaged")
        columns.append(TopColumn(name, begin, compact.at, first, leaf))
    if not size - 1:
        raise ValueError("it has no columns")
    if left or not columns:
        raise ValueError("the schema of the footer has elements that belong to nothing")
    return root, tuple(columns)


def _children(fields: object) -> int:
    children = number_of(fields, NUM_CHILDREN)
    if children < -1:
        raise ValueError("the schema of the footer is damaged")
    return max(0, children)


class Groups:
    """The row groups as they are passed over."""

    def __init__(self, data: bytes, start: int) -> None:
        self.rows, self.heads, self.chunks = array("q"), array("Q"), array("Q")
        self.indexed = False  # row groups without rows have no index where others have one
        self._data = data
        self._start = start
        self._longest = len(number(start))  # bytes of a place in the file

    def scan(self, at: int, leaves: int) -> int:
        """Note where everything is, and return where the list ends."""
        compact = Compact(self._data, at)
        size, kind = compact.list_head()
        if size and kind != STRUCT:
            raise ValueError("the row groups of the footer are damaged")
        for _ in range(size):
            self._group(compact, leaves)
        return compact.at

    def _group(self, compact: Compact, leaves: int) -> None:
        self.heads.append(compact.at)
        rows = -1
        before = len(self.chunks)
        for field in compact.fields():
            if field.number == CHUNKS and field.kind == LIST:
                compact.at = self._chunks(field.at, leaves)
            elif field.number == GROUP_ROWS and field.kind == I64:
                rows = compact.integer()
            else:
                compact.pass_over(field.kind)
        if rows < 0 or len(self.chunks) != before + leaves + 1:
            raise ValueError("a row group of the footer is damaged")
        self.rows.append(rows)

    def _chunks(self, at: int, leaves: int) -> int:
        compact = Compact(self._data, at)
        size, kind = compact.list_head()
        if size != leaves or (size and kind != STRUCT):
            raise ValueError(f"a row group has {size:,} columns, the schema {leaves:,}")
        at, end_of = compact.at, self._end_of_chunk
        note = self.chunks.append
        for _ in range(size):
            note(at)
            at = end_of(at)
        note(at)
        return at

    # Both are called for each of maybe a million column chunks.

    def _end_of_chunk(self, at: int) -> int:
        data = self._data
        field = 0
        while head := data[at]:
            at += 1
            if head < 16:
                field, at = _own_number(data, at)
            field += head >> 4
            if field == METADATA and head & 15 == STRUCT:
                at = self._end_of_metadata(at)
            elif field in CHUNK_PLACES and head & 15 == I64:
                self.indexed = self.indexed or data[at] > 0
                at = self._end_of_place(at)
            elif field in _UNSUPPORTED and data[at]:  # the path of this file may be empty
                raise Refused(*_UNSUPPORTED[field])
            else:
                at = end_of_value(data, at, head & 15)
        return at + 1

    def _end_of_metadata(self, at: int) -> int:
        data = self._data
        field = 0
        while head := data[at]:
            at += 1
            if head < 16:
                field, at = _own_number(data, at)
            field += head >> 4
            if field in METADATA_PLACES and head & 15 == I64:
                at = self._end_of_place(at)
            elif 4 <= head & 15 <= 6:  # a number, as most are
                while data[at] > 127:
                    at += 1
                at += 1
            else:
                at = end_of_value(data, at, head & 15)
        return at + 1

    def _end_of_place(self, at: int) -> int:
        """Check that it is before the footer: what is behind will be something else."""
        data, begin = self._data, at
        while data[at] > 127:
            at += 1
        at += 1
        # A number of fewer bytes is smaller.
        if at - begin >= self._longest and Compact(data, begin).integer() >= self._start:
            raise ValueError("a column of the footer lies behind the end of the file")
        return at


def _own_number(data: bytes, at: int) -> tuple[int, int]:
    """Return the number of a field that is not close to the one before."""
    compact = Compact(data, at)
    return compact.integer(), compact.at
