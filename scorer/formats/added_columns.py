"""The columns that scoring appends, as arrays of Arrow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from scorer.formats.output_columns import OutputColumns
from scorer.records import Answers

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

LISTS = pa.list_(pa.string())  # of a multi-label model
_MOST_BYTES = 2**31 - 1  # of an array's texts, with offsets of 32 bits


def label_lists(part: Answers, values: Sequence[str], threshold: float) -> "pl.Series":
    """Return the names of the classes whose probability is at least the threshold.

    Returns:
        List(String) [rows], in class-id order; empty where there is none, null where blank.
    """
    import polars as pl

    names = pl.Series(values, dtype=pl.String).to_arrow()
    return pl.Series("labels", pl.from_arrow(list_array(part, names, threshold)))


def list_array(part: Answers, names: pa.Array, threshold: float) -> pa.ListArray:
    """Return the same as lists of what stands for each class.

    Args:
        part: The answers.
        names: Of the classes, in id order; any kind of array.
        threshold: The least probability.
    """
    chosen = part.at_least(threshold)
    _, classes = np.nonzero(chosen)
    ends = np.cumsum(chosen.sum(axis=1), dtype=np.int32)
    offsets = pa.py_buffer(np.concatenate((np.zeros(1, np.int32), ends)))
    taken = pa.Array.from_buffers(
        pa.int32(), len(classes), [None, pa.py_buffer(classes.astype(np.int32))]
    )
    there = pa.py_buffer(np.packbits(part.label_ids >= 0, bitorder="little"))
    # Of buffers: pyarrow would load pandas to look at an array of numpy's.
    return pa.Array.from_buffers(
        pa.list_(names.type), len(part), [there, offsets], children=[names.take(taken)]
    )


def scored_schema(schema: pa.Schema, output_schema: OutputColumns) -> pa.Schema:
    """Return a schema with the appended columns, its metadata kept."""
    for field in appended_fields(output_schema):
        schema = schema.append(field)
    return schema


def appended_fields(output_schema: OutputColumns) -> list[pa.Field]:
    """Return the fields of the appended columns."""
    fields = [pa.field(name, pa.float32()) for name in output_schema.scores]
    if output_schema.label_column is not None:
        fields.insert(0, pa.field(output_schema.label_column, pa.string()))
    if output_schema.labels_column is not None:
        fields.append(pa.field(output_schema.labels_column, LISTS))
    return fields


def added_columns(part: Answers, output_schema: OutputColumns) -> list[pa.Array]:
    """Return what one window's rows get, a column each."""
    names = output_schema.label_values
    return output_schema.columns_of(
        part,
        lambda part: narrow(part.labels(names).to_arrow()),
        lambda scores: scores.to_arrow(),
        lambda part: list_array(part, _texts(names), output_schema.threshold),
    )


def _texts(values: Sequence[str]) -> pa.StringArray:
    import polars as pl

    return narrow(pl.Series(values, dtype=pl.String).to_arrow())


def narrow(texts: pa.LargeStringArray) -> pa.StringArray:
    """Return texts with offsets of 32 bits; pyarrow's cast would load pyarrow.compute."""
    validity, offsets, data = texts.buffers()
    wide = np.frombuffer(offsets, np.int64, texts.offset + len(texts) + 1)
    if wide[-1] > _MOST_BYTES:
        return texts.cast(pa.string())  # which says what is wrong
    narrow = pa.py_buffer(wide.astype(np.int32))
    return pa.StringArray.from_buffers(len(texts), narrow, data, validity, offset=texts.offset)
