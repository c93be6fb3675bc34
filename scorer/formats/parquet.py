"""Parquet: read for the texts, written back with columns appended."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError, StorageError
from scorer.formats import columnar
from scorer.formats.base import OutputColumns, Rebatcher, ScoredSlice, input_changed, second_pass
from scorer.formats.guards.parquet_memory import reading_plans
from scorer.formats.guards.parquet_pages import groups_of
from scorer.options import InputSpec
from scorer.os_errors import reading, writing

if TYPE_CHECKING:
    import polars as pl


_CODECS = {0: "none", 1: "snappy", 2: "gzip", 4: "brotli", 5: "lz4", 6: "zstd", 7: "lz4"}
ROW_GROUP = 131_072  # rows of every row group that we write but the last
GROUP_BYTES = 128 << 20  # bytes of rows in memory that end a row group early
WRITE_BATCH = 128  # rows, and so values that make a page at once: they may be large


class RowGroups:
    """Collects batches and writes them in row groups of one size, whatever the windows are."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._start = 0  # the row at which the next row group begins
        self._at = 0  # the row after those that are held
        self._ends: deque[int] = deque()  # rows before which one ends early

    def measured(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass on batches as they are read, and end row groups where they have grown large.

        Here and not in `add`, because windows cut the batches anew and must not be seen in the
        output.
        """
        size = rows = 0
        for batch in batches:
            rows += len(batch)
            size += batch.nbytes
            if size >= GROUP_BYTES:
                self._ends.append(rows)
                size = 0
            yield batch

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next rows; whole row groups are written at once."""
        while self._at + len(batch) >= (end := self._end()):
            fitting = end - self._at
            self._hold(batch.slice(0, fitting))
            self.flush()
            batch = batch.slice(fitting)
        self._hold(batch)

    def flush(self) -> None:
        """Write what is held as one row group."""
        table = pa.Table.from_batches(self._held, self._schema)
        if len(table):
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._held, self._start = [], self._at

    def _hold(self, batch: pa.RecordBatch) -> None:
        self._held.append(batch)
        self._at += len(batch)

    def _end(self) -> int:
        while self._ends and self._ends[0] <= self._start:
            self._ends.popleft()
        full = self._start + ROW_GROUP
        return min(full, self._ends[0]) if self._ends else full


def check_written(destination: Path, rows: int) -> None:
    """Check the footer of what was written before it is published."""
    with reading(destination), pq.ParquetFile(destination) as file:
        if file.metadata.num_rows != rows:
            raise StorageError(
                f"{destination} holds {file.metadata.num_rows} rows instead of {rows}",
                "run again",
            )


class ParquetSource(columnar.BatchSource):
    """One Parquet file."""

    format = "parquet"

    def __init__(self, path: Path, spec: InputSpec) -> None:
        self.path = path
        self._limit = spec.limit
        with self._open() as file:
            self.schema: pa.Schema = file.schema_arrow
            self._codec = _codec(path)
            self.columns: tuple[str, ...] = tuple(self.schema.names)
        self._text = columnar.find_text(path, self.schema, spec.text_column)

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> int:
        """Write the input's rows with their scores to a new file and return their number."""
        self.check_output_schema(output_schema)
        schema = self.scored_schema(output_schema)
        count = 0
        with (
            columnar.damage(self.path, "Parquet"),
            writing(destination),
            destination.open("xb") as file,
            pq.ParquetWriter(
                file,
                schema,
                compression=self._codec,
                write_batch_size=WRITE_BATCH,
                use_compliant_nested_type=False,  # the elements of lists keep their names
            ) as writer,
        ):
            groups = RowGroups(writer, schema)
            rows = Rebatcher(groups.measured(self.rows()), columnar.cut)
            added = partial(columnar.added_columns, output_schema=output_schema)
            for batch, cells in second_pass(self.path, rows, self._texts_in, results, added):
                groups.add(pa.RecordBatch.from_arrays([*batch.columns, *cells], schema=schema))
                count += len(batch)
            groups.flush()
        check_written(destination, count)
        return count

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they stand, in batches that fit the memory."""
        return self._batches(None)

    def _batches(self, column: columnar.Column | None) -> Iterator[pa.RecordBatch]:
        """Yield one column, or all, in batches that fit the memory whatever the row groups are."""
        at = 0
        with self._open() as file:
            if file.schema_arrow != self.schema:
                raise input_changed(self.path)
            name = column.name if column else None
            columns = None if name is None else [name]
            for group, plan in enumerate(reading_plans(self.path, file.schema, name)):
                if at == self._limit:
                    return
                end = at + plan.rows
                for batch in file.iter_batches(plan.batch, row_groups=[group], columns=columns):
                    rows = batch.slice(0, None if self._limit is None else self._limit - at)
                    self._check_texts(rows, column or self._text, at)
                    yield rows
                    at += len(rows)
                    if at == self._limit:
                        return
                if at != end:
                    raise DataError(
                        f"row group {group + 1} of {self.path} ends before its {plan.rows:,} rows",
                        "write it again",
                    )

    def _check_texts(self, batch: pa.RecordBatch, column: columnar.Column, offset: int) -> None:
        """Raise DataError where bytes are no UTF-8: a reader of Parquet takes them on trust."""
        option = self._option(column)
        columnar.check_utf8(column.of(batch), column, self.path, offset, option)

    def _texts_in(self, batch: pa.RecordBatch) -> "pl.Series":
        return columnar.texts_of(self._text.of(batch))

    def _texts(self, column: columnar.Column) -> "Iterator[pl.Series]":
        """Yield the values of a column as text, in series that fit the memory."""
        return (columnar.texts_of(column.of(batch)) for batch in self._batches(column))

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        with (
            columnar.damage(self.path, "Parquet"),
            reading(self.path),
            # Without these a row group of any size would be held in memory.
            pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file,
        ):
            yield file


def _codec(path: Path) -> str:
    """Return the compression of the input's first column, for all columns of the output."""
    first = next(groups_of(path), None)
    if first is None or not first.chunks:
        return "snappy"
    return _CODECS.get(first.chunks[0].codec, "snappy")
