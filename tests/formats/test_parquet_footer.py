"""Footers as spans of bytes: what is refused, and that the rest stays as it is."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.formats.guards.parquet_pages import Group
from scorer.formats.guards.thrift import Compact, end_of_value, list_of, number
from scorer.formats.parquet.footer import read_footer
from scorer.formats.parquet.projection import metadata_of, schema_of
from tests.hostile.parquet_factory import Long, Value, thrift

ROOT: dict[int, Value] = {4: b"schema", 5: 1}
LEAF: dict[int, Value] = {1: 6, 3: 0, 4: b"text", 6: 0}
METADATA: dict[int, Value] = {
    1: 6, 2: [0], 3: [b"text"], 4: 0, 5: Long(1), 6: Long(9), 7: Long(9), 9: Long(4),
}  # fmt: skip


def footer(**changes: Any) -> dict[int, Value]:
    """Return a good footer of one text, with other parts."""
    chunk = changes.get("chunk", {2: Long(0), 3: METADATA | changes.get("metadata", {})})
    group = {1: [chunk], 2: Long(9), 3: Long(1)} | changes.get("group", {})
    schema = changes.get("schema", [ROOT, LEAF])
    whole: dict[int, Value] = {1: 1, 2: schema, 3: Long(1), 4: [group]}
    return whole | dict(changes.get("footer", {}))


def written(path: Path, content: bytes, magic: bytes = b"PAR1") -> Path:
    path.write_bytes(b"PAR1" + bytes(9) + content + len(content).to_bytes(4, "little") + magic)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.parquet"


def test_a_good_footer_is_read(path: Path) -> None:
    """The other tests change one thing of it."""
    found = read_footer(written(path, thrift(footer())))
    assert [column.name for column in found.columns] == [b"text"]
    assert (found.start, [*found.rows], found.leaves, found.version) == (13, [1], 1, 1)
    [group] = found.groups(found.columns)
    assert (group.rows, group.chunks[0].start) == (1, 4)


DAMAGED: dict[str, tuple[dict[int, Value], str]] = {
    "no schema": ({1: 1, 3: Long(0), 4: []}, "a part of the footer is missing"),
    "a schema that is a number": (footer(schema=5), "schema|no end|field"),
    "a schema of numbers": (footer(schema=[1, 2]), "the schema of the footer is damaged"),
    "an empty schema": (footer(schema=[]), "the schema of the footer is damaged"),
    "no columns": (footer(schema=[ROOT | {5: 0}], footer={4: []}), "it has no columns"),
    "a root without children": (footer(schema=[{4: b"x"}, LEAF]), "belong to nothing"),
    "a negative number of children": (footer(schema=[ROOT | {5: -7}, LEAF]), "schema .* damaged"),
    "too many children": (footer(schema=[ROOT | {5: 2**31 - 1}, LEAF]), "too few elements"),
    "children inside that are not there": (
        footer(schema=[ROOT, {4: b"a", 5: 3}, LEAF]), "too few elements",
    ),
    "a column without a name": (footer(schema=[ROOT, {1: 6, 3: 0}]), "schema .* damaged"),
    "a column that is named by a number": (footer(schema=[ROOT, {1: 6, 4: 7}]), "damaged"),
    "more columns than chunks": (
        footer(schema=[ROOT | {5: 2}, LEAF, LEAF]), "a row group has 1 columns, the schema 2",
    ),
    "chunks that are a number": (footer(group={1: 5}), "a row group of the footer is damaged"),
    "chunks that are numbers": (footer(group={1: [7]}), "a row group has 1 columns, the schema 1"),
    "row groups that are numbers": (footer(footer={4: [1]}), "the row groups .* damaged"),
    "a negative number of rows": (footer(group={3: Long(-1)}), "a row group .* is damaged"),
    "rows that are a word": (footer(group={3: b"x"}), "a row group .* is damaged"),
    "rows that do not add up": (footer(footer={3: Long(2)}), "have 1 rows, its footer says 2"),
    "rows without end": (footer(group={3: Long(2**63)}), "damaged|large|have"),
    "a place behind the end": (footer(metadata={9: Long(13)}), "behind the end of the file"),
    "an index behind the end": (
        footer(chunk={2: Long(0), 3: METADATA, 4: Long(2**40)}), "behind the end of the file",
    ),
    "a key that is a number": (footer(footer={5: [{1: 5}]}), "a key of the footer is damaged"),
    "keys that are numbers": (footer(footer={5: [5]}), "a key of the footer is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_footer_is_bad_data(path: Path, name: str) -> None:
    """One line that says what is wrong."""
    content, words = DAMAGED[name]
    with pytest.raises(DataError, match=words) as caught:
        read_footer(written(path, thrift(content)))
    assert str(caught.value).startswith(f"{path} is not a readable Parquet file: ")
    assert str(caught.value).endswith("; write it again")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (thrift(footer())[:-9], "no end"),
        (b"\x15", "no end"),
        (thrift(footer())[:-1] + b"\x05\x02\x02\0", "field 1 of the footer is there twice"),
        (b"\x19\xfc\xff\xff\xff\xff\x07", "no end"),  # a list longer than the footer
        (b"\x1b\xff\xff\xff\xff\x07\x55", "no end"),  # likewise a map
        (b"\x18\xff\xff\xff\xff\x07", "no end"),
        (b"\x1c" * 99 + b"\0" * 99, "without an end"),
        (b"\x19" * 9999, "without an end"),
        (b"\x1b" + b"\x01\xbb" * 99, "without an end"),
        (b"\x1d\0", "unknown type"),
        (b"\x18" + b"\x80" * 99, "a number has no end"),
        (b"", "no end"),
    ],
    ids=range(12),
)
def test_bytes_that_are_no_footer_are_bad_data(path: Path, content: bytes, words: str) -> None:
    """However they end, and however deep they are."""
    with pytest.raises(DataError, match=words):
        read_footer(written(path, content))


def test_a_file_that_ends_otherwise_is_bad_data(path: Path) -> None:
    """Too short, of another format, or shorter than its footer says."""
    for content in (b"", b"PAR1", b"PAR1" + bytes(8), bytes(99), b"PAR1\xff\xff\xff\xffPAR1"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a readable Parquet file: it"):
            read_footer(path)


def test_a_file_that_grows_shorter_is_bad_data(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two system calls."""
    written(path, thrift(footer()))
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda file, n, at: real(file, n, at) if n == 8 else b"")
    with pytest.raises(DataError, match="the footer has no end"):
        read_footer(path)


@pytest.mark.parametrize(
    "chunk",
    [{2: Long(0)}, {3: {1: 6, 4: 0, 5: Long(-1), 9: Long(4)}}, {3: {1: 6, 4: 0, 5: Long(1)}}],
    ids=range(3),
)
def test_a_column_that_is_read_must_be_described(path: Path, chunk: dict[int, Value]) -> None:
    """Numbers that are missing or negative; of the other columns nobody asks."""
    found = read_footer(written(path, thrift(footer(chunk=chunk))))
    assert [*found.groups([])] == [Group(1, ())]
    with pytest.raises(ValueError, match="a column of the footer is damaged"):
        list(found.groups(found.columns))


REFUSED: dict[str, dict[int, Value]] = {
    "is encrypted or signed; decrypt it first": footer(footer={8: {1: {}}}),
    "is encrypted or signed": footer(footer={9: b"key"}),
    "is encrypted": footer(chunk={2: Long(0), 3: METADATA, 8: {1: {}}}),
    "is enc": footer(chunk={2: Long(0), 3: METADATA, 9: b"secret"}),
    "has columns in other files; write it again": footer(chunk={1: b"other", 3: METADATA}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_copied_is_refused_by_name(path: Path, words: str) -> None:
    """Its bytes alone are not the table."""
    with pytest.raises(DataError, match=f"{path.name} {words}"):
        read_footer(written(path, thrift(REFUSED[words])))


def test_a_path_that_is_empty_is_that_of_the_file_itself(path: Path) -> None:
    """Parquet says so of one that is missing, and readers take both alike."""
    content = footer(chunk={1: b"", 2: Long(0), 3: METADATA})
    assert read_footer(written(path, thrift(content))).leaves == 1


def test_an_encrypted_footer_is_refused_by_name(path: Path) -> None:
    """By the magic at the end."""
    with pytest.raises(DataError, match="is encrypted or signed"):
        read_footer(written(path, thrift(footer()), b"PARE"))


def test_values_of_every_kind_are_passed_over() -> None:
    """Fields far apart, sets, maps, doubles, truth in lists, long words and long lists."""
    values: list[tuple[int, bytes]] = [
        (1, b""), (2, b""), (3, b"\xff"), (4, b"\x80\x01"), (5, b"\x01"), (6, b"\xff\x01"),
        (7, bytes(8)), (8, b"\x03abc"), (8, b"\x80\x01" + bytes(128)), (9, b"\x22\x01\x02"),
        (9, b"\xf5\x0f" + bytes(15)), (10, b"\x18\x01x"), (11, b"\0"), (11, b"\x01\x58\x02\x01x"),
        (11, b"\x01\x11\x01\x02"), (12, b"\x15\x02\0"), (12, b"\x05\x50\x02\0"),
    ]  # fmt: skip
    for kind, value in values:
        assert end_of_value(value + b"rest", 0, kind) == len(value), (kind, value)
    for kind in (0, 13, 14, 15):
        with pytest.raises(ValueError, match="unknown type"):
            end_of_value(b"abc", 0, kind)


def test_numbers_are_written_as_they_are_read() -> None:
    """Small and large, and lists short and long."""
    for value in (0, 1, 63, 64, 2**40, 2**63 - 1):
        assert Compact(number(value)).integer() == value
    with pytest.raises(ValueError, match="too large"):
        number(2**63)
    for size in (0, 14, 15, 300):
        assert Compact(list_of(12, size) + bytes(size)).list_head() == (size, 12)


def test_pyarrow_reads_some_columns_of_a_footer(path: Path) -> None:
    """With their row groups, or all columns with the keys and without the rows."""
    lists = pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": []}])
    table = pa.table({"n": [1, 2, 3], "deep": lists, "text": ["a", "b", None]})
    pq.write_table(table.replace_schema_metadata({"k": "v"}), path, row_group_size=2)
    found = read_footer(path)
    assert schema_of(found).equals(pq.read_schema(path), check_metadata=True)
    assert [(c.first, c.last) for c in found.columns] == [(0, 1), (1, 3), (3, 4)]
    picked = [found.columns[1], found.columns[2]]
    with pq.ParquetFile(path, metadata=metadata_of(found, picked)) as file:
        assert file.read().equals(table.select(["deep", "text"]))


def test_the_type_of_a_column_that_pyarrow_cannot_read_is_null(path: Path) -> None:
    """The others are what they are."""
    odd: dict[int, Value] = {1: 6, 3: 0, 4: b"odd", 6: 0, 10: {5: {1: 99, 2: 1}}}
    chunks: list[Value] = [{2: Long(0), 3: METADATA}] * 2
    content = footer(schema=[ROOT | {5: 2}, odd, LEAF], group={1: chunks})
    found = schema_of(read_footer(written(path, thrift(content))))
    assert found.types == [pa.null(), pa.string()]
    assert found.names == ["odd", "text"]
