"""Results only, one part per window, between the first pass and the second."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa

from scorer.files.discover import state_directory
from scorer.files.publish import fsync_directory
from scorer.files.source import ScoredSlice, text_digest
from scorer.files.storage import reading, writing
from scorer.records import Scores, TextWindow


class Parts:
    """The results of the windows of one run, in a directory, in order."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._count = 0

    def write(self, window: TextWindow, scores: Scores) -> None:
        """Store one window's results durably: temporary name, fsync, rename."""
        path = self.directory / f"part-{self._count:08d}.arrow"
        temporary = path.with_suffix(".tmp")
        batch = _to_batch(window, scores)
        with writing(path):
            with temporary.open("wb") as file:
                with pa.ipc.new_file(file, batch.schema) as writer:
                    writer.write_batch(batch)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            fsync_directory(self.directory)
        self._count += 1

    def read(self) -> Iterator[ScoredSlice]:
        """Yield what was stored, one window in memory at a time."""
        for number in range(self._count):
            path = self.directory / f"part-{number:08d}.arrow"
            with reading(path), pa.ipc.open_file(path.read_bytes()) as reader:
                part = _from_batch(reader.get_batch(0))
            yield part


def _to_batch(window: TextWindow, scores: Scores) -> pa.RecordBatch:
    classes = scores.probabilities.shape[1]
    ids = pa.array(scores.label_ids, mask=scores.label_ids < 0)
    flat = pa.array(np.ascontiguousarray(scores.probabilities, np.float32).reshape(-1))
    probabilities = pa.FixedSizeListArray.from_arrays(flat, classes)
    metadata = {
        b"offset": str(window.offset).encode(),
        b"digest": text_digest(window.texts),
    }
    schema = pa.schema(
        [("label_id", pa.int16()), ("probabilities", probabilities.type)], metadata=metadata
    )
    return pa.record_batch([ids, probabilities], schema=schema)


def _from_batch(batch: pa.RecordBatch) -> ScoredSlice:
    metadata = batch.schema.metadata
    ids, probabilities = batch.column(0), batch.column(1)
    flat = probabilities.flatten().to_numpy(zero_copy_only=False)
    return ScoredSlice(
        offset=int(metadata[b"offset"]),
        digest=metadata[b"digest"],
        label_ids=ids.fill_null(-1).to_numpy(zero_copy_only=False),
        probabilities=flat.reshape(len(ids), probabilities.type.list_size),
    )


@contextmanager
def parts_of(output: Path) -> Iterator[Parts]:
    """Yield an empty store in `.OUTPUT.tweetscore/`, which is removed at the end, come what may."""
    directory = state_directory(output)
    with writing(directory):
        if directory.exists():
            shutil.rmtree(directory)
        directory.mkdir()
    try:
        yield Parts(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
