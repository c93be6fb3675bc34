"""What pyarrow is told of a Parquet file: some of its columns, whatever stands in the others."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.formats.guards.thrift import (
    BINARY,
    I32,
    I64,
    LIST,
    STRUCT,
    Compact,
    end_of_value,
    field_head,
    list_of,
    number,
)
from scorer.formats.parquet.footer import MAGIC, Footer
from scorer.formats.parquet.spans import (
    CHUNKS,
    CREATED_BY,
    GROUP_ROWS,
    KEY_VALUES,
    NUM_CHILDREN,
    NUM_ROWS,
    ROW_GROUPS,
    SCHEMA,
    TOTAL_BYTES,
    VERSION,
    TopColumn,
)


def schema_of(footer: Footer) -> pa.Schema:
    """Return the schema as pyarrow reads it; the type of a column that it cannot read is null."""
    try:
        return _metadata(footer, footer.columns, KEY_VALUES).schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError):
        return pa.schema([_field_of(footer, column) for column in footer.columns])


def _field_of(footer: Footer, column: TopColumn) -> pa.Field:
    try:
        return _metadata(footer, [column]).schema.to_arrow_schema().field(0)
    except (pa.ArrowException, OSError, ValueError):
        return pa.field(column.name.decode("utf-8", "replace"), pa.null())


def metadata_of(footer: Footer, columns: Sequence[TopColumn]) -> pq.FileMetaData:
    """Return what pyarrow needs for reading some columns of a file, and no more."""
    return _metadata(footer, columns, ROW_GROUPS)


def _metadata(
    footer: Footer, columns: Sequence[TopColumn], also: int | None = None
) -> pq.FileMetaData:
    data = b"".join(_pieces(footer, columns, also))
    whole = MAGIC + data + len(data).to_bytes(4, "little") + MAGIC
    return pq.read_metadata(pa.BufferReader(whole))


def _pieces(footer: Footer, columns: Sequence[TopColumn], also: int | None) -> Iterator[bytes]:
    """Yield a footer with some columns, and also the row groups or the keys."""
    rows = also == ROW_GROUPS
    yield field_head(0, VERSION, I32) + (footer.value(VERSION) or number(1))
    yield field_head(VERSION, SCHEMA, LIST)
    yield list_of(STRUCT, 1 + sum(_elements(footer.data, column) for column in columns))
    yield with_children(footer, len(columns))
    yield from (footer.data[column.begin : column.end] for column in columns)
    yield field_head(SCHEMA, NUM_ROWS, I64) + number(sum(footer.rows) if rows else 0)
    yield field_head(NUM_ROWS, ROW_GROUPS, LIST)
    yield from _groups(footer, columns) if rows else [list_of(STRUCT, 0)]
    last = ROW_GROUPS
    if also == KEY_VALUES and KEY_VALUES in footer.fields:  # one may hold the schema
        yield field_head(last, KEY_VALUES, LIST) + footer.value(KEY_VALUES)
        last = KEY_VALUES
    if CREATED_BY in footer.fields:
        yield field_head(last, CREATED_BY, BINARY) + footer.value(CREATED_BY)
    yield b"\0"


def _groups(footer: Footer, columns: Sequence[TopColumn]) -> Iterator[bytes]:
    yield list_of(STRUCT, len(footer.rows))
    chunks = sum(column.last - column.first for column in columns)
    for group, rows in enumerate(footer.rows):
        yield field_head(0, CHUNKS, LIST) + list_of(STRUCT, chunks)
        for column in columns:
            begin, end = footer.chunk_bounds(group, column.first, column.last)
            yield footer.data[begin:end]
        yield field_head(CHUNKS, TOTAL_BYTES, I64) + number(0)
        yield field_head(TOTAL_BYTES, GROUP_ROWS, I64) + number(rows) + b"\0"


def _elements(data: bytes, column: TopColumn) -> int:
    """Return how many elements of the schema describe a column."""
    at, count = column.begin, 0
    while at < column.end:
        at = end_of_value(data, at, STRUCT)
        count += 1
    return count


def with_children(footer: Footer, children: int) -> bytes:
    """Return the schema's root with another number of children."""
    compact, parts = Compact(footer.data, footer.root.begin), []
    for field in compact.fields():
        compact.pass_over(field.kind)
        if field.number == NUM_CHILDREN:
            parts.append(footer.data[field.head : field.at] + number(children))
        else:
            parts.append(footer.data[field.head : compact.at])
    return b"".join(parts) + b"\0"
