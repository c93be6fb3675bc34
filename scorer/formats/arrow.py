"""Arrow IPC, file and stream: read for the texts, written back with columns appended."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
from scorer.formats.added_columns import added_columns
from scorer.formats.base import Rebatcher, ScoredSlice, input_changed, second_pass
from scorer.formats.batch_writer import BatchWriter, InputBatch, Metadata
from scorer.formats.guards.arrow_messages import batches_of, is_stream
from scorer.formats.output_columns import OutputColumns
from scorer.formats.written import Written
from scorer.options import InputSpec
from scorer.os_errors import reading, writing

MOST_TEXT = 256 << 20  # bytes of one text
TEXTS_AT_ONCE = 16_384  # texts that are taken out of a batch at once, where they are not too large
BYTES_AT_ONCE = 32 << 20  # bytes of them: a view or a dictionary may repeat a long one for ever


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
    ) -> Written:
        """Write the input's batches with their scores to a new file."""
        self.check_output_schema(output_schema)
        count = 0
        with (
            columnar.damage(self.path, "Arrow IPC"),
            writing(destination),
            destination.open("xb") as file,
            self._writer(file, output_schema) as writer,
        ):

            def write(batch: pa.RecordBatch, metadata: Metadata) -> None:
                writer.write_batch(batch, custom_metadata=metadata)

            out = BatchWriter(write, self.scored_schema(output_schema))
            texts = self._texts_of(out.queued(self._read(None)), self._text)
            rows = Rebatcher(texts, _cut)
            added = partial(added_columns, output_schema=output_schema)
            for batch, cells in second_pass(self.path, rows, lambda texts: texts, results, added):
                out.add(cells)
                count += len(batch)
            out.flush()
        _check_written(destination, count)
        return Written(count)

    def rows(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the batches as they stand."""
        return (source.batch for source in self._read(columns))

    def _texts(self, column: columnar.Column) -> Iterator[pl.Series]:
        """Yield the values of a column as text, in series that fit the memory."""
        return self._texts_of(self._read([column.number(self.schema)]), column)

    def _texts_of(
        self, sources: Iterable[InputBatch], column: columnar.Column
    ) -> Iterator[pl.Series]:
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
                columnar.check_utf8(values, column, self.path, source.offset + at, column.option)
                yield columnar.texts_of(values)
                at = stop

    def _read(self, columns: Sequence[int] | None) -> Iterator[InputBatch]:
        """Yield the batches, each checked before it is read, and after."""
        left = self._limit
        offset = 0
        sizes = batches_of(self.path)
        with self._open(columns or ()) as reader:
            if columns is None and reader.schema != self.schema:
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
    def _open(self, columns: Sequence[int] = ()) -> Iterator[Any]:
        options = pa.ipc.IpcReadOptions(included_fields=[*columns])
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
    if not columnar.is_text(texts.type):
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
