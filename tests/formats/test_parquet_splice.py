"""Parquet out is Parquet in: its bytes, and column chunks behind them."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError, StorageError
from scorer.formats.base import ScoredSlice
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.parquet import splice
from scorer.formats.parquet.footer import read_footer
from scorer.formats.parquet.merge import MergedFooter, last_columns
from scorer.formats.parquet.proof import difference
from scorer.formats.written import SchemaKeys, Written
from scorer.options import InputSpec
from tests.formats.files_helpers import SCHEMA, slices, write_scored
from tests.formats.test_parquet_footer import METADATA, footer, written
from tests.formats.test_parquet_source import every_type
from tests.hostile.parquet_factory import Long, Value, thrift

duckdb = pytest.importorskip("duckdb")


def copied(path: Path) -> bytes:
    """Return what a file holds before its footer."""
    content = path.read_bytes()
    return content[: -8 - int.from_bytes(content[-8:-4], "little")]


def scored(path: Path, column: str = "text") -> tuple[Path, Written]:
    """Score with the stub, and hold the bytes of the output against the input's."""
    source = open_source(path, InputSpec(column))
    out = path.with_name(f"{path.stem}.scored.parquet")
    found = source.write_scored(out, SCHEMA, slices(source, 2))
    assert out.read_bytes().startswith(copied(path))
    assert found.copied_bytes == len(copied(path))
    return out, found


def duckdb_rows(path: Path, columns: str) -> tuple[list[Any], list[Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(f"SELECT {columns} FROM '{path}'")  # noqa: S608 - our own names
        return found.description, found.fetchall()


DUCKDB = {
    "text": "'ok'",
    "tiny": "1::TINYINT",
    "big": "2::UBIGINT",
    "huge": "3::HUGEINT",
    "number": "1.5::DECIMAL(38,9)",
    "span": "INTERVAL 3 DAY",
    "day": "DATE '2026-01-02'",
    "noon": "TIME '12:00:01'",
    "noon_there": "TIMETZ '12:00:01+02'",
    "moment": "TIMESTAMP '2026-01-02 03:04:05.678901'",
    "moment_there": "TIMESTAMPTZ '2026-01-02 03:04:05+00'",
    "nano": "TIMESTAMP_NS '2026-01-02 03:04:05.123456789'",
    "id": "'47183823-2574-4bfd-b411-99ed177d3e43'::UUID",
    "raw": "'\\xAA'::BLOB",
    "word": "'a'::ENUM ('a', 'b')",
    "json": "'{}'::JSON",
    "list": "[1, NULL]",
    "pair": "{'a': 1, 'b': ['x']}",
    "map": "MAP {'k': 1}",
    "half": "1.5::FLOAT",
    "flag": "TRUE",
    "bits": "'101'::BIT",
    "variant": "1::VARIANT",
}


def _copy_by_duckdb(path: Path, options: str) -> None:
    values = ", ".join(f"{value} AS {name}" for name, value in DUCKDB.items())
    rows = f"SELECT {values} UNION ALL BY NAME SELECT NULL::VARCHAR AS text"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({rows}) TO '{path}' (FORMAT parquet, {options})")


def by_duckdb(path: Path) -> None:
    _copy_by_duckdb(path, "COMPRESSION zstd, KV_METADATA {a: 'b'}")


def by_duckdb_in_version_2(path: Path) -> None:
    _copy_by_duckdb(path, "PARQUET_VERSION v2")


def by_polars(path: Path) -> None:
    frame = pl.DataFrame(
        {"text": ["a", None, "ok"], "list": [[1], None, []], "pair": [{"a": 1}, None, {"a": 2}]},
    ).with_columns(
        pl.Series("word", ["x", None, "y"], dtype=pl.Categorical),
        pl.Series("enum", ["x", None, "y"], dtype=pl.Enum(["x", "y"])),
        pl.Series("number", [1, None, 3], dtype=pl.Decimal(20, 2)),
        pl.Series("noon", [0, None, 5]).cast(pl.Time),
        pl.Series("span", [0, None, 5]).cast(pl.Duration("us")),
        pl.Series("at", [0, None, 5]).cast(pl.Datetime("ns", "Asia/Kolkata")),
    )
    frame.write_parquet(path, row_group_size=2, metadata={"a": "b"})


def by_pyarrow(path: Path) -> None:
    table = every_type()
    pq.write_table(
        table,
        path,
        row_group_size=2,
        write_page_index=True,
        sorting_columns=[pq.SortingColumn(table.schema.get_field_index("required"))],
        bloom_filter_options={"text": {"ndv": 5, "fpp": 0.1}},
    )


def by_an_old_pyarrow(path: Path) -> None:
    """Timestamps of 96 bits, the first version of the format, no statistics, no Arrow schema."""
    table = every_type().drop_columns(["uint64", "half"])
    pq.write_table(
        table,
        path,
        version="1.0",
        use_deprecated_int96_timestamps=True,
        store_schema=False,
        write_statistics=False,
        compression="gzip",
    )


WRITERS: list[Callable[[Path], None]] = [
    by_duckdb, by_duckdb_in_version_2, by_polars, by_pyarrow, by_an_old_pyarrow,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_every_reader_reads_what_it_read_and_the_new_columns(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    """Whatever the types are, also those that a library cannot read."""
    write(path := tmp_path / "in.parquet")
    out, _ = scored(path)
    kinds, rows = duckdb_rows(path, "*")
    assert str(duckdb_rows(out, "* EXCLUDE (label, score)")) == str((kinds, rows))  # NaN != NaN
    labels = duckdb_rows(out, "label, score")[1]
    texts = [text for (text,) in duckdb_rows(path, "text")[1]]
    assert [label is None for label, _ in labels] == [not text for text in texts]
    assert {kind[1] for kind in duckdb_rows(out, "label, score")[0]} == {"VARCHAR", "FLOAT"}
    try:
        before = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:  # of a type, or of a key that is no UTF-8
        with pytest.raises(type(error), match=re.escape(str(error))):
            pl.read_parquet(out)
    else:
        after = pl.read_parquet(out)
        assert after.drop("label", "score").equals(before)
        assert after.schema["label"] == pl.String
    with pq.ParquetFile(path) as one, pq.ParquetFile(out) as other:
        names = one.schema_arrow.names
        assert str(other.read(names)) == str(one.read()) or other.read(names).equals(one.read())
        assert other.schema_arrow.names == [*names, "label", "score"]
        assert other.read(["label"])["label"].to_pylist() == [label for label, _ in labels]


def test_new_chunks_are_like_those_of_the_input(tmp_path: Path) -> None:
    """Codec, version, row groups, page indexes; sums and column orders are right."""
    pq.write_table(
        pa.table({"n": [1, 2, 3], "text": ["a", "ok", None]}),
        path := tmp_path / "in.parquet",
        row_group_size=2,
        version="1.0",
        compression={"n": "none", "text": "gzip"},
        write_page_index=True,
    )
    out, _ = scored(path)
    with pq.ParquetFile(path) as before, pq.ParquetFile(out) as after:
        assert after.metadata.format_version == "1.0"
        for group in range(2):
            one, two = before.metadata.row_group(group), after.metadata.row_group(group)
            added = [two.column(i) for i in (2, 3)]
            assert two.num_rows == one.num_rows
            assert {chunk.compression for chunk in added} == {"GZIP"}
            assert all(chunk.has_column_index and chunk.has_offset_index for chunk in added)
            assert all("PLAIN_DICTIONARY" in chunk.encodings for chunk in added)
            grown = sum(chunk.total_uncompressed_size for chunk in added)
            assert two.total_byte_size == one.total_byte_size + grown
        statistics = after.metadata.row_group(0).column(3).statistics
        assert (statistics.min, statistics.max) == pytest.approx((1.2e-7, 0.5))
    pq.write_table(pa.table({"text": ["a"]}), path := tmp_path / "without.parquet")
    with pq.ParquetFile(scored(path)[0]) as file:
        assert not file.metadata.row_group(0).column(1).has_offset_index


def test_an_index_of_pages_may_be_in_later_row_groups_only(tmp_path: Path) -> None:
    """Writers leave it out of a row group without rows; DataFusion refuses files with some."""
    table = pa.table({"text": ["ok", "b"]})
    path = tmp_path / "in.parquet"
    with pq.ParquetWriter(path, table.schema, write_page_index=True) as writer:
        for rows in (0, 2):
            writer.write_table(table[:rows])
    with pq.ParquetFile(scored(path)[0]) as file:
        chunks = [file.metadata.row_group(1).column(i) for i in range(3)]
    assert all(chunk.has_offset_index and chunk.has_column_index for chunk in chunks)


@pytest.mark.parametrize("groups", [[], [0], [2, 0, 1], [0, 0, 3]])
def test_row_groups_without_rows_stay(tmp_path: Path, groups: list[int]) -> None:
    """As writers leave them that are closed early."""
    schema = pa.schema({"text": pa.string()})
    with pq.ParquetWriter(path := tmp_path / "in.parquet", schema) as writer:
        for rows in groups:
            writer.write_table(pa.table({"text": ["ok"] * rows}, schema=schema))
    out, _ = scored(path)
    with pq.ParquetFile(out) as file:
        found = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        assert found == groups
        assert file.read()["label"].to_pylist() == ["neutral"] * sum(groups)


def test_many_row_groups_are_written_by_several_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each holds in memory what it says of its own."""
    monkeypatch.setattr(splice, "_ROW_GROUPS", 2)
    texts = [None, "ok", "last", "", "a", "b", "c"]
    pq.write_table(pa.table({"text": texts}), path := tmp_path / "in.parquet", row_group_size=1)
    out, _ = scored(path)
    labels = [None, "neutral", "neutral", None, "neg", "neg", "neg"]
    assert pq.read_table(out)["label"].to_pylist() == labels
    assert duckdb_rows(out, "text, label")[1] == list(zip(texts, labels, strict=True))


def test_classes_that_are_written_as_one_are_one(tmp_path: Path) -> None:
    """In the dictionary of the labels too."""
    pq.write_table(pa.table({"text": ["a", "ok"]}), path := tmp_path / "in.parquet")
    source = open_source(path)
    schema = OutputColumns("label", "score", ("same", "same", "other"), ("x", "y", "z"))
    source.write_scored(out := tmp_path / "out.parquet", schema, slices(source, 9))
    assert pq.read_table(out)["label"].to_pylist() == ["same", "same"]
    assert pq.read_table(out).schema.names == ["text", "label", "score", "x", "y", "z"]


def test_fields_that_nobody_knows_survive(path: Path) -> None:
    """In the footer, a row group, a column chunk and the schema, and behind the footer."""
    unknown: dict[int, Value] = {40: b"unknown"}
    content = footer(
        footer=unknown,
        group=unknown,
        schema=[{4: b"schema", 5: 1} | unknown, {1: 6, 3: 0, 4: b"text", 6: 0} | unknown],
        chunk={2: Long(0), 3: METADATA | unknown} | unknown,
    )
    before = read_footer(written(path, thrift(content) + b"tail"))
    assert before.data.count(b"unknown") == 6
    added = last_columns(before, 1)
    merged = b"".join(MergedFooter(before, added, pa.schema({"text": pa.string()})).pieces())
    assert merged.count(b"unknown") == 9  # those of the column are there twice
    assert merged.endswith(b"tail")
    after = read_footer(written(path, merged))
    assert [column.name for column in after.columns] == [b"text", b"text"]
    assert after.leaves == 2


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.parquet"


def test_a_footer_without_some_parts_stays_without_them(path: Path) -> None:
    """No sums, no orders, no keys; a writer that does not say which version it writes."""
    content = footer()
    del content[1]
    before = read_footer(written(path, thrift(content)))
    assert (before.version, before.has_page_index) == (2, False)
    added = last_columns(before, 1)
    assert added.orders == b""
    merged = b"".join(MergedFooter(before, added, pa.schema({"text": pa.string()})).pieces())
    assert read_footer(written(path, merged)).fields.keys() == {2, 3, 4}


def test_a_value_of_a_key_may_be_missing(path: Path) -> None:
    """As Parquet allows; a key that holds a schema is left out then."""
    pairs: list[Value] = [{1: b"a"}, {1: b"ARROW:schema"}, {1: b"b", 2: b"c"}]
    before = read_footer(written(path, thrift(footer(footer={5: pairs}))))
    merged = MergedFooter(before, last_columns(before, 1), pa.schema({"text": pa.string()}))
    after = read_footer(written(path, b"".join(merged.pieces())))
    assert [(key, value) for key, value, _ in after.key_values()] == [(b"a", None), (b"b", b"c")]
    assert (merged.keys.extended, merged.keys.dropped) == ((), ("ARROW:schema",))


def test_a_sum_that_is_too_large_is_bad_data(path: Path) -> None:
    """A file that claims all the bytes that there can be has no room for more."""
    before = read_footer(written(path, thrift(footer(group={2: Long(2**63 - 1)}))))
    merged = MergedFooter(before, last_columns(before, 1), pa.schema({"text": pa.string()}))
    with pytest.raises(ValueError, match="too large"):
        list(merged.pieces())


def test_a_file_without_the_columns_is_no_copy_with_them(tmp_path: Path) -> None:
    """Whatever stands before its footer."""
    before, after = (written(tmp_path / name, thrift(footer())) for name in "ab")
    said = Written(1, 13, SchemaKeys((), ()))
    assert "footer is not the input's" in difference(before, after, SCHEMA, said)


def copy_of(content: bytes, directory: Path, size: int | None = None) -> tuple[int, bytes]:
    (directory / "from").write_bytes(content)
    with (directory / "from").open("rb") as source, (directory / "to").open("wb") as target:
        size = len(content) if size is None else size
        done = splice.copy(source.fileno(), target.fileno(), size)
    return done, (directory / "to").read_bytes()


def failing(number: int) -> Callable[..., int]:
    def call(*_: int) -> int:
        raise OSError(number, os.strerror(number))

    return call


def test_bytes_are_copied_by_hand_where_the_system_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across file systems, on those that cannot, on other systems; from the place it stopped at."""
    content = os.urandom(splice._BLOCK * 2 + 99)
    assert copy_of(content, tmp_path) == (len(content), content)
    for number in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
        monkeypatch.setattr(os, "copy_file_range", failing(number))
        assert copy_of(content, tmp_path) == (len(content), content)
    monkeypatch.delattr(os, "copy_file_range")
    assert copy_of(content, tmp_path) == (len(content), content)
    steps: Iterator[int] = iter([1000, 0])

    def halfway(source: int, target: int, _size: int, at: int, to: int) -> int:
        step = next(steps)
        return os.pwrite(target, os.pread(source, step, at), to)

    monkeypatch.setattr(os, "copy_file_range", halfway, raising=False)
    assert copy_of(content, tmp_path) == (len(content), content)
    monkeypatch.setattr(os, "copy_file_range", failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        copy_of(content, tmp_path)


def test_bytes_are_written_however_few_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system call may write less than it was asked to."""
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, at: real(file, data[:3], at))
    monkeypatch.delattr(os, "copy_file_range")
    assert copy_of(b"0123456789", tmp_path) == (10, b"0123456789")


def test_an_input_that_grew_shorter_is_a_changed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copying ends where it ends."""
    assert copy_of(b"abc", tmp_path, 5) == (3, b"abc")
    pq.write_table(pa.table({"text": ["a"]}), path := tmp_path / "in.parquet")
    source = open_source(path)
    parts = slices(source, 1)
    monkeypatch.setattr(splice, "copy", lambda *_: 0)
    with pytest.raises(DataError, match="changed while it was scored"):
        source.write_scored(tmp_path / "out.parquet", SCHEMA, parts)


@pytest.mark.parametrize("change", [b"\xff", b"z"])
def test_texts_that_changed_under_the_copy_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: bytes
) -> None:
    """Other texts, or a page that cannot be read: the output is read back before its rename."""
    table = pa.table({"text": ["aaaaaaaa"] * 9})
    pq.write_table(table, path := tmp_path / "in.parquet", compression="none")
    source = open_source(path)
    parts = slices(source, 4)
    place = path.read_bytes().index(b"aaaa") if change == b"z" else 4  # a text, or a page's header
    real = splice.copy

    def copy(file: int, target: int, size: int) -> int:
        done = real(file, target, size)
        os.pwrite(target, change, place)
        return done

    monkeypatch.setattr(splice, "copy", copy)
    with pytest.raises(DataError, match=r"in\.parquet changed while it was scored; run again"):
        source.write_scored(tmp_path / "out.parquet", SCHEMA, parts)


def test_answers_that_are_not_as_many_as_the_rows_are_noticed(tmp_path: Path) -> None:
    """One too many, one too few: the input was another one."""
    pq.write_table(pa.table({"text": ["a", "b"]}), path := tmp_path / "in.parquet")
    source = open_source(path)
    one, two = slices(source, 1)
    three = ScoredSlice(two.label_ids, two.probabilities, 2, two.digest)
    for number, parts in enumerate([[one], [one, two, three], []]):
        with pytest.raises(DataError, match="changed while it was scored"):
            source.write_scored(tmp_path / f"{number}.parquet", SCHEMA, parts)
    with pytest.raises(StorageError, match="go on at row 2 instead of 1"):
        source.write_scored(tmp_path / "3.parquet", SCHEMA, [one, three])


def test_a_row_group_larger_than_can_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any work; a preview has row groups of its own."""
    monkeypatch.setattr("scorer.formats.parquet._MOST_ROWS", 2)
    pq.write_table(pa.table({"text": ["a"] * 3}), path := tmp_path / "in.parquet")
    with pytest.raises(DataError, match="has 3 rows, and columns of at most 2 can be added; write"):
        open_source(path).check_output_schema(SCHEMA)
    write_scored(path, out := tmp_path / "out.parquet", limit=3)
    assert pq.read_table(out).num_rows == 3


@pytest.mark.parametrize("damage", [b"\xff" * 20, bytes(20)])
def test_damage_that_nobody_decodes_is_passed_on(tmp_path: Path, damage: bytes) -> None:
    """A run reads the texts; the rest is copied as it stands."""
    table = pa.table({"n": range(1000), "text": ["ok"] * 1000})
    pq.write_table(table, path := tmp_path / "in.parquet", use_dictionary=["text"])
    content = path.read_bytes()
    path.write_bytes(content[:4] + damage + content[24:])
    out, _ = scored(path)
    assert pq.read_table(out, columns=["text", "label"])["label"].to_pylist() == ["neutral"] * 1000
