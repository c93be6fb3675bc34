"""A Parquet file that is another's bytes, column chunks behind them, and a footer for both.

No byte before the input's footer moves, so every place that the footer names stays true, and no
value, statistic or index of the input's columns can change.
"""

import errno
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from scorer.formats.base import Rebatcher, ScoredSlice, in_order, input_changed
from scorer.formats.output_columns import OutputColumns
from scorer.formats.parquet.appended import appended_schema, coded_columns, coded_schema
from scorer.formats.parquet.footer import MAGIC, Footer, read_footer
from scorer.formats.parquet.merge import AddedColumns, MergedFooter, last_columns
from scorer.formats.written import Written
from scorer.os_errors import writing
from scorer.prefetch import begun
from scorer.records import Answers

_ROW_GROUPS = 1000  # that one writer of pyarrow's holds in memory until it is closed
_CODECS = {0: "none", 1: "snappy", 2: "gzip", 4: "brotli", 5: "lz4", 6: "zstd", 7: "lz4"}
_AT_ONCE = 64 << 20  # bytes that the system copies between two chances to be interrupted
_BLOCK = 1 << 20  # bytes that are copied by hand, or counted
_NOTHING = bytes(_BLOCK)
#: What the system says where it cannot copy between two files by itself, or is not let (seccomp).
_BY_HAND = {errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}


class Splice:
    """One input that is copied, and the columns that its rows get."""

    def __init__(self, path: Path, file: int, footer: Footer, text: int) -> None:
        """Take an open file.

        Args:
            path: The input, for messages.
            file: A descriptor of it, from which all bytes are taken.
            footer: Its footer, read from the same.
            text: The number of the column of texts, whose codec the new columns get.
        """
        self._path = path
        self._file = file
        self._footer = footer
        self._text = footer.columns[text]

    def write(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> tuple[Written, list[tuple[int, bytes]]]:
        """Write a new file.

        Returns:
            What was written, and the rows and the digest of each window whose answers it has.

        Raises:
            DataError: The results are not as many as the rows.
        """
        windows: list[tuple[int, bytes]] = []
        start = self._footer.start
        with writing(destination), destination.open("x+b") as out:
            if copy(self._file, out.fileno(), start) < start:
                raise input_changed(self._path)
            # On the other core: a file of 2 GB is published in 1.9 s, where it were 3 one by one.
            hashed = begun(partial(_hashed, os.dup(out.fileno()), start))
            chunks = _Chunks(out, destination, start, self._writer(output_schema))
            added = chunks.write(self._tables(output_schema, self._noted(results, windows)))
            merged = MergedFooter(self._footer, added, appended_schema(output_schema))
            size = sum(map(out.write, merged.pieces()))
            out.write(size.to_bytes(4, "little") + MAGIC)
        return Written(sum(self._footer.rows), start, merged.keys, hashed), windows

    def _noted(
        self, results: Iterable[ScoredSlice], windows: list[tuple[int, bytes]]
    ) -> Iterator[ScoredSlice]:
        for part in in_order(self._path, results):
            windows.append((len(part), part.digest))
            yield part

    def _tables(
        self, output_schema: OutputColumns, results: Iterator[ScoredSlice]
    ) -> Iterator[pa.Table]:
        """Yield the new columns of each row group."""
        rows: Rebatcher[Answers] = Rebatcher(results, lambda part, *bounds: part.rows(*bounds))
        schema = coded_schema(output_schema)
        for count in self._footer.rows:
            pieces = [coded_columns(part, output_schema) for part in rows.take(count)]
            table = pa.Table.from_batches(pieces, schema)
            if len(table) != count:
                raise input_changed(self._path)
            yield table.combine_chunks()  # the windows must not be seen in the pages
        if rows.has_more():
            raise input_changed(self._path)

    def _writer(self, output_schema: OutputColumns) -> Callable[[IO[bytes]], pq.ParquetWriter]:
        """Return what makes a writer of files as the input is one."""
        first = next(self._footer.groups([self._text]), None)
        return partial(
            pq.ParquetWriter,
            schema=coded_schema(output_schema),
            compression=_CODECS.get(first.chunks[0].codec, "snappy") if first else "snappy",
            version="1.0" if self._footer.version == 1 else "2.6",
            store_schema=False,
            write_page_index=self._footer.has_page_index,
        )


class _Chunks:
    """Files of pyarrow's behind each other, without their beginnings and footers."""

    def __init__(
        self,
        out: IO[bytes],
        path: Path,
        end: int,
        writer: Callable[[IO[bytes]], pq.ParquetWriter],
    ) -> None:
        """Go on at the end of what is written."""
        self._out = out
        self._path = path
        self._end = end
        self._writer = writer

    def write(self, tables: Iterator[pa.Table]) -> AddedColumns:
        """Write a row group for each table, and return what a footer says of them."""
        added = self._write_some(islice(tables, _ROW_GROUPS))
        for table in tables:
            more = self._write_some(chain([table], islice(tables, _ROW_GROUPS - 1)))
            added.groups.extend(more.groups)
        return added

    def _write_some(self, tables: Iterable[pa.Table]) -> AddedColumns:
        self._out.seek(self._end)
        sink = _Sink(self._out)
        file = pa.PythonFile(sink, mode="w")
        with self._writer(file) as writer:
            # pyarrow goes by how many bytes it has written, its magic among them. So all places
            # that it names, those of pages in an index too, are places of the whole file.
            blocks, rest = divmod(self._end - len(MAGIC), _BLOCK)
            for size in chain(repeat(_BLOCK, blocks), [rest]):
                file.write(memoryview(_NOTHING)[:size])
            sink.passes_on = True
            for table in tables:
                writer.write_table(table, row_group_size=max(1, len(table)))
        self._out.flush()
        footer = read_footer(self._path, self._out.fileno())
        self._end = footer.start
        self._out.seek(self._end)
        self._out.truncate()
        return last_columns(footer, len(footer.columns))


class _Sink(io.RawIOBase):
    """What pyarrow writes to. It counts all bytes; those before `passes_on` is set go nowhere."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.passes_on = False

    def writable(self) -> bool:
        """Tell pyarrow so."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes, or say that they are written."""
        return self._out.write(data) if self.passes_on else len(data)


def _hashed(file: int, size: int) -> "hashlib._Hash":
    """Return the SHA-256 of an open file's first bytes, and close it."""
    digest = hashlib.sha256()
    try:
        for at in range(0, size, _BLOCK):
            digest.update(os.pread(file, min(_BLOCK, size - at), at))
    finally:
        os.close(file)
    return digest


def copy(source: int, target: int, size: int) -> int:
    """Copy the first bytes of one open file to the beginning of another; return how many."""
    done = 0
    while done < size:
        some = _copied(source, target, min(size - done, _AT_ONCE), done)
        if not some:
            break
        done += some
    while done < size:
        block = os.pread(source, min(size - done, _BLOCK), done)
        if not block:
            break
        put(target, block, done)
        done += len(block)
    return done


def _copied(source: int, target: int, size: int, at: int) -> int:
    """Let the system copy bytes between the same places, and return how many; 0 if it cannot."""
    try:
        return os.copy_file_range(source, target, size, at, at)
    except AttributeError:  # not on Linux
        return 0
    except OSError as error:
        if error.errno in _BY_HAND:
            return 0
        raise


def put(target: int, data: bytes, at: int) -> None:
    """Write bytes at a place, however few the system takes at once."""
    while data:
        written = os.pwrite(target, data, at)
        data, at = data[written:], at + written
