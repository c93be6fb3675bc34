"""What scoring appends to an object, and the objects with it."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.formats.added_columns import label_lists
from scorer.formats.ndjson.lines import Objects
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.cells import decimal, joined, slices
from scorer.records import Answers


def spelled(text: str) -> str:
    """Return a text as a JSON string, other scripts in their own letters."""
    return json.dumps(text, ensure_ascii=False)


def appended_members(part: Answers, output_schema: OutputColumns) -> pl.Series:
    """Return what a window's objects get: String [rows], without the comma in front."""
    labels = tuple(map(spelled, output_schema.label_values))
    values = output_schema.columns_of(
        part,
        lambda part: part.labels(labels),
        decimal,
        lambda part: _spelled_lists(part, labels, output_schema.threshold),
    )
    parts: list[pl.Expr] = []
    for number, name in enumerate(output_schema.names):
        key = f"{',' if number else ''}{spelled(name)}:"
        parts += [pl.lit(key), pl.col(str(number)).fill_null("null")]
    numbered = {str(number): column for number, column in enumerate(values)}
    return pl.DataFrame(numbered).select(pl.concat_str(parts).alias("members")).to_series()


def _spelled_lists(part: Answers, labels: tuple[str, ...], threshold: float) -> pl.Series:
    """Return lists of labels as JSON, String [rows], null where blank."""
    lists = label_lists(part, labels, threshold)
    inside = lists.list.join(",")
    return lists.to_frame("l").select(pl.concat_str(pl.lit("["), inside, pl.lit("]"))).to_series()


def with_members(rows: Objects, members: pl.Series) -> bytes:
    """Return the lines' own bytes, each with its appended members before the last brace.

    Args:
        rows: The rows, at least one.
        members: String [rows].
    """
    before = slices(rows.data, rows.starts, rows.braces, pa.binary())
    after = slices(rows.data, rows.braces, rows.stops, pa.binary())
    comma = pc.if_else(pa.array(rows.bare), pa.scalar(b"", pa.binary()), pa.scalar(b","))
    return joined(before, comma, members.to_arrow().cast(pa.binary()), after)
