"""Compares Parquet and Arrow IPC: schema, metadata and every value, NaN bits and all."""

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from scorer.errors import DataError
from scorer.formats import columnar
from scorer.formats.added_columns import appended_fields
from scorer.formats.output_columns import OutputColumns
from scorer.formats.parquet import ParquetSource
from scorer.formats.parquet.proof import difference
from scorer.formats.written import Written
from scorer.readback.findings import Compared, Finding, no_labels

_BITS = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}


class BatchPair:
    """Two files of record batches."""

    rejects = not_finite = 0

    def __init__(
        self,
        source: columnar.BatchSource | None,
        scored: columnar.BatchSource,
        output_schema: OutputColumns,
        columns: Sequence[str] = (),
        difference: str = "",
    ) -> None:
        """Take both.

        Args:
            source: The input.
            scored: The output.
            output_schema: The columns that the run appended.
            columns: Others that are wanted where there is no input.
            difference: What is known of the output's bytes, where the input's were copied.
        """
        self._source = source
        self._difference = difference
        self._output_schema = output_schema
        self.scored = scored
        self._reported: set[str] = set()  # columns known to differ
        self._width = len(self.scored.columns) - len(output_schema.names)
        self._check_appended()
        self._read = self._numbers(columns) if source is None else None

    def _numbers(self, columns: Sequence[str]) -> list[int]:
        """Return the numbers of some columns and of those that were appended."""
        schema = self.scored.schema
        wanted = {columnar.find(self.scored.path, schema, n, None).number(schema) for n in columns}
        return [*sorted(wanted), *range(self._width, len(schema))]

    def _check_appended(self) -> None:
        names = self._output_schema.names
        fields = list(self.scored.schema)[-len(names) :]
        wanted = appended_fields(self._output_schema)
        if [(f.name, f.type) for f in fields] != [(f.name, f.type) for f in wanted]:
            raise DataError(
                f"the last columns of {self.scored.path} are not {', '.join(names)} "
                "with a label's and scores' types"
            )

    def columns(self) -> Iterator[Finding]:
        """Yield what is wrong with the schema and its metadata."""
        if self._difference:
            yield Finding("bytes", self._difference)
        if self._source is None:
            return
        ours, wanted = self.scored.schema, self._source.scored_schema(self._output_schema)
        if ours.names != wanted.names:
            yield Finding("schema", "the columns are not the input's and the appended ones")
            return
        for mine, its in zip(ours, wanted, strict=True):
            if not mine.equals(its, check_metadata=False):
                types = f"{_kind(mine)}, the input's is {_kind(its)}"
                yield Finding("schema", f"column {its.name!r} is {types}")
            elif not mine.equals(its, check_metadata=True):
                yield Finding("schema", f"column {its.name!r} has other metadata than the input's")
        if (ours.metadata or {}) != (wanted.metadata or {}):
            yield Finding("schema", "the schema's metadata is not the input's")

    def input_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the input's rows."""
        return self._source.rows() if self._source else iter(())

    def output_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the output's rows."""
        return self.scored.rows(self._read)

    def cut(self, batch: pa.RecordBatch, start: int, stop: int) -> pa.RecordBatch:
        """Return some of the rows."""
        return batch.slice(start, stop - start)

    def answers(self, batch: pa.RecordBatch, offset: int) -> Compared:
        """Return the appended columns; DataError where a label is no UTF-8."""
        try:
            appended = batch.columns[-len(self._output_schema.names) :]
            for column in appended:
                column.validate(full=True)
        except pa.ArrowInvalid as error:
            rows = f"rows {offset + 1:,} to {offset + len(batch):,}"
            raise DataError(f"a label in {rows} of {self.scored.path} is no text") from error
        columns = [pl.Series(pl.from_arrow(column)) for column in appended]
        schema = self._output_schema
        labels = no_labels(len(batch)) if schema.label_column is None else columns.pop(0)
        lists = None if schema.labels_column is None else columns.pop()
        return Compared(offset, labels, tuple(columns), (), lists)

    def column(self, batch: pa.RecordBatch, name: str) -> pl.Series:
        """Return one of its columns; times with a zone become those of UTC."""
        column = columnar.find(self.scored.path, self.scored.schema, name, None)
        cells = _unwrapped(column.of(batch))
        kind = cells.type
        if pa.types.is_timestamp(kind) and kind.tz is not None:
            cells = cells.cast(pa.timestamp(kind.unit, "UTC"))
        try:
            text = cells.cast(pa.large_string())
        except pa.ArrowException as error:
            raise DataError(
                f"column {name!r} of {self.scored.path} is {kind}, not text, a number or a time",
                "name another one",
            ) from error
        return pl.Series(name, pl.from_arrow(text), dtype=pl.String)

    def differences(
        self, ours: pa.RecordBatch, theirs: pa.RecordBatch, offset: int
    ) -> Iterator[Finding]:
        """Yield the input's columns that hold something else, each column once.

        Columns of another type are findings of `columns` already.
        """
        for number, name in enumerate(theirs.schema.names[: self._width]):
            a, b = ours.column(number), theirs.column(number)
            if name in self._reported or a.type != b.type or same(a, b):
                continue
            self._reported.add(name)
            row = offset + first_difference(a, b) + 1
            yield Finding(name, f"row {row:,}: column {name!r} is not what the input holds")


class CopiedPair(BatchPair):
    """An output that has the bytes of its input: only what was appended is read."""

    def __init__(
        self, source: ParquetSource, scored: ParquetSource, output_schema: OutputColumns
    ) -> None:
        super().__init__(None, scored, output_schema)
        self._copied = source

    def input_batches(self) -> Iterator[Any]:
        """Yield as many numbers as there are rows."""
        yield from map(range, self._copied.row_groups())

    def cut(self, rows: Any, start: int, stop: int) -> Any:
        """Return some of the rows."""
        return rows[start:stop]

    def differences(self, ours: Any, theirs: Any, offset: int) -> Iterator[Finding]:
        """Yield nothing: the bytes are the same."""
        yield from ()


def pair_of_copy(
    source: ParquetSource, scored: ParquetSource, output_schema: OutputColumns, written: Written
) -> BatchPair:
    """Return a pair whose bytes are compared; where they differ, the values say where."""
    found = difference(source.path, scored.path, output_schema, written)
    if found:
        return BatchPair(source, scored, output_schema, difference=found)
    return CopiedPair(source, scored, output_schema)


def _kind(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"


def first_difference(a: pa.Array, b: pa.Array) -> int:
    """Return the first place at which two arrays differ that do."""
    low, high = 0, len(a)
    while high - low > 1:
        middle = (low + high) // 2
        if same(a[low:middle], b[low:middle]):
            low = middle
        else:
            high = middle
    return low


def same(a: pa.Array, b: pa.Array) -> bool:
    """Tell whether two arrays of one type hold the same values, bit for bit.

    Arrow's own comparison says that NaN is no NaN, and that 0.0 is -0.0.
    """
    if a.equals(b) and not _holds_floats(a.type):
        return True
    if a.null_count != b.null_count or not a.is_valid().equals(b.is_valid()):
        return False
    a, b = _unwrapped(a), _unwrapped(b)
    if pa.types.is_union(a.type):
        return _same_choices(a, b)
    if not a.type.num_fields:
        return _same_values(a, b)
    if pa.types.is_struct(a.type):
        return all(map(same, a.flatten(), b.flatten()))
    return _lengths(a).equals(_lengths(b)) and same(_items(a), _items(b))


def _unwrapped(array: pa.Array) -> pa.Array:
    """Return the values that an extension, a dictionary or runs stand for."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return pc.run_end_decode(array) if pa.types.is_run_end_encoded(array.type) else array


def _same_values(a: pa.Array, b: pa.Array) -> bool:
    if not pa.types.is_floating(a.type):
        return bool(a.equals(b))
    bits = _BITS[a.type.bit_width]
    return bool(a.view(bits).equals(b.view(bits)))


def _same_choices(a: pa.UnionArray, b: pa.UnionArray) -> bool:
    """Compare unions: which member each row takes, and the members."""
    if not a.type_codes.equals(b.type_codes):
        return False
    if a.type.mode == "dense" and not a.offsets.equals(b.offsets):
        return False
    return all(same(a.field(i), b.field(i)) for i in range(a.type.num_fields))


def _holds_floats(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _holds_floats(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _holds_floats(kind.value_type)
    fields = (kind.field(i).type for i in range(kind.num_fields))
    return pa.types.is_floating(kind) or any(map(_holds_floats, fields))


def _lengths(array: Any) -> pa.Array:
    return pc.list_value_length(_as_list(array))


def _items(array: Any) -> pa.Array:
    """Return what the lists that are not null hold."""
    return _as_list(array).flatten()


def _as_list(array: Any) -> pa.Array:
    """Return a map as the list of pairs that it is."""
    if not pa.types.is_map(array.type):
        return array
    pair = array.type.key_field, array.type.item_field
    return array.cast(pa.list_(pa.field("entries", pa.struct(pair), nullable=False)))
