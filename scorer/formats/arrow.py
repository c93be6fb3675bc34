"""Arrow IPC, file and stream: read for the texts, written back with columns appended."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from scorer.errors import DataError, StorageError
from scorer.formats import columnar
from scorer.formats.base import OutputColumns, Rebatcher, ScoredSlice, input_changed, second_pass
from scorer.formats.guards.arrow_messages import batches_of, is_stream
from scorer.options import InputSpec
from scorer.os_errors import reading, writing

MOST_TEXT = 256 << 20  # bytes of one text
TEXTS_AT_ONCE = 16_384  # texts that are taken out of a batch at once, where they are not too large
BYTES_AT_ONCE = 32 << 20  # bytes of them: a view or a dictionary may repeat a long one for ever


@dataclass(frozen=True, slots=True, eq=False)
class InputBatch:
    """A record batch of the input with its own metadata."""

    batch: pa.RecordBatch
    metadata: Mapping[bytes, bytes] | None
    offset: int  # of its first row in the file


class BatchWriter:
    """Joins scores that come by windows to batches that have other bounds."""

    def __init__(self, writer: pa.RecordBatchFileWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._queue: deque[InputBatch] = deque()
        self._cells: list[list[pa.Array]] = []  # of rows of the first batch in the queue
        self._rows = 0  # of these

    def queued(self, batches: Iterator[InputBatch]) -> Iterator[InputBatch]:
        """Pass on batches as they are read, and queue them until they are written."""
        for batch in batches:
            self._queue.append(batch)
            yield batch

    def add(self, cells: list[pa.Array]) -> None:
        """Take the next rows' scores, all of one batch, and write it when they are the last."""
        self.flush()
        self._cells.append(cells)
        self._rows += len(cells[0])
        if self._rows == len(self._queue[0].batch):
            self._write()

    def flush(self) -> None:
        """Write the batches without rows that come next."""
        while self._queue and not len(self._queue[0].batch):
            self._write()

    def _write(self) -> None:
        source = self._queue.popleft()
        kinds = [field.type for field in self._schema][source.batch.num_columns :]
        columns = zip(*self._cells, strict=True) if self._cells else ([] for _ in kinds)
        added = [
            pa.concat_arrays(column) if column else pa.array([], kind)
            for column, kind in zip(columns, kinds, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays([*source.batch.columns, *added], schema=self._schema)
        self._writer.write_batch(batch, custom_metadata=source.metadata)
        self._cells, self._rows = [], 0


class ArrowSource(columnar.BatchSource):
    """One Arrow IPC file, of the file format or a stream."""

    format = "arrow"

    def __init__(self, path: Path, spec: InputSpec) -> None:
        self.path = path
        self._limit = spec.limit
        self._is_stream = is_stream(path)
        with columnar.damage(path, "Arrow IPC"):
            first = next(batches_of(path), None)
        self._codec = first.codec if first else None
        with self._open() as reader:
            self.schema: pa.Schema = reader.schema
            self._metadata = None if self._is_stream else reader.metadata
            self.columns: tuple[str, ...] = tuple(self.schema.names)  # may be no text at all
            self._text = columnar.find_text(path, self.schema, spec.text_column)

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> int:
        """Write the input's batches with their scores to a new file and return the rows."""
        self.check_output_schema(output_schema)
        count = 0
        with (
            columnar.damage(self.path, "Arrow IPC"),
            writing(destination),
            destination.open("xb") as file,
            self._writer(file, output_schema) as writer,
        ):
            out = BatchWriter(writer, self.scored_schema(output_schema))
            texts = self._texts_of(out.queued(self._read(None)), self._text)
            rows = Rebatcher(texts, _cut)
            added = partial(columnar.added_columns, output_schema=output_schema)
            for batch, cells in second_pass(self.path, rows, lambda texts: texts, results, added):
                out.add(cells)
                count += len(batch)
            out.flush()
        _check_written(destination, count)
        return count

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they stand."""
        return (source.batch for source in self._read(None))

    def _texts(self, column: columnar.Column) -> Iterator[pl.Series]:
        """Yield the values of a column as text, in series that fit the memory."""
        return self._texts_of(self._read(column), column)

    def _texts_of(
        self, sources: Iterable[InputBatch], column: columnar.Column
    ) -> Iterator[pl.Series]:
        option = self._option(column)
        for source in sources:
            texts = column.of(source.batch)
            lengths = _lengths(texts)
            if (longest := int(lengths.max(initial=0))) > MOST_TEXT:
                raise DataError(
                    f"a text of {self.path} takes {longest >> 20:,} MiB",
                    "leave it out, it is no tweet",
                )
            ends = np.cumsum(lengths)
            at = 0
            while at < len(texts):
                before = int(ends[at - 1]) if at else 0
                fitting = int(np.searchsorted(ends, before + BYTES_AT_ONCE, side="right"))
                stop = max(at + 1, min(fitting, at + TEXTS_AT_ONCE))
                values = texts[at:stop]
                columnar.check_utf8(values, column, self.path, source.offset + at, option)
                yield columnar.texts_of(values)
                at = stop

    def _read(self, column: columnar.Column | None) -> Iterator[InputBatch]:
        """Yield the batches, with one column or all, each checked before it is read, and after."""
        left = self._limit
        offset = 0
        sizes = batches_of(self.path)
        with self._open(column) as reader:
            if column is None and reader.schema != self.schema:
                raise input_changed(self.path)
            for number, each in enumerate(sizes):
                if left == 0:
                    return
                batch, metadata = self._next(reader, number)
                if len(batch) != each.rows:
                    raise input_changed(self.path)
                self._check(batch, number)
                yield InputBatch(batch if left is None else batch.slice(0, left), metadata, offset)
                offset += len(batch)
                left = None if left is None else max(0, left - len(batch))

    def _next(self, reader: Any, number: int) -> Any:
        if self._is_stream:
            return reader.read_next_batch_with_custom_metadata()
        return reader.get_batch_with_custom_metadata(number)

    def _check(self, batch: pa.RecordBatch, number: int) -> None:
        """Raise DataError where numbers lead out of their column: a reader takes them on trust."""
        try:
            batch.validate(full=True)
        except pa.ArrowInvalid as error:
            words = " ".join(str(error).split())[:200]
            raise DataError(
                f"record batch {number + 1} of {self.path} is damaged: {words}", "write it again"
            ) from error

    @contextmanager
    def _open(self, column: columnar.Column | None = None) -> Iterator[Any]:
        fields = [] if column is None else [column.number(self.schema)]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        opened = pa.ipc.open_stream if self._is_stream else pa.ipc.open_file
        with (
            columnar.damage(self.path, "Arrow IPC"),
            reading(self.path),
            self.path.open("rb") as file,
            opened(file, options=options) as reader,
        ):
            yield reader

    def _writer(self, file: Any, output_schema: OutputColumns) -> Any:
        options = pa.ipc.IpcWriteOptions(compression=self._codec)
        schema = self.scored_schema(output_schema)
        if self._is_stream:
            return pa.ipc.new_stream(file, schema, options=options)
        return pa.ipc.new_file(file, schema, options=options, metadata=self._metadata)


def _cut(texts: pl.Series, start: int, stop: int) -> pl.Series:
    return texts[start:stop]


def _lengths(texts: pa.Array) -> NDArray[np.int64]:
    """Return the bytes of each text or number, without taking them out of their dictionary."""
    if pa.types.is_dictionary(texts.type):
        values = np.append(_lengths(texts.dictionary), 0)
        indices = texts.indices.cast(pa.int64()).fill_null(len(values) - 1)
        found: NDArray[np.int64] = values[indices.to_numpy(zero_copy_only=False)]
        return found
    if pa.types.is_integer(texts.type):
        return np.full(len(texts), 8, np.int64)
    if texts.type in (pa.string_view(), pa.binary_view()):  # pyarrow cannot measure them
        views = texts.view(pa.binary_view())
        sizes = pl.Series(pl.from_arrow(views), dtype=pl.Binary).bin.size().to_arrow()
    else:
        sizes = pc.binary_length(texts)
    lengths: NDArray[np.int64] = sizes.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths


def _check_written(destination: Path, rows: int) -> None:
    """Check the headers of what was written before it is published."""
    with reading(destination):
        found = sum(batch.rows for batch in batches_of(destination))
    if found != rows:
        raise StorageError(f"{destination} holds {found} rows instead of {rows}", "run again")
