"""An output beside its input: are the input's columns what they were, and what was appended?

Both files are read once, in step, and memory is a batch of each however long they are. What is
wrong comes back as findings: data, so that all of it can be told.
"""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import polars as pl

from scorer.files.csv.options import CsvOptions
from scorer.files.formats import Kind, format_of
from scorer.files.source import OutputColumns, Rebatcher, Source

Piece = TypeVar("Piece", bound=Sized)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    kind: str  # findings of one kind are told once, with their number
    text: str  # a clause about the first of them
    count: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Consecutive rows of an output: what was appended, and how the rest differs."""

    offset: int  # of the first row
    labels: pl.Series  # String [rows]
    scores: tuple[pl.Series, ...]  # Float32 [rows] each: of the label, then per class if written
    findings: tuple[Finding, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How the run read its input."""

    text_column: str
    csv: CsvOptions
    limit: int | None
    kind: Kind | None = None


class Pair(Protocol[Piece]):
    """The two files in one format."""

    rejects: int  # of the input, as far as it was read
    not_finite: int  # its rows that hold NaN or Infinity where JSON has no such thing

    @property
    def scored(self) -> Source:
        """The output."""

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the output's names, types and metadata."""

    def input_pieces(self) -> Iterator[Piece]:
        """Yield the input's rows; none where there is no input."""

    def output_pieces(self) -> Iterator[Piece]:
        """Yield the output's rows."""

    def cut(self, piece: Piece, start: int, stop: int) -> Piece:
        """Return some of the rows."""

    def answers(self, piece: Piece, offset: int) -> Compared:
        """Return what was appended to the output's rows, and what is wrong with its form."""

    def differences(self, ours: Piece, theirs: Piece, offset: int) -> Iterator[Finding]:
        """Yield where as many rows of the output are not the input's."""

    def column(self, piece: Piece, name: str) -> pl.Series:
        """Return a column of the output's rows as text, String [rows].

        Asked for pieces in order, each once. Raises DataError where there is no such column, or
        its values are no text, numbers or times.
        """


class Comparison:
    """Two files, of which the input may be missing."""

    def __init__(
        self, source: Source | None, output: Path, plan: OutputColumns, options: InputOptions
    ) -> None:
        """Open the output as the run would have read it.

        Raises:
            DataError: it is not a readable file of its format with these columns.
        """
        self.input_rows = 0
        self._source = source
        self._pair = open_pair(source, output, plan, options)

    @property
    def rejects(self) -> int:
        """The records of the input that are no rows, when all has been read."""
        return self._pair.rejects

    @property
    def not_finite(self) -> int:
        """The rows of the input with constants that are no JSON, when all has been read."""
        return self._pair.not_finite

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the output's names, types and metadata."""
        return self._pair.columns()

    def values(self, column: str) -> Iterator[pl.Series]:
        """Return the values of one of the output's columns in pieces, as a source does."""
        return self._pair.scored.values(column)

    def rows(self) -> Iterator[Compared]:
        """Yield the output's rows in pieces; reads the input to its end too."""
        pair = self._pair
        feed = Rebatcher(self._counted(pair.input_pieces()), pair.cut)
        offset = 0
        for piece in pair.output_pieces():
            found = pair.answers(piece, offset)
            unequal: list[Finding] = []
            at = 0
            for theirs in feed.take(len(piece)):
                ours = pair.cut(piece, at, at + len(theirs))
                unequal.extend(pair.differences(ours, theirs, offset + at))
                at += len(theirs)
            yield Compared(offset, found.labels, found.scores, (*found.findings, *unequal))
            offset += len(piece)
        while feed.has_more():
            for _ in feed.take(1 << 20):
                pass

    def _counted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            self.input_rows += len(piece)
            yield piece


def open_pair(
    source: Source | None, output: Path, plan: OutputColumns, options: InputOptions
) -> "Pair[Any]":
    """Open an output, and the input beside it if there is one, by the output's format."""
    kind = format_of(output, options.kind).kind
    if kind in {"csv", "tsv"}:
        from scorer.files.csv.compare import CsvPair

        return CsvPair(source, output, plan, options.csv, options.kind)
    if kind == "ndjson":
        from scorer.files.ndjson.compare import NdjsonPair

        return NdjsonPair(source, output, plan, options.kind)
    from scorer.files.batch_compare import BatchPair

    name = options.text_column
    if kind == "parquet":
        from scorer.files.parquet.source import ParquetSource

        read = source if isinstance(source, ParquetSource) else None
        return BatchPair(read, ParquetSource(output, text_column=name), plan)
    from scorer.files.arrow.source import ArrowSource

    of_arrow = source if isinstance(source, ArrowSource) else None
    return BatchPair(of_arrow, ArrowSource(output, text_column=name), plan)
