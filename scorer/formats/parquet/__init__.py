"""Parquet: read for the texts, written back as the same bytes with column chunks appended."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError
from scorer.formats import columnar
from scorer.formats.base import ScoredSlice, check_digests, input_changed
from scorer.formats.guards.parquet_memory import reading_plans
from scorer.formats.guards.parquet_pages import Group
from scorer.formats.output_columns import OutputColumns
from scorer.formats.parquet.footer import Footer, read_footer
from scorer.formats.parquet.projection import metadata_of, schema_of
from scorer.formats.parquet.spans import SCHEMA
from scorer.formats.written import Written
from scorer.options import InputSpec
from scorer.os_errors import reading

if TYPE_CHECKING:
    import polars as pl

_MOST_ROWS = 64 << 20  # rows that pyarrow writes in one row group


class ParquetSource(columnar.BatchSource):
    """One Parquet file."""

    format = "parquet"

    def __init__(self, path: Path, spec: InputSpec) -> None:
        self.path = path
        self._spec = spec
        self._limit = spec.limit
        footer = read_footer(path)
        with columnar.damage(path, "Parquet"):
            self.schema: pa.Schema = schema_of(footer)
        self.columns: tuple[str, ...] = tuple(self.schema.names)
        self._described = footer.value(SCHEMA)
        self._largest = max(footer.rows, default=0)
        self._text = columnar.find_text(path, self.schema, spec.text_column)

    def check_output_schema(self, output_schema: OutputColumns) -> None:
        """Raise UsageError when a name exists already, DataError when a row group is too large."""
        super().check_output_schema(output_schema)
        if self._limit is None and self._largest > _MOST_ROWS:
            raise DataError(
                f"a row group of {self.path} has {self._largest:,} rows, "
                f"and columns of at most {_MOST_ROWS:,} can be added",
                "write it again in smaller row groups",
            )

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        """Write the input's own bytes with columns more; of a limited input, its first rows."""
        self.check_output_schema(output_schema)
        with columnar.damage(self.path, "Parquet"):
            if self._limit is not None:
                from scorer.formats.parquet.preview import write_preview

                return write_preview(self, self._text, destination, output_schema, results)
            return self._spliced(destination, output_schema, results)

    def _spliced(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        from scorer.formats.parquet.splice import Splice

        try:
            with reading(self.path), self.path.open("rb") as file:
                footer = self._unchanged(read_footer(self.path, file.fileno()))
                splice = Splice(self.path, file.fileno(), footer, self._text.number(self.schema))
                written, windows = splice.write(destination, output_schema, results)
            check_digests(self.path, ParquetSource(destination, self._spec).texts(), windows)
        except DataError as error:  # what is read here has been read before, and was in order
            raise input_changed(self.path) from error
        return written

    def row_groups(self) -> Sequence[int]:
        """Return the rows of each row group."""
        return read_footer(self.path).rows

    def rows(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they stand, in batches that fit the memory."""
        for at, batch in self._batches(columns):
            if columns is None:
                self._check_utf8(batch, self._text, at)
            yield batch

    def texts(self) -> "Iterator[pl.Series]":
        """Yield the texts in series that fit the memory."""
        return self._texts(self._text)

    def _texts(self, column: columnar.Column) -> "Iterator[pl.Series]":
        """Yield the values of a column as text, in series that fit the memory."""
        for at, batch in self._batches([column.number(self.schema)], column.name):
            self._check_utf8(batch, column, at)
            yield columnar.texts_of(column.of(batch))

    def _check_utf8(self, batch: pa.RecordBatch, column: columnar.Column, offset: int) -> None:
        """Raise DataError where bytes are no UTF-8: a reader of Parquet takes them on trust."""
        columnar.check_utf8(column.of(batch), column, self.path, offset, column.option)

    def _batches(
        self, numbers: Sequence[int] | None, name: str | None = None
    ) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield batches that fit the memory whatever the row groups are, and where each begins.

        Args:
            numbers: Of the columns that are read; None: all.
            name: What is read of them, by the name of Parquet; None: all.
        """
        names = None if name is None else [name]
        at = 0
        with self._open(numbers) as (file, groups):
            columns = [file.schema.column(i) for i in range(len(file.schema.names))]
            for group, plan in enumerate(reading_plans(self.path, groups, columns, name)):
                if at == self._limit:
                    return
                end = at + plan.rows
                for batch in file.iter_batches(plan.batch, row_groups=[group], columns=names):
                    rows = batch.slice(0, None if self._limit is None else self._limit - at)
                    yield at, rows
                    at += len(rows)
                    if at == self._limit:
                        return
                if at != end:
                    raise DataError(
                        f"row group {group + 1} of {self.path} ends before its {plan.rows:,} rows",
                        "write it again",
                    )

    @contextmanager
    def _open(
        self, numbers: Sequence[int] | None
    ) -> "Iterator[tuple[pq.ParquetFile, Iterator[Group]]]":
        with columnar.damage(self.path, "Parquet"), reading(self.path):
            footer = self._unchanged(read_footer(self.path))
            columns = footer.columns if numbers is None else [footer.columns[i] for i in numbers]
            metadata = None if numbers is None else metadata_of(footer, columns)
            groups = footer.groups(columns)
            # Without these a row group of any size would be held in memory.
            with pq.ParquetFile(
                self.path, metadata=metadata, buffer_size=1 << 20, pre_buffer=False
            ) as file:
                yield file, groups

    def _unchanged(self, footer: Footer) -> Footer:
        if footer.value(SCHEMA) != self._described:
            raise input_changed(self.path)
        return footer
