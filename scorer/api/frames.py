"""Frames of polars, pandas and pyarrow: their texts out, their answers in; lazy ones in batches."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from scorer.api.texts import KINDS, is_frame_of_pandas, text_series
from scorer.errors import DataError, UsageError, shown
from scorer.formats.added_columns import label_lists
from scorer.formats.output_columns import Kind, OutputColumns
from scorer.formats.text.columns import find_column
from scorer.records import Answers

#: Frames to the same frames with their answers, in order.
ScoreFrames = Callable[[Iterable[pl.DataFrame]], Iterator[pl.DataFrame]]
#: A frame to its texts, String [rows], after its columns have been checked. Raises DataError where
#: the text column is missing or holds something else, UsageError where an added name is taken.
TextsOf = Callable[[Any, str, OutputColumns], pl.Series]
#: A frame to the same frame with the columns that scoring appends.
WithAnswers = Callable[[Any, Answers, OutputColumns], Any]

_FLAT = "frame.columns = ['_'.join(map(str, name)) for name in frame.columns]"
_NAMES = "label_column and score_column"
_TYPES: Mapping[Kind, pl.DataType] = {
    "label": pl.String(),
    "score": pl.Float32(),
    "labels": pl.List(pl.String),
}


def functions_for(frame: object) -> tuple[TextsOf, WithAnswers]:
    """Return the functions for a frame of its kind; no library is loaded that the caller has not.

    Raises:
        UsageError: It is of no kind that can be scored.
    """
    if isinstance(frame, pl.DataFrame):
        return _texts_of_polars, with_answers_in_polars
    if is_frame_of_pandas(frame):
        return _texts_of_pandas, _with_answers_in_pandas
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "__arrow_c_array__"):
        from scorer.formats import record_batches

        if isinstance(frame, (record_batches.RecordBatch, record_batches.Table)):
            return record_batches.texts_of, record_batches.with_answers
    raise UsageError(
        f"the frame is {shown(frame)}, none of polars, pandas or pyarrow",
        "make one, as with polars.DataFrame(frame); for texts alone call score",
    )


def _texts_of_polars(frame: pl.DataFrame, text_column: str, columns: OutputColumns) -> pl.Series:
    check_columns(frame.schema, text_column, columns)
    return frame[text_column].cast(pl.String)


def with_answers_in_polars(
    frame: pl.DataFrame, answers: Answers, columns: OutputColumns
) -> pl.DataFrame:
    """Return the frame with the columns that scoring appends."""
    added = columns.columns_of(
        answers,
        lambda part: part.labels(columns.label_values),
        lambda scores: scores,
        lambda part: label_lists(part, columns.label_values, columns.threshold),
    )
    return frame.with_columns(
        column.alias(name) for name, column in zip(columns.names, added, strict=True)
    )


def _texts_of_pandas(frame: Any, text_column: str, columns: OutputColumns) -> pl.Series:
    if frame.columns.nlevels > 1:
        raise UsageError("the frame's columns have several levels", f"name them anew: {_FLAT}")
    names = [name if isinstance(name, str) else ascii(name)[:60] for name in frame.columns]
    if text_column not in frame.columns.tolist() and text_column in names:
        raise DataError(
            f"the frame's column {text_column} is named by a value that is no string",
            "name the columns by strings: frame.columns = frame.columns.map(str)",
        )
    number = find_column("the frame", names, text_column, "text_column")
    columns.check_against(names, _NAMES)
    return text_series(frame.iloc[:, number], f"column {text_column!r} of the frame")


def _with_answers_in_pandas(frame: Any, answers: Answers, columns: OutputColumns) -> Any:
    """Return the frame with the columns that scoring appends; its index is kept."""
    pandas = sys.modules["pandas"]  # which is loaded where its frames are, and never imported here
    kind = pandas.Series(["text"]).dtype  # of texts in this pandas: str, or object before
    names, threshold = columns.label_values, columns.threshold

    def lists(part: Answers) -> Any:
        values = label_lists(part, names, threshold).to_list()
        return pandas.Series(values, index=frame.index, dtype=object)

    added = columns.columns_of(
        answers,
        lambda part: pandas.Series(part.labels(names).to_list(), index=frame.index, dtype=kind),
        lambda scores: scores.to_numpy(),  # NaN where null
        lists,
    )
    return frame.assign(**dict(zip(columns.names, added, strict=True)))


def check_columns(
    schema: Mapping[str, pl.DataType], text_column: str, columns: OutputColumns
) -> None:
    """Check the names of the call against the columns of a frame of polars.

    Raises:
        DataError: The text column is missing or no text.
        UsageError: A name that would be added is taken.
    """
    find_column("the frame", list(schema), text_column, "text_column", exact=True)
    kind = schema[text_column]
    if not isinstance(kind, KINDS):
        raise DataError(
            f"column {text_column!r} of the frame is {kind}, not text",
            "name another with text_column",
        )
    columns.check_against(schema, _NAMES)


def schema_of(frame: pl.LazyFrame) -> pl.Schema:
    """Return the schema of a lazy frame.

    Raises:
        DataError: The query behind it fails before a row is read, whatever is done with it.
    """
    try:
        return frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError, ValueError, TypeError) as error:
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(
            f"the query of the lazy frame fails: {said}",
            "mend it until frame.collect_schema() gives its columns",
        ) from error


def scored_lazily(
    frame: pl.LazyFrame, text_column: str, columns: OutputColumns, score: ScoreFrames, rows: int
) -> pl.LazyFrame:
    """Return a lazy frame that reads and scores its rows in batches when it is collected.

    Selections reach the frame behind it: rows that a condition on the input's own columns drops
    are not scored, and columns that the query does not use are not read.
    """
    added = {name: _TYPES[kind] for name, kind in columns.kinds.items()}
    schema = dict(frame.collect_schema()) | added

    def batches(
        wanted: list[str] | None, condition: pl.Expr | None, limit: int | None, _hint: int | None
    ) -> Iterator[pl.DataFrame]:
        source = frame if limit is None else frame.head(limit)
        if condition is not None and added.keys().isdisjoint(condition.meta.root_names()):
            source, condition = source.filter(condition), None
        names = list(schema) if wanted is None else wanted
        to_score = condition is not None or not added.keys().isdisjoint(names)
        needed = {*names, text_column} if to_score else set(names)
        source = source.select(name for name in schema if name in needed and name not in added)
        read = source.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming")
        for batch in score(read) if to_score else read:
            kept = batch if condition is None else batch.filter(condition)
            yield kept.select(names)

    return register_io_source(batches, schema=schema, is_pure=True, explain_name="tweetscore")
