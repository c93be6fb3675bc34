"""Record batches that a caller holds: their texts, and the batches with their answers."""

import polars as pl
import pyarrow as pa
from pyarrow import RecordBatch

from scorer.files import batches
from scorer.files.source import OutputColumns, ScoredSlice

__all__ = ["RecordBatch", "texts_of", "with_answers"]


def texts_of(batch: RecordBatch, text_column: str, columns: OutputColumns) -> pl.Series:
    """Return the texts of a batch, String [rows], after its columns have been checked.

    Raises:
        DataError: The text column is missing or no text.
        UsageError: A name that would be added is taken.
    """
    number = batches.find_text("the record batch", batch.schema, text_column, "text_column")
    columns.check_against(batch.schema.names, "label_column and score_column")
    return batches.texts_of(batch.column(number))


def with_answers(batch: RecordBatch, answers: ScoredSlice, columns: OutputColumns) -> RecordBatch:
    """Return a batch with the columns that scoring appends; schema and metadata are kept."""
    return pa.RecordBatch.from_arrays(
        [*batch.columns, *batches.added_columns(answers, columns)],
        schema=batches.scored_schema(batch.schema, columns),
    )
