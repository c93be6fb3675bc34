"""The columns that scoring appends, as pyarrow writes them in chunks of their own."""

import numpy as np
import pyarrow as pa

from scorer.formats.base import OutputColumns
from scorer.formats.columnar import scored_schema
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
    names = [*dict.fromkeys(output_schema.label_values)]  # two classes may be written as one
    codes = np.array([names.index(name) for name in output_schema.label_values], np.int16)
    blank = part.label_ids < 0
    labels = pa.DictionaryArray.from_arrays(
        pa.array(codes[np.maximum(part.label_ids, 0)], mask=blank), pa.array(names, pa.string())
    )
    scores = [part.best(), *(part.of_class(i) for i in range(len(output_schema.score_columns)))]
    arrays = [labels, *(column.to_arrow() for column in scores)]
    return pa.RecordBatch.from_arrays(arrays, list(output_schema.names))
