"""Outputs read again: what was appended, and whether the rest is the input's.

The output and its input are read once, in step; memory is a batch of each, however long they are.
"""

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from scorer.errors import DataError
from scorer.formats.base import Rebatcher, Source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.registry import format_of
from scorer.formats.written import Written
from scorer.options import InputSpec
from scorer.readback.findings import Compared, Finding, Pair

Rows = TypeVar("Rows", bound=Sized)


class Comparison:
    """Two files, of which the input may be missing."""

    def __init__(
        self,
        source: Source | None,
        output: Path,
        output_schema: OutputColumns,
        spec: InputSpec,
        written: Written | None = None,
    ) -> None:
        """Open the output as the run would have read it.

        Args:
            source: The input.
            output: The file.
            output_schema: The columns that the run appended.
            spec: How the run read its input.
            written: What the run said of it, if that is to be checked too.

        Raises:
            DataError: it is not a readable file of its format with these columns.
        """
        self.input_rows = 0
        self._source = source
        self._pair = open_pair(source, output, output_schema, spec, written=written)

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
        """Return the values of one of the output's columns in batches, as a source does."""
        return self._pair.scored.values(column)

    def rows(self) -> Iterator[Compared]:
        """Yield the output's rows in batches; reads the input to its end too."""
        pair = self._pair
        inputs = Rebatcher(self._counted(pair.input_batches()), pair.cut)
        offset = 0
        for batch in pair.output_batches():
            found = pair.answers(batch, offset)
            unequal: list[Finding] = []
            at = 0
            for theirs in inputs.take(len(batch)):
                ours = pair.cut(batch, at, at + len(theirs))
                unequal.extend(pair.differences(ours, theirs, offset + at))
                at += len(theirs)
            yield replace(found, findings=(*found.findings, *unequal))
            offset += len(batch)
        while inputs.has_more():
            for _ in inputs.take(1 << 20):
                pass

    def _counted(self, batches: Iterator[Rows]) -> Iterator[Rows]:
        for batch in batches:
            self.input_rows += len(batch)
            yield batch


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Consecutive rows of an output."""

    offset: int  # of the first row
    labels: pl.Series  # String [rows], null where blank, and in a regression
    scores: pl.Series  # Float32 [rows], of the label
    columns: Mapping[str, pl.Series]  # String [rows] each
    lists: pl.Series | None = None  # List(String) [rows], of the labels of a multi-label model

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def rows(self, start: int, stop: int) -> "ScoredRows":
        """Return some of the rows."""
        here = slice(start, stop)
        columns = {name: column[here] for name, column in self.columns.items()}
        lists = None if self.lists is None else self.lists[here]
        scores = self.scores[here]
        return ScoredRows(self.offset + start, self.labels[here], scores, columns, lists)


def scored_rows(
    output: Path, output_schema: OutputColumns, spec: InputSpec, columns: Sequence[str] = ()
) -> Iterator[ScoredRows]:
    """Yield an output's rows in batches, memory flat.

    Args:
        output: The file.
        output_schema: The columns that the run appended.
        spec: How the run read its input.
        columns: Others that are wanted, as text.

    Raises:
        DataError: It is not a readable file with these columns.
    """
    pair = open_pair(None, output, output_schema, spec, columns)
    offset = 0
    for batch in pair.output_batches():
        found = pair.answers(batch, offset)
        for finding in found.findings:
            raise DataError(f"{output}: {finding.text}", "score it again")
        picked = {name: pair.column(batch, name) for name in columns}
        yield ScoredRows(offset, found.labels, found.scores[0], picked, found.lists)
        offset += len(batch)


def open_pair(
    source: Source | None,
    output: Path,
    output_schema: OutputColumns,
    spec: InputSpec,
    columns: Sequence[str] = (),
    written: Written | None = None,
) -> "Pair[Any]":
    """Open an output, and the input beside it if there is one, by the output's format.

    Args:
        source: The input.
        output: The file.
        output_schema: The columns that the run appended.
        spec: How the run read its input.
        columns: Others that are wanted where there is no input.
        written: What the run said of it, if that is to be checked too.
    """
    spec = replace(spec, limit=None)  # which holds for the input: all of the output is read
    kind = format_of(output, spec.format).kind
    if kind in {"csv", "tsv"}:
        from scorer.readback.csv_pair import CsvPair

        return CsvPair(source, output, output_schema, spec)
    if kind == "ndjson":
        from scorer.readback.ndjson_pair import NdjsonPair

        return NdjsonPair(source, output, output_schema, spec)
    from scorer.readback.batch_pair import BatchPair, pair_of_copy

    if kind == "parquet":
        from scorer.formats.parquet import ParquetSource

        read = source if isinstance(source, ParquetSource) else None
        scored = ParquetSource(output, spec)
        if read is None or written is None or written.copied_bytes is None:
            return BatchPair(read, scored, output_schema, columns)
        return pair_of_copy(read, scored, output_schema, written)
    from scorer.formats.arrow import ArrowSource

    of_arrow = source if isinstance(source, ArrowSource) else None
    return BatchPair(of_arrow, ArrowSource(output, spec), output_schema, columns)
