"""Checkpoints of a run: the results of each window, and the journal that says which are whole."""

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from scorer.errors import DataError, InputMissing, StorageError
from scorer.formats.base import ScoredSlice
from scorer.os_errors import reading, writing
from scorer.records import Counters, Scores
from scorer.store.own_files import append_own, create_own, open_own, read_own

_HEAD = 18  # "LLLLLLLL CCCCCCCC "
_LONGEST = 1 << 16  # bytes of a line; ours have some hundred


class Journal:
    """The lines that are whole, and the means to append one durably."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal.

        Raises:
            StorageError: The file cannot be read or written.
        """
        self.path = path
        with writing(path):
            self._file = append_own(path)
        with reading(path), open_own(path) as file:
            lines = whole_lines(file)
        self.entries: list[dict[str, Any]] = [entry for entry, _ in lines]
        self._ends = [end for _, end in lines]  # where each line ends, in bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, count: int) -> None:
        """Forget all entries but the first `count`."""
        del self.entries[count:], self._ends[count:]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line and wait until it is on the disk; then it is an entry."""
        line = line_of(entry)
        start = self._ends[-1] if self._ends else 0
        with writing(self.path):
            self._file.truncate(start)
            rest = memoryview(line)
            while rest:  # a disk that is filling up takes a part without an error
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        self.entries.append(dict(entry))
        self._ends.append(start + len(line))


def line_of(entry: Mapping[str, Any]) -> bytes:
    """Return an entry as a line of the journal."""
    content = json.dumps(entry, separators=(",", ":")).encode("ascii")
    return b"%08x %08x %b\n" % (len(content), zlib.crc32(content), content)


def whole_lines(file: IO[bytes]) -> list[tuple[dict[str, Any], int]]:
    """Return the entries before the first line that is not whole, each with its line's end."""
    lines = []
    end = 0
    while (line := file.readline(_LONGEST)).endswith(b"\n"):
        entry = _entry(line[:-1])
        if entry is None:
            break
        end += len(line)
        lines.append((entry, end))
    return lines


def _entry(line: bytes) -> dict[str, Any] | None:
    head, content = line[:_HEAD], line[_HEAD:]
    if head != b"%08x %08x " % (len(content), zlib.crc32(content)):
        return None
    entry: dict[str, Any] = json.loads(content)
    return entry


VERSION = 3  # of what is stored; goes into the resume key, so that no checkpoint of another is used


class Checkpoints:
    """The results of the windows of one input, in order, each with its line in the journal.

    A checkpoint may be used again for a window that begins at the same row and has the same texts.
    """

    def __init__(self, directory: Path, journal: Journal) -> None:
        self._directory = directory
        self._journal = journal
        self._count = 0  # windows that were found in the journal, or saved since
        self._may_take = True

    def take(self, offset: int, digest: bytes, rows: int) -> Scores | None:
        """Return what an earlier run stored for the next window.

        At the first window that has no usable checkpoint, this and all later ones are forgotten.
        """
        if not self._may_take:
            return None
        wanted = {"offset": offset, "digest": digest.hex(), "rows": rows}
        for entry in self._journal.entries[self._count : self._count + 1]:
            if wanted.items() <= entry.items() and (found := self._load(entry)) is not None:
                self._count += 1
                stored, lengths = found
                counters, cache_hits = Counters(**entry["counters"]), entry["taken_over"]
                return Scores(
                    stored.label_ids, stored.probabilities, counters, lengths, cache_hits=cache_hits
                )
        # From here on another thread writes while this one reads ahead: never try again.
        self.forget()
        return None

    def forget(self) -> None:
        """Take nothing more of what an earlier run stored."""
        self._may_take = False
        self._journal.keep(self._count)

    def save(self, offset: int, digest: bytes, scores: Scores) -> None:
        """Save one window's results durably: temporary name, fsync, rename, journal.

        The rename itself may be lost with the power: then that window is scored again.
        """
        path = self._path(self._count)
        content = _to_bytes(offset, digest, scores)
        with writing(path):
            temporary = path.with_suffix(".tmp")
            with create_own(temporary) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        self._journal.append(
            {
                "offset": offset,
                "digest": digest.hex(),
                "rows": len(scores.label_ids),
                "part": path.name,
                "bytes": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "counters": asdict(scores.counters),
                "taken_over": scores.cache_hits,
            }
        )
        self._count += 1

    def read(self) -> Iterator[ScoredSlice]:
        """Yield the results of all windows, one in memory at a time.

        Raises:
            StorageError: A checkpoint is not what was written.
        """
        for entry in self._journal.entries:
            if (found := self._load(entry)) is None:
                path = self._directory / entry["part"]
                raise StorageError(f"{path} is not what was written there", "run again")
            yield found[0]

    def _load(self, entry: dict[str, Any]) -> tuple[ScoredSlice, NDArray[np.int64]] | None:
        """Return a checkpoint and its rows by length; None where it is not as the journal says."""
        path = self._directory / entry["part"]
        try:
            with reading(path):
                content = read_own(path, entry["bytes"])
        except (InputMissing, DataError):  # a file that is larger is not the one, either
            return None
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            return None
        return _from_bytes(content)

    def _path(self, number: int) -> Path:
        return self._directory / f"part-{number:08d}"  # no extension of a table


def _to_bytes(offset: int, digest: bytes, scores: Scores) -> bytes:
    import polars as pl  # here and below: a run loads it, 0.1 s, while its session is loaded

    classes = scores.probabilities.shape[1]
    # Through polars: pyarrow's own conversions load pandas, where it is installed, for 0.2 s.
    ids = pl.Series(scores.label_ids)
    ids = ids.set(ids < 0, None).to_arrow()
    flat = pl.Series(np.ascontiguousarray(scores.probabilities, np.float32).reshape(-1)).to_arrow()
    probabilities = pa.FixedSizeListArray.from_arrays(flat, classes)
    schema = pa.schema(
        [("label_id", pa.int16()), ("probabilities", probabilities.type)],
        metadata={
            b"offset": str(offset).encode(),
            b"digest": digest,
            b"lengths": scores.lengths.astype("<i8").tobytes(),  # a kilobyte: tweets are short
        },
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_batch(pa.record_batch([ids, probabilities], schema=schema))
    return bytes(sink.getvalue())


def _from_bytes(content: bytes) -> tuple[ScoredSlice, NDArray[np.int64]]:
    import polars as pl

    with pa.ipc.open_file(content) as reader:
        batch = reader.get_batch(0)
    metadata = batch.schema.metadata
    # As a batch: for a single array polars loads pyarrow.compute, for 40 ms. And without metadata,
    # which it would read, too: a digest is no UTF-8.
    columns = pl.DataFrame(batch.replace_schema_metadata(None))
    stored = ScoredSlice(
        columns["label_id"].fill_null(-1).to_numpy(),
        columns["probabilities"].to_numpy(),
        offset=int(metadata[b"offset"]),
        digest=metadata[b"digest"],
    )
    return stored, np.frombuffer(metadata[b"lengths"], "<i8").astype(np.int64)
