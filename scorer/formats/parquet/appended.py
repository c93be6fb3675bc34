"""The columns that scoring appends, as pyarrow writes them in chunks of their own."""

import numpy as np
import pyarrow as pa

from scorer.formats.added_columns import list_array, narrow, scored_schema
from scorer.formats.output_columns import OutputColumns
from scorer.records import Answers


def appended_schema(output_schema: OutputColumns) -> pa.Schema:
    """Return the schema of the appended columns alone."""
    return scored_schema(pa.schema([]), output_schema)


def coded_schema(output_schema: OutputColumns) -> pa.Schema:
    """Return it with labels as codes, which makes the same file."""
    return pa.schema(
        [field.with_type(_coded(field.type)) for field in appended_schema(output_schema)]
    )


def _coded(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_coded(kind.value_type))
    return pa.dictionary(pa.int16(), kind) if pa.types.is_string(kind) else kind


def coded_columns(part: Answers, output_schema: OutputColumns) -> pa.RecordBatch:
    """Return what one window's rows get, in few bytes a row: labels as codes of a dictionary."""
    import polars as pl

    names = [*dict.fromkeys(output_schema.label_values)]  # two classes may be written as one
    codes = np.array([names.index(name) for name in output_schema.label_values], np.int16)
    # Made by polars: pyarrow would load pandas to look at an array, or a list.
    texts = narrow(pl.Series(names, dtype=pl.String).to_arrow())

    def labels(part: Answers) -> pa.Array:
        blank = pl.Series(part.label_ids < 0)
        ids = pl.Series(codes[np.maximum(part.label_ids, 0)]).set(blank, None)
        return pa.DictionaryArray.from_arrays(ids.to_arrow(), texts)

    def lists(part: Answers) -> pa.Array:
        each = pa.DictionaryArray.from_arrays(pl.Series(codes).to_arrow(), texts)
        return list_array(part, each, output_schema.threshold)

    arrays = output_schema.columns_of(part, labels, lambda scores: scores.to_arrow(), lists)
    return pa.RecordBatch.from_arrays(arrays, list(output_schema.names))
