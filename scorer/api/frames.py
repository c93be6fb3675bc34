"""Frames of polars on their way through a scorer: at once, or batch by batch as they are read."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import polars as pl
from polars.io.plugins import register_io_source

from scorer.api.texts import KINDS
from scorer.errors import DataError
from scorer.formats.base import OutputColumns
from scorer.formats.text.columns import find_column
from scorer.records import Answers

#: Frames to the same frames with their answers, in order.
Scoring = Callable[[Iterable[pl.DataFrame]], Iterator[pl.DataFrame]]


def check_columns(
    schema: Mapping[str, pl.DataType], text_column: str, columns: OutputColumns
) -> None:
    """Hold what is asked for against a frame's columns.

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
    columns.check_against(schema, "label_column and score_column")


def texts_of(frame: pl.DataFrame, text_column: str, columns: OutputColumns) -> pl.Series:
    """Return the texts of a frame, String [rows]; raises what `check_columns` raises."""
    check_columns(frame.schema, text_column, columns)
    return frame[text_column].cast(pl.String)


def schema_of(frame: pl.LazyFrame) -> pl.Schema:
    """Return what a lazy frame will have.

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


def added_schema(columns: OutputColumns) -> dict[str, pl.DataType]:
    """Return the types of the columns that scoring appends."""
    label, *scores = columns.names
    return {label: pl.String(), **dict.fromkeys(scores, pl.Float32())}


def with_answers(frame: pl.DataFrame, answers: Answers, columns: OutputColumns) -> pl.DataFrame:
    """Return a frame with the columns that scoring appends."""
    by_class = [answers.of_class(number) for number in range(len(columns.score_columns))]
    added = [answers.labels(columns.label_values), answers.best(), *by_class]
    return frame.with_columns(
        column.alias(name) for name, column in zip(columns.names, added, strict=True)
    )


def scored_lazily(
    frame: pl.LazyFrame, text_column: str, columns: OutputColumns, score: Scoring, rows: int
) -> pl.LazyFrame:
    """Return a frame that is read and scored in batches when its rows are wanted.

    What is asked of it reaches the frame behind it: rows that a condition on the input's own
    columns drops are not scored, and columns that nobody wants are not read.
    """
    added = added_schema(columns)
    schema = dict(frame.collect_schema()) | added

    def batches(
        wanted: list[str] | None,
        condition: pl.Expr | None,
        limit: int | None,
        _hint: int | None,
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
