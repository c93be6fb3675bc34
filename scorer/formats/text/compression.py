"""Blocks of bytes from plain and compressed files, and back."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa

from scorer.errors import DataError
from scorer.formats.registry import Compression
from scorer.os_errors import reading, writing

READ_SIZE = 1 << 20


class Sink(Protocol):
    """Where an output's bytes go."""

    def write(self, data: bytes, /) -> object:
        """Write all of the bytes."""


def read_blocks(
    path: Path, compression: Compression, *, reached: Callable[[int], object] = lambda _: None
) -> Iterator[bytes]:
    """Yield the decompressed content in blocks of about a MiB; DataError when it is damaged.

    `reached` is called before each block with the bytes of the file read so far.
    """
    with ExitStack() as stack:
        stack.enter_context(reading(path))
        try:
            raw = stack.enter_context(path.open("rb"))
            file = _decompressed(raw, compression, stack)
            while block := file.read(READ_SIZE):
                reached(raw.tell())
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error, pa.ArrowException) as error:
            raise _damaged(path, compression) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise _damaged(path, compression) from error  # so pyarrow reports damaged content


def read_beginning(path: Path, compression: Compression, size: int) -> tuple[bytes, int]:
    """Return about `size` bytes of the content, and how many bytes of the file they took."""
    held: list[bytes] = []
    stored = 0

    def remember(position: int) -> None:
        nonlocal stored
        stored = position

    for block in read_blocks(path, compression, reached=remember):
        held.append(block)
        if len(held) * READ_SIZE >= size:
            break
    return b"".join(held), stored


def _damaged(path: Path, compression: Compression) -> DataError:
    return DataError(f"{path} is not a complete {compression} file", "fetch or compress it again")


def _decompressed(
    raw: IO[bytes], compression: Compression, stack: ExitStack
) -> "IO[bytes] | gzip.GzipFile | pa.NativeFile":
    if compression == "gzip":
        return stack.enter_context(gzip.GzipFile(fileobj=raw, mode="rb"))
    if compression == "zstd":
        return stack.enter_context(pa.CompressedInputStream(raw, "zstd"))
    return raw


@contextmanager
def write_blocks(path: Path, compression: Compression) -> Iterator[Sink]:
    """Yield a sink for a new file; the same bytes always make the same file.

    The gzip header therefore holds neither a time nor a name.
    """
    with writing(path), ExitStack() as stack:
        raw = stack.enter_context(path.open("xb"))
        if compression == "gzip":
            yield stack.enter_context(
                gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0)
            )
        elif compression == "zstd":
            yield stack.enter_context(pa.CompressedOutputStream(raw, "zstd"))
        else:
            yield raw
