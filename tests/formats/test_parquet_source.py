import decimal
import json
import uuid
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.errors import DataError, UsageError
from scorer.formats import parquet as parquet_source
from scorer.formats.guards import parquet_memory as parquet_check
from scorer.formats.open import open_source
from scorer.options import CsvOptions, InputSpec
from tests.formats.files_helpers import SCHEMA, slices, write_scored

TEXTS = ["a", None, "", "ok", "last"]


def every_type() -> pa.Table:
    """Return five rows of many types, with nulls, metadata and a column that may not be null."""
    now = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    number = decimal.Decimal("12345678901234567890.123456789")
    columns: dict[str, pa.Array] = {
        "int8": pa.array([1, None, -3, 4, 5], pa.int8()),
        "uint64": pa.array([2**64 - 1, 0, None, 4, 5], pa.uint64()),
        "half": pa.array([0.5, None, 1, 2, 3], pa.float16()),
        "double": pa.array([float("nan"), -0.0, None, 1e300, 5e-324]),
        "bool": pa.array([True, None, False, True, None]),
        "decimal": pa.array([number, None] * 2 + [number], pa.decimal128(38, 9)),
        "decimal256": pa.array([number, None] * 2 + [number], pa.decimal256(60, 9)),
        "day": pa.array([date(1600, 1, 1), None, None, date(9999, 1, 1), None]),
        "noon": pa.array([time(12), None, None, time(1, 2, 3, 4), None], pa.time32("ms")),
        "naive": pa.array([now.replace(tzinfo=None), None] * 2 + [None], pa.timestamp("ns")),
        "zone": pa.array([now, None] * 2 + [now], pa.timestamp("us", "Europe/Berlin")),
        "duration": pa.array([timedelta(1), None] * 2 + [None], pa.duration("ms")),
        "binary": pa.array([b"\xff\0", None, b"", b"x", b"y"]),
        "fixed": pa.array([b"abc", None, b"def", b"ghi", b"jkl"], pa.binary(3)),
        "large": pa.array(["x", None, "", "y", "z"], pa.large_string()),
        "view": pa.array(["x" * 20, None, "", "y", "z"], pa.string_view()),
        "dictionary": pa.array(["b", None, "a", "b", "a"]).dictionary_encode(),
        "ordered": pa.DictionaryArray.from_arrays(
            pa.array([0, 1, None, 1, 0], pa.int8()), ["low", "high"], ordered=True
        ),
        "list": pa.array([[1, None], None, [], [2], [3]], pa.list_(pa.int16())),
        "fixed_list": pa.array([[1, 2], None, [3, 4], [5, 6], [7, 8]], pa.list_(pa.int32(), 2)),
        "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {}, {}]),
        "map": pa.array([[("k", 1)], None, [], [("l", None)], []], pa.map_(pa.string(), pa.int8())),
        "strict": pa.array(
            [[{"a": i}] for i in range(5)],
            pa.list_(
                pa.field("entry", pa.struct([pa.field("a", pa.int8(), False, {"x": "y"})]), False)
            ),
        ),
        "null": pa.nulls(5),
        "uuid": pa.array([uuid.UUID(int=i).bytes for i in range(5)], pa.uuid()),
        "json": pa.array(["{}", None, "[]", "1", "2"], pa.json_()),
        "text": pa.array(TEXTS),
        "required": pa.array([1, 2, 3, 4, 5]),
    }
    fields = [
        pa.field(n, c.type, n != "required", {b"unit": n.encode()}) for n, c in columns.items()
    ]
    metadata = {b"pandas": json.dumps({"columns": []}).encode(), b"owner\xff": b"\0nobody"}
    return pa.table(list(columns.values()), schema=pa.schema(fields, metadata=metadata))


def test_every_type_value_and_metadata_passes_through(tmp_path: Path) -> None:
    """Schema, field metadata, nullability and values are the input's; three columns come last."""
    pq.write_table(every_type(), path := tmp_path / "in.parquet", row_group_size=2)
    before = pq.read_table(path)
    out = write_scored(path, tmp_path / "out.parquet")
    after = pq.read_table(out)
    assert after.schema.names == [*before.schema.names, "label", "score"]
    kept = after.select(range(before.num_columns))
    columns = json.loads(kept.schema.metadata[b"pandas"])["columns"]
    assert [column["name"] for column in columns] == ["label", "score"]
    pandas = {**kept.schema.metadata, b"pandas": before.schema.metadata[b"pandas"]}
    assert kept.schema.with_metadata(pandas).equals(before.schema, check_metadata=True)
    assert str(kept.to_pydict()) == str(before.to_pydict())  # as text, since NaN != NaN
    assert after["label"].to_pylist() == ["neg", None, None, "neutral", "neutral"]
    assert after.schema.field("label").type == pa.string()
    assert after.schema.field("score").type == pa.float32()
    assert after["score"].null_count == 2


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_text_may_be_of_any_string_type(tmp_path: Path, kind: pa.DataType) -> None:
    """The texts are the same values, null and '' apart."""
    column = pa.array(TEXTS).cast(kind) if not pa.types.is_dictionary(kind) else None
    if column is None:
        column = pa.array(TEXTS).dictionary_encode().cast(kind)
    pq.write_table(pa.table({"text": column}), path := tmp_path / "in.parquet")
    [window] = open_source(path).windows(10)
    assert window.texts.to_list() == TEXTS


@settings(max_examples=40, deadline=None)
@given(
    texts=st.lists(st.none() | st.text(max_size=5), max_size=40),
    groups=st.integers(1, 9),
    window=st.integers(1, 9),
    limit=st.none() | st.integers(0, 45),
)
def test_any_cut_gives_the_same_rows_and_row_groups(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str | None],
    groups: int,
    window: int,
    limit: int | None,
) -> None:
    """Windows change neither rows nor row groups: these are the input's, as far as the limit."""
    directory = tmp_path_factory.mktemp("p")
    table = pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())})
    pq.write_table(table, path := directory / "in.parquet", row_group_size=groups)
    wanted = texts[:limit]
    windows = list(open_source(path, InputSpec(limit=limit)).windows(window))
    assert [t for each in windows for t in each.texts] == wanted
    assert all(len(each.texts) == window for each in windows[:-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet_check, "BATCH_ROWS", 9)
        out = write_scored(path, directory / "out.parquet", window, limit=limit)
    with pq.ParquetFile(out) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        assert file.read()["n"].to_pylist() == list(range(len(wanted)))
    assert sum(sizes) == len(wanted)
    assert all(size == groups for size in sizes[:-1])


def test_output_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    """Windows of another size and a second run write the same file."""
    pq.write_table(every_type(), path := tmp_path / "in.parquet", compression="zstd")
    first = write_scored(path, tmp_path / "a.parquet", 2)
    second = write_scored(path, tmp_path / "b.parquet", 5)
    assert first.read_bytes() == second.read_bytes()
    with pq.ParquetFile(first) as file:
        assert file.metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("limit", [None, 40])
def test_rows_of_many_bytes_end_windows_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None
) -> None:
    """Memory is a matter of bytes; windows still do not show in the output."""
    monkeypatch.setattr(parquet_check, "BATCH_BYTES", 400)
    monkeypatch.setattr("scorer.formats.columnar.WINDOW_BYTES", 300)
    texts = [f"{i:0100}" for i in range(40)]
    pq.write_table(pa.table({"text": texts}), path := tmp_path / "in.parquet")
    windows = list(open_source(path).windows(30))
    assert [t for window in windows for t in window.texts] == texts
    assert max(len(window.texts) for window in windows) < 10
    first = write_scored(path, tmp_path / "a.parquet", 1, limit=limit)
    second = write_scored(path, tmp_path / "b.parquet", 30, limit=limit)
    assert first.read_bytes() == second.read_bytes()
    with pq.ParquetFile(first) as file:
        assert (file.metadata.num_row_groups > 3) == (limit is not None)
        assert file.read()["text"].to_pylist() == texts


def test_zero_rows_give_a_file_of_zero_rows(tmp_path: Path) -> None:
    """The schema is complete all the same."""
    pq.write_table(every_type().slice(0, 0), path := tmp_path / "in.parquet")
    assert list(open_source(path).windows(5)) == []
    out = pq.read_table(write_scored(path, tmp_path / "out.parquet"))
    assert out.num_rows == 0
    assert out.schema.names[-2:] == ["label", "score"]


def test_the_elements_of_lists_keep_their_names(tmp_path: Path) -> None:
    """Spark, Hive and others call them as they like, and leave no schema of Arrow's behind."""
    lists = pa.array([[1], []], pa.list_(pa.field("array", pa.int8())))
    table = pa.table({"text": ["a", "b"], "n": lists})
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, store_schema=False, use_compliant_nested_type=False)
    out = write_scored(path, tmp_path / "out.parquet")
    with pq.ParquetFile(path) as before, pq.ParquetFile(out) as after:
        assert after.schema.column(1).path == before.schema.column(1).path == "n.list.array"
        assert after.schema_arrow.field("n").equals(before.schema_arrow.field("n"))


def test_int96_stays_int96(tmp_path: Path) -> None:
    """The old timestamps keep their values and their type."""
    table = pa.table({"text": ["a"], "at": pa.array([datetime(2026, 1, 2)], pa.timestamp("ns"))})  # noqa: DTZ001
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, use_deprecated_int96_timestamps=True)
    out = write_scored(path, tmp_path / "out.parquet")
    assert pq.read_table(out)["at"].equals(table["at"])
    with pq.ParquetFile(out) as file:
        assert file.schema.column(1).physical_type == "INT96"


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "middle"])
def test_damaged_parquet_is_one_line_of_bad_data(tmp_path: Path, damage: str) -> None:
    """Whatever is broken, the message names the file and is exit code 65."""
    path = tmp_path / "in.parquet"
    texts = [f"{i * 7919 % 100_003}" for i in range(50_000)]
    pq.write_table(pa.table({"text": texts}), path, compression="zstd")
    whole = path.read_bytes()
    middle = whole[:1000] + bytes(b ^ 0xFF for b in whole[1000:90_000]) + whole[90_000:]
    path.write_bytes(
        {"empty": b"", "text": b"a,b\n" * 99, "cut": whole[:-99], "middle": middle}[damage]
    )
    with pytest.raises(DataError) as caught:
        list(open_source(path).windows(1000))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unusable_columns_and_options_are_explained(tmp_path: Path) -> None:
    """A text column of numbers, none at all, and options of CSV are refused."""
    pq.write_table(pa.table({"text": [1], "Tweet": ["a"]}), path := tmp_path / "in.parquet")
    with pytest.raises(DataError, match="is int64, not text"):
        open_source(path)
    with pytest.raises(DataError, match="only: text, Tweet; did you mean --text-column Tweet"):
        open_source(path, InputSpec("tweets"))
    with pytest.raises(UsageError, match="--encoding out, which only CSV has"):
        open_source(path, InputSpec("Tweet", csv=CsvOptions(encoding="utf-8")))


def test_a_file_without_row_groups_is_a_file_of_zero_rows(tmp_path: Path) -> None:
    """As writers leave it that are closed before they get any rows."""
    schema = pa.schema({"text": pa.string()})
    pq.ParquetWriter(path := tmp_path / "in.parquet", schema).close()
    assert pq.read_table(write_scored(path, tmp_path / "out.parquet")).num_rows == 0


def test_rows_that_are_missing_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row group holds as many as it says."""
    pq.write_table(pa.table({"text": ["a", "b"]}), path := tmp_path / "in.parquet")
    more = [parquet_check.ReadingPlan(rows=3, batch=9)]
    monkeypatch.setattr(parquet_source, "reading_plans", lambda *_: more)
    with pytest.raises(DataError, match="ends before its 3 rows"):
        list(open_source(path).windows(9))


def test_a_limit_ends_reading(tmp_path: Path) -> None:
    """In the middle of a row group, at its end, and before the first row."""
    table = pa.table({"text": [f"{i}" for i in range(9)]})
    pq.write_table(table, path := tmp_path / "in.parquet", row_group_size=3)
    for limit in (0, 2, 3, 4, 9, 10):
        windows = open_source(path, InputSpec(limit=limit)).windows(2)
        assert [t for each in windows for t in each.texts] == table["text"].to_pylist()[:limit]


def test_a_column_name_with_a_dot_is_one_name(tmp_path: Path) -> None:
    """It is not taken for a path into a struct."""
    table = pa.table({"a.text": ["x"], "a": pa.array([{"b": "y"}])})
    pq.write_table(table, path := tmp_path / "in.parquet")
    [window] = open_source(path, InputSpec("a.text")).windows(1)
    assert window.texts.to_list() == ["x"]


def test_a_changed_input_is_noticed(tmp_path: Path) -> None:
    """Other texts, rows or columns in the second pass are an error."""
    path = tmp_path / "in.parquet"
    changes = [{"text": ["b"]}, {"text": ["a", "b"]}, {"text": []}, {"text": ["a"], "n": [1]}]
    for number, changed in enumerate(changes):
        pq.write_table(pa.table({"text": ["a"]}), path)
        source = open_source(path)
        parts = slices(source, 10)
        pq.write_table(pa.table(changed), path)
        with pytest.raises(DataError, match="changed while it was scored"):
            source.write_scored(tmp_path / f"{number}.parquet", SCHEMA, parts)


def test_text_that_is_not_utf8_is_bad_data(tmp_path: Path) -> None:
    """Parquet's readers take a string column's bytes on trust; we name the rows instead."""
    path = tmp_path / "in.parquet"
    broken = pa.Array.from_buffers(
        pa.string(),
        1,
        [None, pa.py_buffer(b"\x00\x00\x00\x00\x03\x00\x00\x00"), pa.py_buffer(b"ab\xff")],
    )
    pq.write_table(pa.table({"text": broken}), path)
    with pytest.raises(DataError, match=r"row 1 of column 'text' of .* is not UTF-8"):
        list(open_source(path).windows(10))
