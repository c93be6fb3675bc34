"""Rows on their way into a Parquet file: row groups of one size, and a last look at them."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.errors import StorageError
from scorer.files.storage import reading

ROW_GROUP = 131_072  # rows of every row group that we write but the last
GROUP_BYTES = 128 << 20  # bytes of rows in memory that end a row group early
WRITE_BATCH = 128  # rows, and so values that make a page at once: they may be large


class RowGroups:
    """Collects batches and writes them in row groups of one size, whatever the windows were."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._writer = writer
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._start = 0  # the row at which the next row group begins
        self._at = 0  # the row after those that are held
        self._ends: deque[int] = deque()  # rows before which one ends early

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
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
            room = end - self._at
            self._hold(batch.slice(0, room))
            self.flush()
            batch = batch.slice(room)
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
    """Read the footer of what was written: a last look before it is published."""
    with reading(destination), pq.ParquetFile(destination) as file:
        if file.metadata.num_rows != rows:
            raise StorageError(
                f"{destination} holds {file.metadata.num_rows} rows instead of {rows}",
                "run again",
            )
