"""The columns that scoring appends, as pyarrow writes them in chunks of their own."""

import numpy as np
import pyarrow as pa

from scorer.formats.base import OutputColumns
from scorer.formats.columnar import narrow, scored_schema
from scorer.records import Answers


def appended_schema(output_schema: OutputColumns) -> pa.Schema:
    """Return the schema of the appended columns alone."""
    return scored_schema(pa.schema([]), output_schema)


def coded_schema(output_schema: OutputColumns) -> pa.Schema:
    """Return it with labels as codes, which makes the same file."""
    schema = appended_schema(output_schema)
    label = schema.field(0)
    return schema.set(0, label.with_type(pa.dictionary(pa.int16(), label.type)))


def coded_columns(part: Answers, output_schema: OutputColumns) -> pa.RecordBatch:
    """Return what one window's rows get, in few bytes a row: labels as codes of a dictionary."""
    import polars as pl

    names = [*dict.fromkeys(output_schema.label_values)]  # two classes may be written as one
    codes = np.array([names.index(name) for name in output_schema.label_values], np.int16)
    blank = part.label_ids < 0
    # Made by polars: pyarrow would load pandas to look at an array, or a list.
    labels = pa.DictionaryArray.from_arrays(
        pl.Series(codes[np.maximum(part.label_ids, 0)]).set(pl.Series(blank), None).to_arrow(),
        narrow(pl.Series(names, dtype=pl.String).to_arrow()),
    )
    scores = [part.best(), *(part.of_class(i) for i in range(len(output_schema.score_columns)))]
    arrays = [labels, *(column.to_arrow() for column in scores)]
    return pa.RecordBatch.from_arrays(arrays, list(output_schema.names))
