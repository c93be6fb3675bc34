"""NDJSON: read for the texts, and written back as the same bytes plus members."""

import codecs
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from scorer.errors import DataError
from scorer.files.cells import is_utf8
from scorer.files.columns import find_column
from scorer.files.compression import read_blocks, write_blocks
from scorer.files.feed import RowFeed
from scorer.files.formats import format_of
from scorer.files.ndjson.lines import Lines, split_lines
from scorer.files.ndjson.members import appended_members, with_members
from scorer.files.ndjson.objects import ObjectReader, Objects
from scorer.files.ndjson.strict import Failure, Keys, read_members
from scorer.files.ndjson.values import values_of
from scorer.files.source import (
    NOTHING_FOUND,
    RECORD_CAP,
    OutputColumns,
    ScoredSlice,
    TextDigest,
    check_offset,
    input_changed,
)
from scorer.files.transcode import Encoding
from scorer.files.windows import cut_windows
from scorer.records import TextWindow

LOOKED_AT = 1000  # lines in which the keys are found, before any work
_BYTES_LOOKED_AT = 4 << 20  # of these lines together

_BOM = codecs.BOM_UTF8
_FOREIGN = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class NdjsonSource:
    """One NDJSON file, UTF-8."""

    format = "ndjson"
    found = NOTHING_FOUND
    remarks: tuple[str, ...] = ()
    encoding = "utf-8"

    def __init__(
        self, path: Path, *, text_column: str, limit: int | None = None, cap: int = RECORD_CAP
    ) -> None:
        self.path = path
        self._compression = format_of(path).compression
        self._limit = limit
        self._cap = cap  # bytes in a line
        self._keys = Keys(text_column)
        head = next(read_blocks(path, self._compression), b"")
        if head.startswith(_FOREIGN):
            raise DataError(f"{path} is UTF-16", "NDJSON is UTF-8: convert it")
        self.bom = _BOM if head.startswith(_BOM) else b""
        self.columns: tuple[str, ...] = self._find_columns()
        if self.columns:
            find_column(path, self.columns, text_column)

    def _find_columns(self) -> tuple[str, ...]:
        """Return the keys of the first objects, in the order in which they come up.

        A text that is missing is null. Missing from all of them, it was meant to have another name.
        """
        keys: dict[str, None] = {}
        left = _BYTES_LOOKED_AT
        for line in islice(_each(self._lines()), LOOKED_AT):
            if (left := left - len(line)) < 0:
                break
            members = read_members(line) if len(line) <= self._cap and is_utf8(line) else ()
            if not isinstance(members, Failure):
                keys.update(dict.fromkeys(name for name, _ in members))
        return tuple(keys)

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of at most `rows` rows, memory flat."""
        return cut_windows(((piece.texts, piece.rejects) for piece in self.rows()), rows)

    def values(self, column: str) -> Iterator[pl.Series]:
        """Return the values of a key in pieces: strings, and whole numbers as they are spelled."""
        if self.columns:
            find_column(self.path, self.columns, column, "--id-column")
        return (values_of(rows, column) for rows in self.rows())

    def check_plan(self, plan: OutputColumns) -> None:
        """Raise UsageError when one of the first objects has a name already.

        A later one that has it is no row; so the names are kept.
        """
        plan.check_against(self.columns)
        plan.check_encoding(Encoding(self.encoding))
        self._keys = Keys(self._keys.text, plan.names)

    def write_scored(
        self, destination: Path, plan: OutputColumns, results: Iterable[ScoredSlice]
    ) -> int:
        """Write the input's lines with their scores to a new file and return the rows.

        Raises:
            DataError: the texts are not those that were scored.
            UsageError: a name exists already.
        """
        self.check_plan(plan)
        rows = RowFeed(self.rows(), Objects.rows)
        count = 0
        with write_blocks(destination, self._compression) as sink:
            sink.write(self.bom)
            for part in results:
                check_offset(self.path, part, count)
                for block in self._scored_blocks(part, plan, rows):
                    sink.write(block)
                count += len(part)
            if rows.has_more():
                raise input_changed(self.path)
        return count

    def _scored_blocks(
        self, part: ScoredSlice, plan: OutputColumns, rows: RowFeed[Objects]
    ) -> Iterator[bytes]:
        members = appended_members(part, plan)
        digest = TextDigest()
        at = 0
        for piece in rows.take(len(part)):
            digest.update(piece.texts)
            yield with_members(piece, members[at : at + len(piece)])
            at += len(piece)
        if at != len(part) or digest.digest() != part.digest:
            raise input_changed(self.path)

    def rows(self) -> Iterator[Objects]:
        """Yield the rows as they stand, in pieces, as far as the limit."""
        reader = ObjectReader(self._keys, self._cap)
        left = self._limit
        for lines in self._lines() if left != 0 else ():
            found = reader.read(lines)
            if left is not None and len(found) >= left:
                yield found.first(left)
                return
            yield found
            left = None if left is None else left - len(found)

    def _lines(self) -> Iterator[Lines]:
        return split_lines(self._content(), self._cap)

    def _content(self) -> Iterator[bytes]:
        blocks = read_blocks(self.path, self._compression)
        yield next(blocks, b"").removeprefix(self.bom)
        yield from blocks


def _each(pieces: Iterator[Lines]) -> Iterator[bytes]:
    for lines in pieces:
        yield from map(lines.content, range(len(lines)))
