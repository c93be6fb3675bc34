"""Parquet: the text column is read for scoring; the second pass appends columns."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import DataError, StorageError
from scorer.files.columns import find_text_column
from scorer.files.feed import RowFeed
from scorer.files.source import OutputColumns, ScoredSlice, TextDigest, check_offset, input_changed
from scorer.files.storage import reading, writing
from scorer.files.transcode import Encoding
from scorer.records import TextWindow

ROW_GROUP = 131_072  # rows of every row group that we write but the last
_BATCH = 16_384  # rows read at once


class ParquetSource:
    """One Parquet file."""

    format = "parquet"
    encoding = "utf-8"

    def __init__(self, path: Path, *, text_column: str, limit: int | None = None) -> None:
        self.path = path
        self._limit = limit
        self._text_column = text_column
        with self._open() as file:
            self._schema: pa.Schema = file.schema_arrow
            self._codec = _codec(file.metadata)
        number = find_text_column(path, self._schema.names, text_column)
        kind = self._schema.field(number).type
        if not _is_text(kind):
            raise DataError(
                f"column {text_column!r} of {path} is {kind}, not text",
                "name another with --text-column",
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The schema's names."""
        return tuple(self._schema.names)

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of at most `rows` rows, memory flat."""
        feed = RowFeed(self._batches([self._text_column]), _cut)
        offset = 0
        while feed.has_more():
            texts = pl.concat([self._texts(piece) for piece in feed.take(rows)], rechunk=True)
            yield TextWindow(offset, texts)
            offset += len(texts)

    def check_plan(self, plan: OutputColumns) -> None:
        """Raise UsageError when a name exists already, or is no text that Parquet can hold."""
        plan.check_against(self.columns)
        plan.check_encoding(Encoding(self.encoding))

    def write_scored(
        self, destination: Path, plan: OutputColumns, results: Iterable[ScoredSlice]
    ) -> int:
        """Write the input's rows with their scores to a new file and return their number.

        Raises:
            DataError: the texts are not those that were scored.
            UsageError: a name exists already.
        """
        self.check_plan(plan)
        schema = _scored_schema(self._schema, plan)
        feed = RowFeed(self._batches(None), _cut)
        count = 0
        with (
            writing(destination),
            destination.open("xb") as file,
            pq.ParquetWriter(file, schema, compression=self._codec) as writer,
        ):
            rows = _RowGroups(writer, schema)
            for part in results:
                check_offset(self.path, part, count)
                for batch in self._scored_batches(part, plan, feed, schema):
                    rows.add(batch)
                count += len(part)
            if feed.has_more():
                raise input_changed(self.path)
            rows.flush()
        _check(destination, count)
        return count

    def _scored_batches(
        self,
        part: ScoredSlice,
        plan: OutputColumns,
        feed: RowFeed[pa.RecordBatch],
        schema: pa.Schema,
    ) -> Iterator[pa.RecordBatch]:
        added = _added_columns(part, plan)
        digest = TextDigest()
        at = 0
        for batch in feed.take(len(part)):
            digest.update(self._texts(batch))
            cells = [column.slice(at, len(batch)) for column in added]
            yield pa.RecordBatch.from_arrays([*batch.columns, *cells], schema=schema)
            at += len(batch)
        if at != len(part) or digest.digest() != part.digest:
            raise input_changed(self.path)

    def _batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        at = 0
        with self._open() as file:
            if file.schema_arrow != self._schema:
                raise input_changed(self.path)
            for batch in file.iter_batches(_BATCH, columns=columns):
                wanted = len(batch) if self._limit is None else min(self._limit - at, len(batch))
                if wanted == 0 and at == self._limit:
                    return
                rows = batch.slice(0, wanted)
                self._check_texts(rows, at)
                yield rows
                at += wanted

    def _check_texts(self, batch: pa.RecordBatch, offset: int) -> None:
        """Raise DataError where bytes are no UTF-8: a reader of Parquet takes them on trust."""
        try:
            self._text_cells(batch).validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"column {self._text_column!r} of {self.path} is not UTF-8 somewhere in rows"
                f" {offset + 1} to {offset + len(batch)}",
                "write it again with valid text",
            ) from error

    def _text_cells(self, batch: pa.RecordBatch) -> pa.Array:
        column = batch.column(batch.schema.names.index(self._text_column))
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

    def _texts(self, batch: pa.RecordBatch) -> pl.Series:
        return pl.Series("text", pl.from_arrow(self._text_cells(batch)), dtype=pl.String)

    @contextmanager
    def _open(self) -> Iterator[pq.ParquetFile]:
        try:
            with (
                reading(self.path),
                # Without these a row group of any size would be held in memory.
                pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file,
            ):
                yield file
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"{self.path} is not a readable Parquet file: {str(error).splitlines()[0]}",
                "write it again",
            ) from error


class _RowGroups:
    """Collects batches and writes them in row groups of one size, whatever the windows were."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Take the next rows; whole row groups are written at once."""
        while self._rows + len(batch) >= ROW_GROUP:
            room = ROW_GROUP - self._rows
            self._held.append(batch.slice(0, room))
            self.flush()
            batch = batch.slice(room)
        self._held.append(batch)
        self._rows += len(batch)

    def flush(self) -> None:
        """Write what is held as one row group."""
        table = pa.Table.from_batches(self._held, self._schema)
        if len(table):
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._held, self._rows = [], 0


def _cut(batch: pa.RecordBatch, start: int, stop: int) -> pa.RecordBatch:
    return batch.slice(start, stop - start)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _codec(metadata: pq.FileMetaData) -> str:
    """Return the compression of the input's first column, for all columns of the output."""
    if not metadata.num_row_groups or not metadata.num_columns:
        return "snappy"
    codec: str = metadata.row_group(0).column(0).compression
    return "none" if codec == "UNCOMPRESSED" else codec.lower()


def _scored_schema(schema: pa.Schema, plan: OutputColumns) -> pa.Schema:
    schema = schema.append(pa.field(plan.label_column, pa.string()))
    for name in (plan.score_column, *plan.score_columns):
        schema = schema.append(pa.field(name, pa.float32()))
    return schema


def _added_columns(part: ScoredSlice, plan: OutputColumns) -> list[pa.Array]:
    labels = part.labels(plan.label_values).to_arrow().cast(pa.string())
    scores = [part.best(), *(part.of_class(i) for i in range(len(plan.score_columns)))]
    return [labels, *(column.to_arrow() for column in scores)]


def _check(destination: Path, rows: int) -> None:
    """Read the footer of what was written: a last look before it is published."""
    with reading(destination), pq.ParquetFile(destination) as file:
        if file.metadata.num_rows != rows:
            raise StorageError(
                f"{destination} holds {file.metadata.num_rows} rows instead of {rows}",
                "run again",
            )
