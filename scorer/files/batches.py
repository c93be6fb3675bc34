"""Record batches: what Parquet and Arrow IPC share."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from scorer.errors import DataError
from scorer.files.columns import find_column
from scorer.files.source import OutputColumns, ScoredSlice

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

WINDOW_BYTES = 64 << 20  # bytes of texts that end a window early, so that memory stays flat
_MOST_BYTES = 2**31 - 1  # of an array's texts, with offsets of 32 bits
_MOST_WORDS = 200  # letters of what pyarrow says about damage

# What pyarrow raises for damaged files, its own exceptions and Python's.
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


@contextmanager
def damage(path: Path, kind: str) -> Iterator[None]:
    """Turn what pyarrow raises about an input's content into an error of ours."""
    try:
        yield
    except _DAMAGE as error:
        words = next(iter(str(error).splitlines()), type(error).__name__)[:_MOST_WORDS]
        raise DataError(
            f"{path} is not a readable {kind} file: {words}", "write it again"
        ) from error


def find_text(
    place: Path | str, schema: pa.Schema, name: str, option: str = "--text-column"
) -> int:
    """Return the number of the text column; DataError where it is missing or no text."""
    exact = not option.startswith("--")  # Python's callers see their names as they are
    number = find_column(place, schema.names, name, option, exact=exact)
    kind = schema.field(number).type
    if not is_text(kind):
        raise DataError(
            f"column {name!r} of {place} is {kind}, not text",
            f"name another with {option}",
        )
    return number


def find_values(path: Path, schema: pa.Schema, name: str) -> int:
    """Return the number of a column; DataError where it is missing or no text or whole numbers."""
    number = find_column(path, schema.names, name, "--id-column")
    kind = schema.field(number).type
    if not is_text(kind) and not pa.types.is_integer(_value_type(kind)):
        raise DataError(
            f"column {name!r} of {path} is {kind}, neither text nor whole numbers",
            "name another with --id-column",
        )
    return number


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column of that type holds texts, perhaps in a dictionary."""
    kind = _value_type(kind)
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def plain(column: pa.Array) -> pa.Array:
    """Return a column's values, out of their dictionary if there is one."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def texts_of(column: pa.Array) -> "pl.Series":
    """Return a text column, or whole numbers as text: String [rows]."""
    import polars as pl

    # As a batch: for a single array polars loads pyarrow.compute, 40 ms before the first row.
    return pl.DataFrame(pa.record_batch([plain(column)], ["text"])).to_series().cast(pl.String)


def cut_texts(batches: "Iterable[pl.Series]", rows: int) -> "Iterator[pl.Series]":
    """Cut texts anew, each time that there are enough rows or bytes of them."""
    import polars as pl

    held: list[pl.Series] = []
    count = size = 0
    for batch in batches:
        at = 0
        while at < len(batch):
            piece = batch.slice(at, rows - count)
            held.append(piece)
            at += len(piece)
            count += len(piece)
            size += int(piece.str.len_bytes().sum())
            if count == rows or size >= WINDOW_BYTES:
                yield pl.concat(held, rechunk=True)
                held, count, size = [], 0, 0
    if held:
        yield pl.concat(held, rechunk=True)


def cut(batch: pa.RecordBatch, start: int, stop: int) -> pa.RecordBatch:
    """Return some of the rows."""
    return batch.slice(start, stop - start)


def scored_schema(schema: pa.Schema, plan: OutputColumns) -> pa.Schema:
    """Return a schema with the appended columns, its metadata kept."""
    schema = schema.append(pa.field(plan.label_column, pa.string()))
    for name in (plan.score_column, *plan.score_columns):
        schema = schema.append(pa.field(name, pa.float32()))
    return schema


def added_columns(part: ScoredSlice, plan: OutputColumns) -> list[pa.Array]:
    """Return what one window's rows get, a column each."""
    labels = _narrow(part.labels(plan.label_values).to_arrow())
    scores = [part.best(), *(part.of_class(i) for i in range(len(plan.score_columns)))]
    return [labels, *(column.to_arrow() for column in scores)]


def _narrow(texts: pa.LargeStringArray) -> pa.StringArray:
    """Return texts with offsets of 32 bits; pyarrow's cast would load pyarrow.compute."""
    validity, offsets, data = texts.buffers()
    wide = np.frombuffer(offsets, np.int64, texts.offset + len(texts) + 1)
    if wide[-1] > _MOST_BYTES:
        return texts.cast(pa.string())  # which says what is wrong
    narrow = pa.py_buffer(wide.astype(np.int32))
    return pa.StringArray.from_buffers(len(texts), narrow, data, validity, offset=texts.offset)
