"""CSV and TSV: read for the texts, written back as the same bytes with two cells more."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from scorer.errors import DataError, UsageError
from scorer.formats.base import RECORD_CAP, Rebatcher, ScoredSlice, input_changed, second_pass
from scorer.formats.csv.head import Head, HeadReader
from scorer.formats.csv.label_cells import check_separator
from scorer.formats.csv.rows import (
    TrailingBlanks,
    appended_cells,
    appended_header,
    merged_rows,
    texts_of,
    with_cells,
)
from scorer.formats.csv.splitter import Records, RecordSplitter
from scorer.formats.output_columns import OutputColumns
from scorer.formats.registry import format_of
from scorer.formats.text.cells import TextBatch, cut_windows
from scorer.formats.text.columns import ValuesOption, find_column
from scorer.formats.text.compression import read_blocks, write_blocks
from scorer.formats.text.encodings import find_encoding, is_foreign_utf8
from scorer.formats.text.likely_encoding import conversion, is_taken, seen_in, wide_encoding
from scorer.formats.written import Written
from scorer.hints import options as as_typed
from scorer.options import InputSpec
from scorer.records import TextWindow

_SPREAD = 1_000  # rows of several lines that are examined
BLOCK_SIZE = 4 << 20  # bytes split at once; a few times the record cap


class CsvSource:
    """One CSV or TSV file."""

    def __init__(self, path: Path, spec: InputSpec, *, cap: int = RECORD_CAP) -> None:
        self._spec = spec
        self._spread = self._merged = 0  # rows of several lines: examined, maybe several rows
        file_format = format_of(path, spec.format)
        self.path = path
        self.format: str = file_format.kind
        self._compression = file_format.compression
        self._cap = cap  # bytes of UTF-8 in a record
        start = next(self._raw_blocks(), b"")
        self._encoding = find_encoding(spec.csv.encoding, start)
        if self.encoding not in {"utf-8", "utf-16-le", "utf-16-be"} and is_foreign_utf8(start):
            raise DataError(
                f"{path} is UTF-8, not {self.encoding}",
                "leave --encoding out",
                {"--encoding": "utf-8"},
            )
        usual = "\t" if self.format == "tsv" else ","
        head = next(self._blocks(), b"")
        reader = HeadReader(path, head, spec.csv, usual=usual, cap=cap)
        try:
            self._head = self._read_head(reader, spec.text_column)
        except DataError as error:
            raise self._with_encoding(error, start) from error
        self.dialect = self._head.dialect
        self._text_cell = find_column(path, self.columns, spec.text_column)

    @property
    def columns(self) -> tuple[str, ...]:
        """The header's cells."""
        return self._head.columns

    @property
    def found(self) -> dict[str, Any]:
        """How the cells are separated, and what said so."""
        return {"delimiter": {"character": self._head.delimiter, "from": self._head.delimiter_from}}

    @property
    def encoding(self) -> str:
        """The codec of a reject's raw bytes."""
        return self._encoding.codec

    def read_with(self, **changes: str) -> "CsvSource":
        """Return the same file, read with other options; raises what opening it raises."""
        csv = replace(self._spec.csv, **changes)  # type: ignore[arg-type]  # texts, all of them
        return CsvSource(self.path, replace(self._spec, csv=csv, limit=None), cap=self._cap)

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of at most `rows` rows, memory flat."""
        self._spread = self._merged = 0
        return cut_windows(map(self._text_batch, self.rows()), rows)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about the rows that windows had so far."""
        if not self._merged:
            return ()
        records = "1 record has" if self._merged == 1 else f"{self._merged:,} records have"
        if self._spread >= _SPREAD:
            records = f"at least {records}"
        words = "line ends in quotes and as many cells on each line as a row"
        return (f"{self.path}: {records} {words}; if quotes are data there, add --quote none",)

    def _text_batch(self, records: Records) -> TextBatch:
        rejects = records.rejects
        merged, spread = merged_rows(records, len(self.columns), _SPREAD - self._spread)
        self._merged += merged
        self._spread += spread
        if self.encoding != "utf-8":
            own = self._encoding.from_utf8
            rejects = tuple((at, replace(each, raw=own(each.raw))) for at, each in rejects)
        return texts_of(records), rejects

    def values(self, column: str, option: ValuesOption = "--id-column") -> Iterator[pl.Series]:
        """Return the cells of a column in batches, an empty one without quotes as null."""
        cell = find_column(self.path, self.columns, column, option)
        return map(texts_of, self._rows(cell, self._blanks()))

    def check_output_schema(self, output_schema: OutputColumns) -> None:
        """Raise UsageError when a name exists already, or the file cannot hold it."""
        output_schema.check_against(self.columns)
        output_schema.check_encoding(self._encoding)
        for text in output_schema.texts:
            if not self.dialect.can_hold(text):
                raise UsageError(f"{text!r} cannot be written without quotes", "choose other names")
        check_separator(output_schema, self.dialect)

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        """Write the input's records with their scores to a new file.

        Raises:
            DataError: the texts are not those that were scored.
            UsageError: a name exists already, or the file's encoding cannot hold it.
        """
        self.check_output_schema(output_schema)
        blanks = self._blanks()
        rows = Rebatcher(self._rows(self._text_cell, blanks), Records.rows)
        count = 0
        with write_blocks(destination, self._compression) as sink:
            sink.write(self.scored_header(output_schema))
            for records, (cells,) in second_pass(
                self.path,
                rows,
                texts_of,
                results,
                lambda part: [appended_cells(part, output_schema, self.dialect)],
            ):
                sink.write(self._encoding.from_utf8(with_cells(records, cells)))
                count += len(records)
            if count != self._spec.limit:
                sink.write(self._encoding.from_utf8(blanks.tail))
        return Written(count)

    def scored_header(self, output_schema: OutputColumns | None = None) -> bytes:
        """Return the file's beginning as it stands, or with the names of appended columns."""
        content, end = self._head.content, self._head.end
        names = b""
        if output_schema and self._head.named:
            names = appended_header(output_schema, self.dialect).encode("utf-8")
        return self._encoding.bom + self._encoding.from_utf8(content[:end] + names + content[end:])

    def _read_head(self, reader: HeadReader, text_column: str) -> Head:
        try:
            return reader.read(text_column)
        except UnicodeDecodeError as error:
            problem = f"the header of {self.path} is not {self.encoding}"
            raise DataError(problem, "name another with --encoding") from error

    def _with_encoding(self, error: DataError, start: bytes) -> DataError:
        """Return an error about the head; where another encoding is needed, one that says so."""
        codec: str | None = wide_encoding(start)
        if codec is None and self._spec.csv.encoding is None:
            seen = seen_in(self._raw_blocks())
            codec = seen.codec if seen else None
        if codec in {None, self.encoding}:
            return error
        problem = f"{self.path} is not {self.encoding}, it looks like {codec}"
        if not is_taken(codec):
            return DataError(problem, f"convert it: {conversion(self.path, codec)}")
        hint: dict[str, str | None] = {"--encoding": codec}
        try:
            self.read_with(encoding=codec)
        except DataError as another:
            hint |= another.options
            problem = f"{another.problem}; it is not {self.encoding} but looks like {codec}"
            if not another.options:
                return DataError(problem, f"give {as_typed(hint)}; {another.remedy}")
        return DataError(problem, f"did you mean {as_typed(hint)}?", hint)

    def rows(self) -> Iterator[Records]:
        """Yield the records as they stand, in batches, as far as the limit."""
        return self._rows(self._text_cell, self._blanks())

    def _rows(self, text_cell: int, blocks: Iterable[bytes]) -> Iterator[Records]:
        left = self._spec.limit
        for records in self._records(text_cell, blocks) if left != 0 else ():
            if left is not None and len(records) >= left:
                yield records.first(left)
                return
            yield records
            left = None if left is None else left - len(records)

    def _records(self, text_cell: int, blocks: Iterable[bytes]) -> Iterator[Records]:
        header = self._head.content
        splitter = RecordSplitter(
            self.dialect,
            cells=len(self.columns),
            text_cell=text_cell,
            first_line=1 + header.count(self.dialect.ending),
            cap=self._cap,
        )
        left = iter(blocks)
        block = next(left, b"")
        for following in left:
            yield from splitter.split(block, final=False)
            block = following
        yield from splitter.split(block, final=True)

    def _blanks(self) -> TrailingBlanks:
        """Return what comes after the header, for one pass; in one column a blank line is a row."""
        return TrailingBlanks(self._body(), self.dialect.ending, kept=len(self.columns) == 1)

    def _body(self) -> Iterator[bytes]:
        header = self._head.content
        blocks = self._blocks()
        block = next(blocks, b"")
        if not block.startswith(header):
            raise input_changed(self.path)
        yield block[len(header) :]
        yield from blocks

    def _blocks(self) -> Iterator[bytes]:
        """Yield the content as UTF-8 without byte-order mark, in blocks of a fixed size or more."""
        held: list[bytes] = []
        size = 0
        for block in self._encoding.to_utf8(self.path, self._content()):
            held.append(block)
            size += len(block)
            if size >= BLOCK_SIZE:
                yield b"".join(held)
                held, size = [], 0
        if size:
            yield b"".join(held)

    def _content(self) -> Iterator[bytes]:
        blocks = self._raw_blocks()
        yield next(blocks, b"").removeprefix(self._encoding.bom)
        yield from blocks

    def _raw_blocks(self) -> Iterator[bytes]:
        return read_blocks(self.path, self._compression)
