"""What an Arrow file or stream says of itself, read without pyarrow: its messages.

The metadata of a message is a FlatBuffer.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import DataError
from scorer.os_errors import reading


class Table:
    """A table of FlatBuffers; struct.error or ValueError where the bytes are none.

    Offsets are taken as they come: whatever a forged one leads to is read as numbers, and no more
    than the bytes that are there.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at
        self._names = at - self._number("<i", at)
        self._size = self._number("<H", self._names)

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the outermost table."""
        (at,) = struct.unpack_from("<I", data)
        return cls(data, at)

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a field of a struct format such as `<q`."""
        at = self._place(field)
        return self._number(kind, at) if at else default

    def table(self, field: int) -> "Table | None":
        """Return the table that a field leads to."""
        at = self.target(field)
        return Table(self._data, at) if at else None

    def target(self, field: int) -> int:
        """Return the byte that a field leads to, or 0 where it is left out."""
        at = self._place(field)
        return at + self._number("<I", at) if at else 0

    def text(self, field: int) -> bytes:
        """Return a string, or nothing where it is left out."""
        return bytes(self._vector(field, 1))

    def tables(self, field: int) -> "list[Table]":
        """Return the elements of a vector of tables."""
        start = self.target(field) + 4
        offsets = self.structs(field, "<I")
        return [
            Table(self._data, start + 4 * number + offset)
            for number, (offset,) in enumerate(offsets)
        ]

    def structs(self, field: int, kind: str) -> Iterator[tuple[int, ...]]:
        """Return the elements of a vector of structs, each as a struct format reads it."""
        return struct.iter_unpack(kind, self._vector(field, struct.calcsize(kind)))

    def _vector(self, field: int, size: int) -> memoryview:
        """Return the bytes of a vector whose elements have so many, none where it is left out."""
        at = self.target(field)
        length = self._number("<I", at) * size if at else 0
        if at + 4 + length > len(self._data):
            raise ValueError("a list is longer than what holds it")
        return memoryview(self._data)[at + 4 : at + 4 + length]

    def _place(self, field: int) -> int:
        """Return where a field is, or 0 where it is left out."""
        entry = 4 + 2 * field
        if entry >= self._size:
            return 0
        offset = self._number("<H", self._names + entry)
        return self.at + offset if offset else 0

    def _number(self, kind: str, at: int) -> int:
        if at < 0:
            raise ValueError("an offset leads out of the message")
        number: int = struct.unpack_from(kind, self._data, at)[0]
        return number


MOST_BATCH = 2 << 30  # bytes of a record batch, or of all dictionaries, in memory
MOST_ROWS = 1 << 25  # rows of a record batch: scored ones are held until it is complete
_MOST_HEADER = 64 << 20  # bytes of a message's header, or a footer

MAGIC = b"ARROW1"
_FEATHER_1 = b"FEA1"
_MiB = 1 << 20

_DICTIONARY, _BATCH = 2, 3  # kinds of message
_CODECS = ("lz4", "zstd")
_BLOCK = "<qi4xq"  # offset, bytes of the header, bytes of the body
_BUFFER = "<qq"  # offset, bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """What a record batch's header says."""

    rows: int
    codec: str | None


@dataclass(frozen=True, slots=True)
class _Message:
    kind: int
    body: int  # where the body begins
    stop: int  # where it ends
    header: Table | None


def is_stream(path: Path) -> bool:
    """Tell whether it is a stream, not of the file format; DataError where it is neither."""
    with reading(path), path.open("rb") as file:
        start = file.read(len(MAGIC))
    if not start:
        raise DataError(f"{path} is empty", "an Arrow file begins with a schema")
    if start.startswith(_FEATHER_1):
        raise DataError(f"{path} is Feather version 1", "write it again as version 2")
    return start != MAGIC


def batches_of(path: Path) -> Iterator[Batch]:
    """Yield the header of each record batch, as soon as all before it can be read.

    Raises:
        DataError: headers are damaged, the end is missing, or bounded reading is impossible.
    """
    stream = is_stream(path)
    try:
        with path.open("rb") as file:
            reader = _Reader(path, file.fileno())
            yield from reader.of_stream() if stream else reader.of_file()
    except (ValueError, OverflowError, struct.error) as error:
        raise DataError(f"{path} is damaged: {error}", "write it again") from error


class _Reader:
    """One open file."""

    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file
        self._size = os.fstat(file).st_size
        self._dictionaries: dict[int, int] = {}  # bytes in memory by their id

    def of_file(self) -> Iterator[Batch]:
        tail = len(MAGIC) + 4
        length, magic = struct.unpack("<i6s", self._read(self._size - tail, tail))
        if magic != MAGIC or not 0 < length <= min(_MOST_HEADER, self._size - tail):
            raise DataError(
                f"{self._path} is not complete: its footer is missing", "fetch it again"
            )
        footer = Table.root(self._read(self._size - tail - length, length))
        for block in footer.structs(2, _BLOCK):
            self._hold(self._of_block(block, _DICTIONARY))
        for block in footer.structs(3, _BLOCK):
            yield self._checked(self._of_block(block, _BATCH))

    def of_stream(self) -> Iterator[Batch]:
        at = 0
        while (message := self._next(at)) is not None:
            if message.kind == _DICTIONARY:
                self._hold(message)
            elif message.kind == _BATCH:
                yield self._checked(message)
            at = message.stop

    def _next(self, at: int) -> _Message | None:
        """Return the message at an offset, or None where the stream ends properly."""
        prefix = self._read(at, 8)
        (length,) = struct.unpack_from("<i", prefix.ljust(4, b"\1"))
        start = at + 4
        if length == -1:  # since Arrow 0.15
            (length,) = struct.unpack_from("<i", prefix.ljust(8, b"\1"), 4)
            start = at + 8
        if start > self._size:
            raise DataError(
                f"{self._path} is not complete: it ends without the mark of a stream's end",
                "fetch it again",
            )
        if length == 0:
            if start != self._size:
                raise DataError(
                    f"{self._path} goes on after the end of the stream", "split it into streams"
                )
            return None
        return self._message(start, length)

    def _of_block(self, block: tuple[int, ...], kind: int) -> _Message:
        at, length, body = block
        (first,) = struct.unpack("<i", self._read(at, 4))
        skipped = 8 if first == -1 else 4
        message = self._message(at + skipped, length - skipped)
        if message.kind != kind or message.stop - message.body != body:
            raise ValueError("its footer is not about its messages")
        return message

    def _message(self, start: int, length: int) -> _Message:
        if not 0 < length <= _MOST_HEADER:
            raise ValueError(f"a header has {length:,} bytes")
        table = Table.root(self._read(start, length))
        body, size = start + length, table.number(3, "<q")
        if not 0 <= size <= self._size - body:
            raise DataError(f"{self._path} is not complete: it ends in a batch", "fetch it again")
        return _Message(table.number(1, "<B"), body, body + size, table.table(2))

    def _checked(self, message: _Message) -> Batch:
        data = _present(message.header)
        rows = data.number(0, "<q")
        if not 0 <= rows <= MOST_ROWS:
            raise DataError(
                f"a record batch of {self._path} has {rows:,} rows",
                "write it again in smaller ones",
            )
        self._bound("a record batch", self._bytes_of(data, message))
        return Batch(rows, _codec_of(data))

    def _hold(self, message: _Message) -> None:
        header = _present(message.header)
        number, delta = header.number(0, "<q"), header.number(2, "<B")
        size = self._bytes_of(_present(header.table(1)), message)
        held = self._dictionaries.get(number, 0) if delta else 0
        self._dictionaries[number] = held + size
        self._bound("the dictionaries", sum(self._dictionaries.values()))

    def _bound(self, what: str, size: int) -> None:
        if size > MOST_BATCH:
            raise DataError(
                f"{what} of {self._path} would take {size / _MiB:,.0f} MiB of memory",
                "write it again in smaller record batches",
            )

    def _bytes_of(self, data: Table, message: _Message) -> int:
        """Return the bytes that all buffers take in memory, at least those of the body."""
        packed = _codec_of(data) is not None
        total = 0
        for at, length in data.structs(2, _BUFFER):
            if length < 0 or at < 0 or message.body + at + length > message.stop:
                raise ValueError("a buffer lies outside of its message")
            size = length
            if packed and length >= 8:
                (claimed,) = struct.unpack("<q", self._read(message.body + at, 8))
                size = length if claimed == -1 else claimed
                if size < 0:
                    raise ValueError(f"a buffer has {size:,} bytes")
            total += size
        return max(total, message.stop - message.body)

    def _read(self, at: int, size: int) -> bytes:
        if at < 0:
            raise ValueError("an offset leads out of the file")
        return os.pread(self._file, size, at)


def _present(table: Table | None) -> Table:
    if table is None:
        raise ValueError("a message has no header")
    return table


def _codec_of(data: Table) -> str | None:
    compression = data.table(3)
    if compression is None:
        return None
    codec = compression.number(0, "<b")
    if codec not in range(len(_CODECS)):
        raise ValueError(f"there is a compression {codec}")
    return _CODECS[codec]
