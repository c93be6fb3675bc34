"""Record batches on their way out: each is written when all of its rows have their scores."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A record batch of the input, and what it says beside its rows."""

    batch: pa.RecordBatch
    metadata: Mapping[bytes, bytes] | None
    offset: int  # of its first row in the file


class BatchesOut:
    """Puts scores that come in windows beside batches that were cut otherwise."""

    def __init__(self, writer: pa.RecordBatchFileWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._waiting: deque[Held] = deque()
        self._cells: list[list[pa.Array]] = []  # of rows of the first that waits, in pieces
        self._rows = 0  # of these

    def watch(self, batches: Iterator[Held]) -> Iterator[Held]:
        """Pass on batches as they are read, and keep them until they are written."""
        for held in batches:
            self._waiting.append(held)
            yield held

    def add(self, cells: list[pa.Array]) -> None:
        """Take the next rows' scores, all of one batch, and write it when they are the last."""
        self.flush()
        self._cells.append(cells)
        self._rows += len(cells[0])
        if self._rows == len(self._waiting[0].batch):
            self._write()

    def flush(self) -> None:
        """Write the batches without rows that come next."""
        while self._waiting and not len(self._waiting[0].batch):
            self._write()

    def _write(self) -> None:
        held = self._waiting.popleft()
        kinds = [field.type for field in self._schema][held.batch.num_columns :]
        pieces = zip(*self._cells, strict=True) if self._cells else ([] for _ in kinds)
        added = [
            pa.concat_arrays(column) if column else pa.array([], kind)
            for column, kind in zip(pieces, kinds, strict=True)
        ]
        batch = pa.RecordBatch.from_arrays([*held.batch.columns, *added], schema=self._schema)
        self._writer.write_batch(batch, custom_metadata=held.metadata)
        self._cells, self._rows = [], 0
