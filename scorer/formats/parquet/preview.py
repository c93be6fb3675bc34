"""The first rows of a Parquet file, written anew: a preview has no chunks of the input."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.formats import columnar
from scorer.formats.added_columns import added_columns
from scorer.formats.base import Rebatcher, ScoredSlice, second_pass
from scorer.formats.batch_writer import BatchWriter, InputBatch, Metadata
from scorer.formats.output_columns import OutputColumns
from scorer.formats.written import Written
from scorer.os_errors import writing

if TYPE_CHECKING:
    import polars as pl

_WRITE_BATCH = 128  # rows, and so values that make a page at once: they may be large


def write_preview(
    source: columnar.BatchSource,
    text: columnar.Column,
    destination: Path,
    output_schema: OutputColumns,
    results: Iterable[ScoredSlice],
) -> Written:
    """Write rows with their scores to a new file, a row group for each batch that is read."""
    schema = source.scored_schema(output_schema)
    count = 0
    with (
        writing(destination),
        destination.open("xb") as file,
        pq.ParquetWriter(
            file,
            schema,
            write_batch_size=_WRITE_BATCH,
            use_compliant_nested_type=False,  # the elements of lists keep their names
        ) as writer,
    ):

        def write(batch: pa.RecordBatch, _: Metadata) -> None:
            writer.write_batch(batch)

        out = BatchWriter(write, schema)
        rows = Rebatcher(_texts(source, text, out), lambda texts, start, stop: texts[start:stop])
        added = partial(added_columns, output_schema=output_schema)
        for texts, cells in second_pass(source.path, rows, lambda texts: texts, results, added):
            out.add(cells)
            count += len(texts)
        out.flush()
    return Written(count)


def _texts(
    source: columnar.BatchSource, text: columnar.Column, out: BatchWriter
) -> "Iterator[pl.Series]":
    batches = (InputBatch(batch, None, 0) for batch in source.rows())
    return (columnar.texts_of(text.of(each.batch)) for each in out.queued(batches))
