"""A footer for the columns of one footer and some of another's behind them.

What is not about the number of columns keeps its bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from scorer.formats.guards.parquet_pages import number_of
from scorer.formats.guards.thrift import (
    BINARY,
    LIST,
    STRUCT,
    Compact,
    length,
    list_of,
    number,
)
from scorer.formats.parquet.footer import Footer
from scorer.formats.parquet.projection import with_children
from scorer.formats.parquet.schema_keys import extended, holds_schema
from scorer.formats.parquet.spans import (
    CHUNKS,
    COLUMN_ORDERS,
    KEY_VALUES,
    METADATA,
    ROW_GROUPS,
    SCHEMA,
    TOTAL_BYTES,
    TOTAL_COMPRESSED,
)
from scorer.formats.written import SchemaKeys

#: The sums in a row group, and the field of a column chunk's metadata that is summed.
_SUMS = {TOTAL_BYTES: 6, TOTAL_COMPRESSED: 7}


@dataclass(frozen=True, slots=True)
class AddedChunks:
    """The column chunks of one row group, as a footer describes them."""

    data: bytes
    sums: Mapping[int, int]  # what they add to those of the row group


@dataclass(frozen=True, slots=True)
class AddedColumns:
    """Columns at the end of a table."""

    count: int
    leaves: int  # what holds values: a list is one column whose elements do
    elements: bytes  # what the schema says of the columns and of what they hold
    nodes: int  # how many elements of the schema these are
    orders: bytes  # how their values are ordered; none where the footer does not say
    groups: list[AddedChunks]


def last_columns(footer: Footer, count: int) -> AddedColumns:
    """Return the last columns of a footer.

    Args:
        footer: Of a file that was just written, or of an output.
        count: How many they are.
    """
    first, last = footer.columns[-count], footer.columns[-1]
    elements = footer.data[first.begin : last.end]
    leaves = last.last - first.first
    groups = [_added(footer, group, leaves) for group in range(len(footer.rows))]
    orders = _orders(footer, leaves)
    return AddedColumns(count, leaves, elements, _structs(elements), orders, groups)


def _structs(data: bytes) -> int:
    """Return how many structs lie one after the other."""
    compact, count = Compact(data), 0
    while compact.at < len(data):
        compact.pass_over(STRUCT)
        count += 1
    return count


def _orders(footer: Footer, leaves: int) -> bytes:
    span = footer.fields.get(COLUMN_ORDERS)
    if span is None:
        return b""
    compact = Compact(footer.data, span.begin)
    size, _ = compact.list_head()
    for _ in range(size - leaves):
        compact.pass_over(STRUCT)
    return footer.data[compact.at : span.end]


def _added(footer: Footer, group: int, leaves: int) -> AddedChunks:
    sums = dict.fromkeys(_SUMS, 0)
    at, end = footer.chunk_bounds(group, footer.leaves - leaves, footer.leaves)
    parts = []
    while at < end:
        compact = Compact(footer.data, at)
        metadata = compact.struct().get(METADATA)
        for total, field in _SUMS.items():
            sums[total] += max(0, number_of(metadata, field))
        stop = compact.at
        parts.append(footer.data[at:stop])
        at = stop
    return AddedChunks(b"".join(parts), sums)


class MergedFooter:
    """The footer of one file, with added columns."""

    def __init__(self, footer: Footer, added: AddedColumns, schema: pa.Schema) -> None:
        """Take both.

        Args:
            footer: Of the columns that come first.
            added: Those that come behind them, of as many row groups.
            schema: The schema of these.
        """
        self._footer = footer
        self._added = added
        self._schema = schema

    @cached_property
    def keys(self) -> SchemaKeys:
        """The keys that hold a schema: what became of them."""
        kept, dropped = [], []
        for key, _, pair in self._pairs:
            if pair is None:
                dropped.append(key)
            elif holds_schema(key):
                kept.append(key)
        return SchemaKeys(_named(kept), _named(dropped))

    @cached_property
    def _pairs(self) -> Sequence[tuple[bytes, bytes, bytes | None]]:
        """Each key, with its value and what is written; None where it is left out."""
        names = [column.name.decode("utf-8", "replace") for column in self._footer.columns]
        found: list[tuple[bytes, bytes, bytes | None]] = []
        for key, value, pair in self._footer.key_values():
            written: bytes | None = pair
            if holds_schema(key):
                new = extended(key, value, names, self._schema)
                written = None if new is None else _with_value(pair, new)
            found.append((key, value or b"", written))
        return found

    def pieces(self) -> Iterator[bytes]:
        """Yield its bytes."""
        data = self._footer.data
        changed = {
            SCHEMA: self._schema_list,
            ROW_GROUPS: self._groups,
            KEY_VALUES: self._key_values,
            COLUMN_ORDERS: self._orders,
        }
        at = 0
        for field, span in self._footer.fields.items():
            if field in changed and span.kind == LIST:
                yield data[at : span.begin]
                yield from changed[field]()
                at = span.end
        yield data[at:]

    def _schema_list(self) -> Iterator[bytes]:
        footer = self._footer
        size, _ = Compact(footer.data, footer.fields[SCHEMA].begin).list_head()
        yield list_of(STRUCT, size + self._added.nodes)
        yield with_children(footer, len(footer.columns) + self._added.count)
        yield footer.data[footer.root.end : footer.fields[SCHEMA].end]
        yield self._added.elements

    def _groups(self) -> Iterator[bytes]:
        footer = self._footer
        yield list_of(STRUCT, len(footer.rows))
        for group in range(len(footer.rows)):
            yield b"".join(self._group(group))

    def _group(self, group: int) -> Iterator[bytes]:
        footer, data = self._footer, self._footer.data
        added = self._added.groups[group]
        compact = Compact(data, footer.heads[group])
        for field in compact.fields():
            yield data[field.head : field.at]
            if field.number == CHUNKS:
                begin, compact.at = footer.chunk_bounds(group, 0, footer.leaves)
                yield list_of(STRUCT, footer.leaves + self._added.leaves)
                yield data[begin : compact.at]
                yield added.data
            elif field.number in added.sums:
                yield number(compact.integer() + added.sums[field.number])
            else:
                compact.pass_over(field.kind)
                yield data[field.at : compact.at]
        yield b"\0"

    def _key_values(self) -> Iterator[bytes]:
        written = [pair for _, _, pair in self._pairs if pair is not None]
        yield list_of(STRUCT, len(written))
        yield from written

    def _orders(self) -> Iterator[bytes]:
        span, added = self._footer.fields[COLUMN_ORDERS], self._added.orders
        compact = Compact(self._footer.data, span.begin)
        size, _ = compact.list_head()
        yield list_of(STRUCT, size + (self._added.leaves if added else 0))
        yield self._footer.data[compact.at : span.end]
        yield added


def _with_value(pair: bytes, value: bytes) -> bytes:
    """Return a key and value with another value."""
    compact = Compact(pair)
    parts = []
    for field in compact.fields():
        compact.pass_over(field.kind)
        if field.number == 2 and field.kind == BINARY:
            parts.append(pair[field.head : field.at] + length(len(value)) + value)
        else:
            parts.append(pair[field.head : compact.at])
    return b"".join(parts) + b"\0"


def _named(keys: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(key.decode("utf-8", "replace") for key in keys)
