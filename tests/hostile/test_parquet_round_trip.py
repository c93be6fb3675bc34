"""Every type that Parquet knows comes out of a run as it went in."""

import decimal
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from tests.formats.files_helpers import write_scored
from tests.hostile.parquet_compare import difference

UNITS = ["s", "ms", "us", "ns"]
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
TEXTS = [
    pa.string(),
    pa.large_string(),
    pa.string_view(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.uint8(), pa.large_string()),
]
WHOLE = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
WHOLE += [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
STRINGS = [pa.string(), pa.large_string(), pa.string_view()]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(3)]
TIMES = [pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")]
DATES = [pa.date32(), pa.date64()]
STAMPS = [pa.timestamp(unit, tz) for unit in UNITS for tz in (None, "UTC", "Asia/Kolkata")]
DURATIONS = [pa.duration(unit) for unit in UNITS]
DECIMALS = [pa.decimal32(5, 2), pa.decimal64(12, 0), pa.decimal128(38, 9), pa.decimal256(60, 9)]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
EXTENSIONS = [pa.uuid(), pa.json_(), pa.bool8()]
SIMPLE = [pa.bool_(), pa.null(), *WHOLE, *FLOATS, *STRINGS, *BYTES, *DATES, *TIMES]
SIMPLE += [*STAMPS, *DURATIONS, *DECIMALS]
INDICES = [pa.int8(), pa.int32(), pa.int64(), pa.uint16()]
CODED = [pa.string(), pa.large_string(), pa.binary(), pa.int64(), pa.float64(), pa.date32()]


def types() -> st.SearchStrategy[pa.DataType]:
    """Return types, nested up to three deep."""
    coded = st.builds(pa.dictionary, st.sampled_from(INDICES), st.sampled_from(CODED))
    leaf = st.sampled_from(SIMPLE) | st.sampled_from(EXTENSIONS) | coded
    return leaf | st.recursive(st.sampled_from(SIMPLE), _nested, max_leaves=4)


def _nested(inner: st.SearchStrategy[pa.DataType]) -> st.SearchStrategy[pa.DataType]:
    members = st.lists(st.tuples(NAMES, inner), min_size=1, max_size=3, unique_by=lambda m: m[0])
    keys = st.sampled_from([pa.string(), pa.int32(), pa.large_binary()])
    return st.one_of(
        st.builds(lambda t, name: pa.list_(pa.field(name, t)), inner, NAMES),
        inner.map(pa.large_list),
        inner.map(lambda t: pa.list_(t, 2)),
        st.builds(pa.map_, keys, inner),
        members.map(pa.struct),
    )


ALL = types()


def values(kind: pa.DataType) -> st.SearchStrategy[Any]:
    """Return what a cell of a type may hold but null, as `pa.array` takes it."""
    if pa.types.is_nested(kind):
        return _containers(kind)
    if kind in STRINGS:
        return st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    if kind in BYTES:
        fixed = pa.types.is_fixed_size_binary(kind)
        return st.binary(min_size=3, max_size=3) if fixed else st.binary(max_size=20)
    return _moments(kind) if pa.types.is_temporal(kind) else _numbers(kind)


def _numbers(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width)
    if pa.types.is_integer(kind):
        edge = np.iinfo(kind.to_pandas_dtype())
        return st.integers(int(edge.min), int(edge.max))
    most = 10**kind.precision - 1
    return st.integers(-most, most).map(lambda n: _decimal(n, kind.scale))


def _decimal(number: int, scale: int) -> decimal.Decimal:
    return decimal.Decimal(f"{number}e-{scale}")


def _moments(kind: pa.DataType) -> st.SearchStrategy[int]:
    """Return numbers of units, which `pa.array` takes for any type of time."""
    if pa.types.is_time(kind):
        return st.integers(0, 86_400 * 10 ** (3 * UNITS.index(kind.unit)) - 1)
    if kind == pa.date64():
        return st.integers(-100_000, 100_000).map(lambda day: day * 86_400_000)
    if kind == pa.date32():
        return st.integers(-(2**31), 2**31 - 1)
    # Parquet has no seconds: a thousand times as many milliseconds must still be a number.
    most = 2**63 // 1000 if getattr(kind, "unit", "") == "s" else 2**63 - 1
    return st.integers(-most + 1, most - 1)


def _containers(kind: pa.DataType) -> st.SearchStrategy[Any]:
    is_ = pa.types
    if is_.is_map(kind):
        pairs = st.tuples(values(kind.key_type), _cells(kind.item_type))
        return st.lists(pairs, max_size=3)
    if is_.is_fixed_size_list(kind):
        return st.lists(_cells(kind.value_type), min_size=2, max_size=2)
    if is_.is_list(kind) or is_.is_large_list(kind):
        return st.lists(_cells(kind.value_type), max_size=3)
    assert is_.is_struct(kind), kind
    return st.fixed_dictionaries({f.name: _cells(f.type) for f in kind})


def _cells(kind: pa.DataType) -> st.SearchStrategy[Any]:
    return st.none() if kind == pa.null() else st.none() | values(kind)


def _coded(plain: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the values as a dictionary and indices of the types of `kind`."""
    found = plain.dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        found.indices.cast(kind.index_type), found.dictionary.cast(kind.value_type)
    )


@st.composite
def columns(draw: st.DrawFn, rows: int, name: str) -> tuple[pa.Field, pa.Array]:
    """Return a column of any type, with nulls or without."""
    kind = draw(ALL)
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    if kind == pa.json_():
        cells: st.SearchStrategy[Any] = st.integers().map(json.dumps)
    elif kind == pa.uuid():
        cells = st.binary(min_size=16, max_size=16)
    elif pa.types.is_dictionary(kind):
        storage = kind.value_type
        cells = values(storage)
    else:
        cells = st.none() if kind == pa.null() else values(storage)
    nullable = draw(st.booleans()) or kind == pa.null()
    if nullable:
        cells = st.none() | cells
    array = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), storage)
    if pa.types.is_dictionary(kind):
        array = _coded(array, kind)
    elif storage is not kind:
        array = pa.ExtensionArray.from_storage(kind, array)
    metadata = draw(st.dictionaries(st.binary(max_size=3), st.binary(max_size=3), max_size=2))
    if draw(st.booleans()):
        metadata[b"PARQUET:field_id"] = str(draw(st.integers(0, 99))).encode()
    return pa.field(name, kind, nullable, metadata), array


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Return a table with a text column among others, whose names may be there twice."""
    rows = draw(st.integers(0, 8))
    names = draw(st.lists(NAMES.filter(lambda n: n not in {"text", "label", "score"}), max_size=4))
    found = [draw(columns(rows, name)) for name in names]
    cells = st.none() | st.sampled_from(["", "a", "ok"])
    texts = pa.array(draw(st.lists(cells, min_size=rows, max_size=rows)), pa.string())
    kind = draw(st.sampled_from(TEXTS))
    texts = _coded(texts, kind) if pa.types.is_dictionary(kind) else texts.cast(kind)
    found.insert(draw(st.integers(0, len(found))), (pa.field("text", kind), texts))
    metadata = draw(st.dictionaries(st.binary(max_size=3), st.binary(max_size=3), max_size=2))
    if draw(st.booleans()):
        metadata[b"pandas"] = b'{"columns": [], "index_columns": []}'
    schema = pa.schema([field for field, _ in found], metadata=metadata)
    return pa.Table.from_arrays([array for _, array in found], schema=schema)


WRITING = st.fixed_dictionaries(
    {
        "compression": st.sampled_from(["none", "snappy", "zstd", "lz4"]),
        "data_page_version": st.sampled_from(["1.0", "2.0"]),
        "use_dictionary": st.booleans(),
        "row_group_size": st.integers(1, 9),
        "store_schema": st.booleans(),
        "use_compliant_nested_type": st.booleans(),  # else the elements of lists have names
        "version": st.sampled_from(["2.4", "2.6"]),
    }
)


def check(number: int, directory: Path) -> None:
    """Look for a table that a run changes."""

    @settings(max_examples=number, deadline=None, suppress_health_check=list(HealthCheck))
    @given(table=tables(), writing=WRITING, rows=st.integers(1, 9))
    def passes_through(table: pa.Table, writing: dict[str, Any], rows: int) -> None:
        source, output = directory / "in.parquet", directory / "out.parquet"
        output.unlink(missing_ok=True)
        try:
            pq.write_table(table, source, **writing)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
            reject()  # an old version of the format cannot hold it
        with pq.ParquetFile(source) as file:
            before = file.read()
        write_scored(source, output, rows)
        with pq.ParquetFile(output) as file:
            after = file.read()
        assert after.schema.names == [*before.schema.names, "label", "score"]
        assert not difference(before, after)

    passes_through()


@pytest.mark.long
def test_columns_of_every_type_pass_through(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """Values, order, types, nullability and metadata are what pyarrow reads of the input."""
    check(count(60, 20_000), tmp_path)


@pytest.mark.ci
@pytest.mark.timeout(1800)
def test_two_thousand_tables_pass_through(tmp_path: Path) -> None:
    """The same with as many tables as a night of continuous integration has time for."""
    check(2_000, tmp_path)
