"""What a comparison of an output with its input finds, as data: all of it can be reported."""

from collections.abc import Iterator, Sized
from dataclasses import dataclass
from typing import Protocol, TypeVar

import polars as pl

from scorer.formats.base import Source

Rows = TypeVar("Rows", bound=Sized)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference between an output and what a run would have written."""

    kind: str  # findings of one kind are reported once, with their number
    text: str  # a clause about the first of them
    count: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Consecutive rows of an output: what was appended, and how the rest differs."""

    offset: int  # of the first row
    labels: pl.Series  # String [rows]; all null in a regression
    scores: tuple[pl.Series, ...]  # Float32 [rows] each: of the label, then per class if written
    findings: tuple[Finding, ...]
    lists: pl.Series | None = None  # List(String) [rows], of the labels of a multi-label model

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.scores[0])


def no_labels(rows: int) -> pl.Series:
    """Return the labels of a regression."""
    return pl.repeat(None, rows, dtype=pl.String, eager=True)


class Pair(Protocol[Rows]):
    """The two files in one format."""

    rejects: int  # of the input, as far as it was read
    not_finite: int  # its rows that hold NaN or Infinity where JSON has no such thing

    @property
    def scored(self) -> Source:
        """The output."""

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the output's names, types and metadata."""

    def input_batches(self) -> Iterator[Rows]:
        """Yield the input's rows; none where there is no input."""

    def output_batches(self) -> Iterator[Rows]:
        """Yield the output's rows."""

    def cut(self, rows: Rows, start: int, stop: int) -> Rows:
        """Return some of the rows."""

    def answers(self, rows: Rows, offset: int) -> Compared:
        """Return what was appended to the output's rows, and what is wrong with its form."""

    def differences(self, ours: Rows, theirs: Rows, offset: int) -> Iterator[Finding]:
        """Yield where as many rows of the output are not the input's."""

    def column(self, rows: Rows, name: str) -> pl.Series:
        """Return a column of the output's rows as text, String [rows].

        Asked for batches in order, each once. Raises DataError where there is no such column, or
        its values are no text, numbers or times.
        """
