"""The rows of an output: what was appended, and some of its other columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from scorer.errors import DataError
from scorer.files.compare import InputOptions, open_pair
from scorer.files.source import OutputColumns


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Consecutive rows of an output."""

    offset: int  # of the first row
    labels: pl.Series  # String [rows], null where blank
    scores: pl.Series  # Float32 [rows], of the label
    columns: Mapping[str, pl.Series]  # String [rows] each

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def rows(self, start: int, stop: int) -> "ScoredRows":
        """Return some of the rows."""
        here = slice(start, stop)
        columns = {name: column[here] for name, column in self.columns.items()}
        return ScoredRows(self.offset + start, self.labels[here], self.scores[here], columns)


def scored_rows(
    output: Path, plan: OutputColumns, options: InputOptions, columns: Sequence[str] = ()
) -> Iterator[ScoredRows]:
    """Yield an output's rows in pieces, memory flat.

    Args:
        output: The file.
        plan: The columns that the run appended.
        options: How the run read its input.
        columns: Others that are wanted, as text.

    Raises:
        DataError: It is not a readable file with these columns.
    """
    pair = open_pair(None, output, plan, options)
    offset = 0
    for piece in pair.output_pieces():
        found = pair.answers(piece, offset)
        for finding in found.findings:
            raise DataError(f"{output}: {finding.text}", "score it again")
        picked = {name: pair.column(piece, name) for name in columns}
        yield ScoredRows(offset, found.labels, found.scores[0], picked)
        offset += len(piece)
