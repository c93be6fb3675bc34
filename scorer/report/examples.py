"""The surest and the least sure rows of each label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from scorer.report.opened import Rows

EACH = 5  # rows at either end
LONGEST = 500  # characters of a text or an id on the page


@dataclass(frozen=True, slots=True)
class Example:
    """One row."""

    file: int  # number of the output
    row: int  # from 1
    score: float
    text: str
    id: str | None


class Examples:
    """Keeps few rows however many go by; of equal texts the first."""

    def __init__(self) -> None:
        self._sure: pl.DataFrame | None = None
        self._unsure: pl.DataFrame | None = None

    def add(self, file: int, rows: Rows, texts: pl.Series, row_ids: pl.Series | None) -> None:
        """Look at rows of an output, with their texts, and ids if there are; String [rows]."""
        found = pl.DataFrame(
            {
                "file": np.full(len(rows), file, np.int64),
                "row": rows.piece.offset + 1 + np.arange(len(rows)),
                "label": rows.ids,
                "score": rows.scores,
                "text": shortened(texts),
                "id": shortened(row_ids) if row_ids is not None else [None] * len(rows),
            },
            schema_overrides={"id": pl.String},
        ).filter(pl.col("label") >= 0)
        self._sure = _best(self._sure, found, descending=True)
        self._unsure = _best(self._unsure, found, descending=False)

    def of(self, label: int) -> tuple[Sequence[Example], Sequence[Example]]:
        """Return a label's surest rows, and its least sure ones that are none of them."""
        sure, unsure = _examples(self._sure, label), _examples(self._unsure, label)
        return sure, [each for each in unsure if each not in sure]


def shortened(texts: pl.Series) -> pl.Series:
    """Cut what would fill the page."""
    text = pl.col("text")
    long = text.str.len_chars() > LONGEST
    cut = pl.when(long).then(text.str.head(LONGEST) + " …").otherwise(text)
    return texts.alias("text").to_frame().select(cut).to_series()


def _best(held: pl.DataFrame | None, rows: pl.DataFrame, *, descending: bool) -> pl.DataFrame:
    both = rows if held is None else pl.concat([held, rows])
    return (
        both.sort(["score", "file", "row"], descending=[descending, False, False])
        .unique(["label", "text"], keep="first", maintain_order=True)
        .group_by("label", maintain_order=True)
        .head(EACH)
        .select(rows.columns)
    )


def _examples(held: pl.DataFrame | None, label: int) -> list[Example]:
    if held is None:
        return []
    columns = held.filter(pl.col("label") == label).select("file", "row", "score", "text", "id")
    return [Example(*row) for row in columns.iter_rows()]
