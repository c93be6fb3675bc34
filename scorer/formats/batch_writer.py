"""Joins scores that come by windows to batches that have other bounds."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

Metadata = Mapping[bytes, bytes] | None


@dataclass(frozen=True, slots=True, eq=False)
class InputBatch:
    """A record batch of the input with its own metadata."""

    batch: pa.RecordBatch
    metadata: Metadata
    offset: int  # of its first row in the file


class BatchWriter:
    """Joins scores that come by windows to batches that have other bounds."""

    def __init__(
        self, write: Callable[[pa.RecordBatch, Metadata], object], schema: pa.Schema
    ) -> None:
        self._write_batch = write
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
        self._write_batch(batch, source.metadata)
        self._cells, self._rows = [], 0
