"""Record batches: what Parquet and Arrow IPC share."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from scorer.errors import DataError
from scorer.formats.added_columns import scored_schema
from scorer.formats.base import NOTHING_FOUND, ScoredSlice
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.columns import Inside, Keys, ValuesOption, find_keys, no_text
from scorer.formats.text.encodings import Encoding
from scorer.formats.written import Written
from scorer.os_errors import is_beyond_all
from scorer.records import TextWindow

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

WINDOW_BYTES = 64 << 20  # bytes of texts that end a window early, so that memory stays flat
_MOST_WORDS = 200  # letters of what pyarrow says about damage

_TEXT_OF = {
    pa.binary(): pa.string(),
    pa.large_binary(): pa.large_string(),
    pa.binary_view(): pa.string_view(),
}

# Beside text; Arrow has a type for values that are all missing.
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
_VALUES = {
    "--id-column": ((pa.types.is_integer,), "whole numbers"),
    "--label-column": ((*_NUMBERS, pa.types.is_boolean, pa.types.is_null), "numbers, so no label"),
}

# What pyarrow raises for damaged files, its own exceptions and Python's.
_DAMAGE = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)


@contextmanager
def damage(path: Path, kind: str) -> Iterator[None]:
    """Turn what pyarrow raises about an input's content into an error of ours."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, MemoryError) and not is_beyond_all(error):
            raise  # the file may be sound: it is memory that is short
        words = next(iter(str(error).splitlines()), type(error).__name__)[:_MOST_WORDS]
        raise DataError(
            f"{path} is not a readable {kind} file: {words}", "write it again"
        ) from error


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or a field of a struct, of a struct in a struct ..."""

    keys: Keys
    type: pa.DataType
    option: str  # by which the user names it

    @property
    def name(self) -> str:
        """Return the name by which Parquet knows it too."""
        return ".".join(self.keys)

    def number(self, schema: pa.Schema) -> int:
        """Return the number of the column that it is, or lies in."""
        return int(schema.names.index(self.keys[0]))

    def of(self, batch: pa.RecordBatch) -> pa.Array:
        """Return the values of a batch, with all its columns or without the others."""
        column = batch.column(self.number(batch.schema))
        for key in self.keys[1:]:
            field = column.type.get_field_index(key)
            # Where a struct is null its fields are, whatever stands there.
            column = column.flatten()[field] if column.null_count else column.field(field)
        return column


def find(
    place: Path | str, schema: pa.Schema, name: str, option: str | None = "--text-column"
) -> Column:
    """Return a column by its name, or by that of a field; DataError where it is missing."""
    keys = find_keys(place, schema.names, name, lambda: _inside(schema), option)
    kind = schema.field(schema.names.index(keys[0])).type
    for key in keys[1:]:
        kind = kind.field(key).type
    return Column(keys, kind, option or "--text-column")


def _inside(fields: Iterable[pa.Field]) -> dict[str, Inside]:
    found: dict[str, Inside] = {}
    for field in fields:
        found[field.name] = "twice" if field.name in found else _deeper(field.type)
    return found


def _deeper(kind: pa.DataType) -> Inside:
    if pa.types.is_struct(kind):
        return _inside(kind)
    return "list" if pa.types.is_nested(kind) else "value"


def _shown(kind: pa.DataType) -> str:
    """Return a type as it is shown: a struct may be of any length."""
    words = str(kind)
    return words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]}..."


def find_text(
    place: Path | str, schema: pa.Schema, name: str, option: str = "--text-column"
) -> Column:
    """Return the text column; DataError where it is missing or no text."""
    column = find(place, schema, name, option)
    if not is_text(column.type):
        problem = f"column {name!r} of {place} is {_shown(column.type)}, not text"
        raise no_text(problem, _deeper(column.type), column.name, option)
    return column


def find_values(
    place: Path | str, schema: pa.Schema, name: str, option: ValuesOption = "--id-column"
) -> Column:
    """Return a column of ids or labels; DataError where it is missing or of another type."""
    column = find(place, schema, name, option)
    kind = _value_type(column.type)
    kinds, words = _VALUES[option]
    if not is_text(kind) and not any(is_kind(kind) for is_kind in kinds):
        problem = f"column {name!r} of {place} is {_shown(column.type)}, neither text nor {words}"
        raise no_text(problem, _deeper(column.type), column.name, option)
    return column


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Tell whether values are text, or bytes that may be: Impala and ClickHouse write those."""
    kind = _value_type(kind)
    return kind in (pa.string(), pa.large_string(), pa.string_view()) or kind in _TEXT_OF


def plain(column: pa.Array) -> pa.Array:
    """Return a column's values, out of their dictionary; bytes become text, unchecked."""
    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    return values.view(_TEXT_OF[values.type]) if values.type in _TEXT_OF else values


def check_utf8(
    values: pa.Array, column: Column, place: Path | str, offset: int, option: str
) -> None:
    """Raise DataError, which names the row, where a column's text is no UTF-8.

    Args:
        values: Of the column, as a batch has them.
        column: The column.
        place: The file, or what else has columns, for messages.
        offset: Rows before these values.
        option: By which the user names the column.
    """
    row = first_not_utf8(plain(values))
    if row is not None:
        raise DataError(
            f"row {offset + row + 1:,} of column {column.name!r} of {place} is not UTF-8",
            f"write it again as UTF-8, or name another column with {option}",
        )


def first_not_utf8(texts: pa.Array) -> int | None:
    """Return the number of the first text that is no UTF-8, or None."""
    if _is_utf8(texts):
        return None
    return next((i for i in range(len(texts)) if not _is_utf8(texts[i : i + 1])), 0)


def _is_utf8(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def texts_of(column: pa.Array) -> "pl.Series":
    """Return a text column, or numbers and truth values as text: String [rows]."""
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
            part = batch.slice(at, rows - count)
            held.append(part)
            at += len(part)
            count += len(part)
            size += int(part.str.len_bytes().sum())
            if count == rows or size >= WINDOW_BYTES:
                yield pl.concat(held, rechunk=True)
                held, count, size = [], 0, 0
    if held:
        yield pl.concat(held, rechunk=True)


class BatchSource(ABC):
    """An input of record batches."""

    found = NOTHING_FOUND
    remarks: tuple[str, ...] = ()
    encoding = "utf-8"
    format: str
    path: Path
    schema: pa.Schema  # metadata and all
    columns: tuple[str, ...]
    _text: Column

    @abstractmethod
    def rows(self, columns: Sequence[int] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the rows as they stand, in batches that fit the memory.

        Args:
            columns: The numbers of those that are read, in order; by default all.
        """

    @abstractmethod
    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        """Write the input's rows with their scores to a new file.

        Raises:
            DataError: the texts are not those that were scored.
            UsageError: a name exists already.
        """

    @abstractmethod
    def _texts(self, column: Column) -> "Iterator[pl.Series]":
        """Yield the values of a column as text, in series that fit the memory."""

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of `rows` rows, fewer where they are long: memory flat."""
        offset = 0
        for window in cut_texts(self._texts(self._text), rows):
            yield TextWindow(offset, window)
            offset += len(window)

    def values(self, column: str, option: ValuesOption = "--id-column") -> "Iterator[pl.Series]":
        """Return the values of a column of text, whole numbers or labels in batches."""
        return self._texts(find_values(self.path, self.schema, column, option))

    def check_output_schema(self, output_schema: OutputColumns) -> None:
        """Raise UsageError when a name exists already, or is no text that the file can hold."""
        output_schema.check_against(self.columns)
        output_schema.check_encoding(Encoding(self.encoding))

    def scored_schema(self, output_schema: OutputColumns) -> pa.Schema:
        """Return the input's schema with the appended columns."""
        return scored_schema(self.schema, output_schema)
