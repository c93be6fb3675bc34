"""A frame of pandas with its answers; pandas is there where its frames are, and never imported."""

import sys
from typing import Any

import polars as pl

from scorer.api.texts import text_series
from scorer.errors import DataError, UsageError
from scorer.formats.base import OutputColumns
from scorer.formats.text.columns import find_column
from scorer.records import Answers

_FLAT = "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]"


def texts_of(frame: Any, text_column: str, columns: OutputColumns) -> pl.Series:
    """Return the texts of a frame, String [rows], after its columns have been checked.

    Raises:
        DataError: The text column is missing, or holds something else than texts.
        UsageError: A name that would be added is taken.
    """
    if frame.columns.nlevels > 1:
        raise UsageError("the frame's columns have several levels", f"name them anew: {_FLAT}")
    names = [name if isinstance(name, str) else ascii(name)[:60] for name in frame.columns]
    if text_column not in frame.columns.tolist() and text_column in names:
        raise DataError(
            f"the frame's column {text_column} is named by a value that is no string",
            "name the columns by strings: frame.columns = frame.columns.map(str)",
        )
    number = find_column("the frame", names, text_column, "text_column")
    columns.check_against(names, "label_column and score_column")
    return text_series(frame.iloc[:, number], f"column {text_column!r} of the frame")


def with_answers(frame: Any, answers: Answers, columns: OutputColumns) -> Any:
    """Return a frame with the columns that scoring appends; index and the others are kept."""
    pandas = sys.modules["pandas"]
    kind = pandas.Series(["text"]).dtype  # what this pandas makes of texts: str, or object before
    labels = answers.labels(columns.label_values).to_list()
    by_class = [answers.of_class(number) for number in range(len(columns.score_columns))]
    scores = [column.to_numpy() for column in (answers.best(), *by_class)]  # NaN where null
    added = [pandas.Series(labels, index=frame.index, dtype=kind), *scores]
    return frame.assign(**dict(zip(columns.names, added, strict=True)))
