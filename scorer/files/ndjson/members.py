"""What is appended to objects, and objects with it."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.files.cells import decimal, joined, pieces
from scorer.files.ndjson.objects import Objects
from scorer.files.source import OutputColumns
from scorer.records import Answers


def spelled(text: str) -> str:
    """Return a text as a JSON string, other scripts in their own letters."""
    return json.dumps(text, ensure_ascii=False)


def appended_members(part: Answers, plan: OutputColumns) -> pl.Series:
    """Return what a window's objects get: String [rows], without the comma in front."""
    values = [part.labels(tuple(map(spelled, plan.label_values))), decimal(part.best())]
    values += [decimal(part.of_class(i)) for i in range(len(plan.score_columns))]
    pieces: list[pl.Expr] = []
    for number, name in enumerate(plan.names):
        key = f"{',' if number else ''}{spelled(name)}:"
        pieces += [pl.lit(key), pl.col(str(number)).fill_null("null")]
    numbered = {str(number): column for number, column in enumerate(values)}
    return pl.DataFrame(numbered).select(pl.concat_str(pieces).alias("members")).to_series()


def with_members(rows: Objects, members: pl.Series) -> bytes:
    """Return the lines' own bytes, each with its appended members before the last brace.

    Args:
        rows: The rows, at least one.
        members: String [rows].
    """
    before = pieces(rows.data, rows.starts, rows.braces, pa.binary())
    after = pieces(rows.data, rows.braces, rows.stops, pa.binary())
    comma = pc.if_else(pa.array(rows.bare), pa.scalar(b"", pa.binary()), pa.scalar(b","))
    return joined(before, comma, members.to_arrow().cast(pa.binary()), after)
