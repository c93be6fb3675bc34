"""Whether the input's columns are in the output as they were."""

import json
from itertools import islice

import pyarrow as pa


def difference(before: pa.Table, after: pa.Table) -> str:
    """Say how the first columns of `after` differ from `before`; nothing where they do not."""
    kept = _without_ours(after.select(range(before.num_columns)))
    if not kept.schema.equals(before.schema, check_metadata=True):
        return f"the schema was {before.schema}, is {kept.schema}"
    for number, name in enumerate(before.schema.names):
        if not _same(before.column(number), kept.column(number)):
            return f"the values of column {number}, {name!r}"
    return ""


def _without_ours(table: pa.Table) -> pa.Table:
    """Return a table whose pandas metadata does not name the appended columns."""
    metadata = table.schema.metadata or {}
    if b"pandas" not in metadata:
        return table
    pandas = json.loads(metadata[b"pandas"])
    del pandas["columns"][-2:]
    return table.replace_schema_metadata(metadata | {b"pandas": json.dumps(pandas).encode()})


def _same(before: pa.ChunkedArray, after: pa.ChunkedArray) -> bool:
    if before.equals(after):
        return True
    # Arrow holds that NaN is not NaN: look for the rows that differ, and at how they look.
    pairs = zip(before, after, strict=True)
    return not any(islice((True for a, b in pairs if not a.equals(b) and repr(a) != repr(b)), 1))
