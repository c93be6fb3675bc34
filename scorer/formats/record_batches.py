"""Record batches that a caller holds, and texts of a database that are kept for a run."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import RecordBatch, Table

from scorer.errors import DataError, UsageError, shown
from scorer.formats import columnar
from scorer.formats.added_columns import added_columns, scored_schema
from scorer.formats.output_columns import OutputColumns
from scorer.hints import counted
from scorer.os_errors import reading, writing
from scorer.records import Answers

__all__ = [
    "RecordBatch",
    "Table",
    "array_of",
    "batches_of",
    "checked",
    "texts_of",
    "texts_of_array",
    "with_answers",
]

Rows = Any  # a RecordBatch or a Table

_CHUNK = 1 << 20  # rows of a table's new columns in one array, whose texts have 32 bit offsets
_FOREIGN = (pa.ArrowException, TypeError, ValueError, OverflowError, NotImplementedError)


def batches_of(given: Any) -> Any:
    """Return what a caller means by record batches: one, several, or anything that has them.

    Raises:
        UsageError: It has none.
    """
    if isinstance(given, RecordBatch):
        return [given]
    if hasattr(given, "__arrow_c_stream__"):
        try:
            return pa.RecordBatchReader.from_stream(given)
        except _FOREIGN as error:
            raise _no_stream(given, error) from error
    # An array of no dimensions has a method for it that always fails.
    no_items = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    if isinstance(given, (str, bytes, dict)) or no_items:
        raise UsageError(
            f"the batches are {shown(given)}", "give record batches, or a table, of pyarrow"
        )
    return given


def checked(given: Iterable[Any]) -> Iterator[RecordBatch]:
    """Yield record batches as they come.

    Raises:
        DataError: There is something else among them.
    """
    for number, batch in enumerate(given):
        if not isinstance(batch, RecordBatch):
            raise DataError(
                f"item {number} of the batches, counted from 0, is {shown(batch)}",
                "give record batches of pyarrow, such as those of table.to_batches()",
            )
        yield batch


def array_of(values: Any, place: str) -> pa.ChunkedArray:
    """Return what gives itself as Arrow as an array of pyarrow.

    Raises:
        UsageError: It cannot.
    """
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        return pa.chunked_array([pa.array(values)])
    except _FOREIGN as error:
        raise UsageError(
            f"{place}, {shown(values)}, cannot be read as Arrow: {_words(error)}",
            "give a list of texts",
        ) from error


def texts_of_array(column: pa.ChunkedArray | pa.Array, place: str) -> pl.Series:
    """Return texts of pyarrow, String [items].

    Raises:
        DataError: They are no text, or their bytes are no UTF-8.
    """
    if pa.types.is_struct(column.type):
        raise UsageError(
            f"{place} are records with columns",
            "call score_frame(table, 'text'), or score(table['text'])",
        )
    if not _holds_texts(column.type):
        raise DataError(f"{place} are {column.type}, not text", "choose a column of texts")
    return _texts(column, place)


def _holds_texts(kind: pa.DataType) -> bool:
    """Tell whether it is a type of texts, or that of values which are all missing."""
    return columnar.is_text(kind) or bool(pa.types.is_null(kind))


def _texts(column: pa.ChunkedArray | pa.Array, place: str) -> pl.Series:
    try:
        column.validate(full=True)  # polars would take the bytes as they are
    except _FOREIGN as error:
        raise DataError(
            f"{place} are damaged: {_words(error)}", "decode or mend them where they are made"
        ) from error
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    before = 0
    for chunk in chunks:  # `validate` does not check bytes
        if (number := columnar.first_not_utf8(columnar.plain(chunk))) is not None:
            raise DataError(
                f"{place} are not all UTF-8: item {before + number}, counted from 0, is not",
                "decode or mend it where it is made",
            )
        before += len(chunk)
    texts = [columnar.texts_of(chunk) for chunk in chunks]
    return pl.concat([pl.Series("text", [], dtype=pl.String), *texts])


def texts_of(rows: Rows, text_column: str, columns: OutputColumns) -> pl.Series:
    """Return the texts of a batch or a table, String [rows], after its columns have been checked.

    Raises:
        DataError: The text column is missing, or no text, or not UTF-8.
        UsageError: A name that would be added is taken.
    """
    place = "the table" if isinstance(rows, Table) else "the record batch"
    column = columnar.find(place, rows.schema, text_column, "text_column")
    if not _holds_texts(column.type):
        raise DataError(
            f"column {text_column!r} of {place} is {column.type}, not text",
            "name another with text_column",
        )
    columns.check_against(rows.schema.names, "label_column and score_column")
    return _texts(_values(rows, column), f"the texts of column {text_column!r} of {place}")


def _values(rows: Rows, column: columnar.Column) -> pa.Array | pa.ChunkedArray:
    if isinstance(rows, RecordBatch):
        return column.of(rows)
    return pa.chunked_array([column.of(batch) for batch in rows.to_batches()], column.type)


def with_answers(rows: Rows, answers: Answers, columns: OutputColumns) -> Rows:
    """Return a batch or a table with the columns that scoring appends; its metadata is kept."""
    schema = scored_schema(rows.schema, columns)
    if isinstance(rows, RecordBatch):
        added = added_columns(answers, columns)
        return RecordBatch.from_arrays([*rows.columns, *added], schema=schema)
    parts = [
        added_columns(answers.rows(start, start + _CHUNK), columns)
        for start in range(0, max(len(answers), 1), _CHUNK)
    ]
    chunked = [pa.chunked_array(chunks) for chunks in zip(*parts, strict=True)]
    return Table.from_arrays([*rows.columns, *chunked], schema=schema)


def _no_stream(given: object, error: Exception) -> UsageError:
    return UsageError(
        f"the batches, {shown(given)}, are no stream of rows: {_words(error)}",
        "give record batches or a table of pyarrow; for texts alone call score",
    )


def _words(error: Exception) -> str:
    """Return the first line of what pyarrow says."""
    said = error.args[0] if error.args else ""
    return next(iter(str(said).splitlines()), type(error).__name__)[:200]


_SCHEMA = pa.schema([("row", pa.int64()), ("text", pa.string())])


def keep_texts(reader: Any, path: Path) -> int:
    """Write numbered texts to a new Arrow file and return how many there are.

    Args:
        reader: RecordBatchReader of two columns, a row's number and its text.
        path: The new file.

    Raises:
        DataError: a text is not valid UTF-8; SQLite does not check.
    """
    count = 0
    with writing(path), path.open("xb") as file, pa.ipc.new_file(file, _SCHEMA) as writer:
        for batch in reader:
            ours = pa.RecordBatch.from_arrays(
                [
                    column.cast(kind)
                    for column, kind in zip(batch.columns, _SCHEMA.types, strict=True)
                ],
                schema=_SCHEMA,
            )
            _check(ours)
            writer.write_batch(ours)
            count += len(ours)
    return count


def _check(batch: pa.RecordBatch) -> None:
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        row = batch.column(0)[0].as_py()
        raise DataError(
            f"a text in the {counted(len(batch), 'row')} from row {row:,} on is not valid UTF-8",
            "mend it in the database",
        ) from error


@contextmanager
def answers(path: Path, names: list[str]) -> Iterator[pa.RecordBatchReader]:
    """Give what scoring made of such a file, without the texts, under other names.

    Args:
        path: The scored file.
        names: For the row's number and the columns that scoring appended.
    """
    with reading(path), path.open("rb") as file, pa.ipc.open_file(file) as scored:
        kinds = [field.type for field in scored.schema if field.name != "text"]
        schema = pa.schema(list(zip(names, kinds, strict=True)))
        batches = (
            pa.RecordBatch.from_arrays(
                scored.get_batch(i).drop_columns("text").columns, schema=schema
            )
            for i in range(scored.num_record_batches)
        )
        yield pa.RecordBatchReader.from_batches(schema, batches)


def lists_as_json(reader: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Return the same rows, with lists of labels as the text of a JSON array."""
    if not any(pa.types.is_list(kind) for kind in reader.schema.types):
        return reader
    schema = pa.schema(
        (field.name, pa.string() if pa.types.is_list(field.type) else field.type)
        for field in reader.schema
    )
    batches = (
        pa.RecordBatch.from_arrays([_as_json(column) for column in batch.columns], schema=schema)
        for batch in reader
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _as_json(column: pa.Array) -> pa.Array:
    if not pa.types.is_list(column.type):
        return column
    texts = (
        None if labels is None else json.dumps(labels, ensure_ascii=False)
        for labels in column.to_pylist()
    )
    return pa.array(texts, pa.string())
