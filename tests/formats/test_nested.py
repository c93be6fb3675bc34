"""Names of values that lie deeper than a column: `data.text`."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.formats import columnar
from scorer.formats import ndjson as ndjson_source
from scorer.formats.base import Source
from scorer.formats.open import open_source
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.columns import Inside, find_keys
from scorer.options import InputSpec
from scorer.readback import open_pair
from tests.formats.files_helpers import SCHEMA, slices

FORMATS = ["ndjson", "parquet", "arrow"]
ROWS: list[dict[str, Any]] = [
    {"id": 1, "data": {"user": {"id": "u1"}, "text": "ok"}},
    {"id": 2, "data": {"user": None, "text": None}},
    {"id": 3, "data": None},
    {"id": 4, "data": {"user": {"id": "u4"}, "text": "last"}},
]


def write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Path:
    """Write rows in the format of the name."""
    if path.suffix == ".ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path
    table = pa.Table.from_pylist(rows, schema)
    if path.suffix == ".parquet":
        pq.write_table(table, path)
        return path
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def texts(source: Source) -> list[str | None]:
    return [text for window in source.windows(3) for text in window.texts]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_text_in_an_object_is_read_and_its_row_is_written(kind: str, tmp_path: Path) -> None:
    """What is missing or null on the way to it is a null text; the object stays as it is."""
    source = open_source(write(tmp_path / f"in.{kind}", ROWS), InputSpec("data.text"))
    assert texts(source) == ["ok", None, None, "last"]
    source.write_scored(out := tmp_path / f"out.{kind}", SCHEMA, slices(source, 3))
    scored = open_source(out, InputSpec("data.text"))
    assert texts(scored) == ["ok", None, None, "last"]
    assert next(scored.values("label")).to_list() == ["neutral", None, None, "neutral"]
    ids = [value for piece in scored.values("data.user.id") for value in piece]
    assert ids == ["u1", None, None, "u4"]


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_of_exactly_that_name_wins(kind: str, tmp_path: Path) -> None:
    """Wherever the two stand."""
    rows = [{"data": {"text": "ok"}, "data.text": "last"}]
    assert texts(open_source(write(tmp_path / f"in.{kind}", rows), InputSpec("data.text"))) == [
        "last"
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_names_with_dots_in_them_are_taken_whole(kind: str, tmp_path: Path) -> None:
    """`a.b.c` may be the member `b.c` of `a`; of two ways the one with fewer keys."""
    rows = [{"a": {"b": {"c": "no"}, "b.c": "ok"}, "a.b": {"d": "last"}}]
    path = write(tmp_path / f"in.{kind}", rows)
    assert texts(open_source(path, InputSpec("a.b.c"))) == ["ok"]
    assert texts(open_source(path, InputSpec("a.b.d"))) == ["last"]


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["data.text", "data.x.text"])
def test_a_list_on_the_way_is_an_error(kind: str, name: str, tmp_path: Path) -> None:
    """It may hold many texts for one row."""
    rows = [{"id": 1, "data": [{"text": "ok", "x": {"text": "ok"}}]}]
    path = write(tmp_path / f"in.{kind}", rows)
    words = rf"'data' of .* is a list or a map: '{name}' may be many .*, or name another with --te"
    with pytest.raises(DataError, match=words):
        open_source(path, InputSpec(name))


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["text", "Text", "data.Text", "txet"])
def test_a_name_that_is_only_deeper_is_hinted_at(kind: str, name: str, tmp_path: Path) -> None:
    """With the name that works."""
    path = write(tmp_path / f"in.{kind}", ROWS)
    with pytest.raises(DataError) as caught:
        open_source(path, InputSpec(name))
    assert caught.value.options == {"--text-column": "data.text"}
    assert caught.value.problem.endswith("only: id, data, data.user.id, data.text")
    assert texts(open_source(path, InputSpec("data.text")))[0] == "ok"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_wrong_id_is_hinted_at_too(kind: str, tmp_path: Path) -> None:
    """The same names for the other option."""
    source = open_source(write(tmp_path / f"in.{kind}", ROWS), InputSpec("data.text"))
    with pytest.raises(DataError, match=r"did you mean --id-column data\.user\.id"):
        source.values("user.id")


BROKEN = [
    ({"data": 5}, "not-text", "the value of 'data' is a number, not an object"),
    ({"data": ["text"]}, "not-text", "the value of 'data' is an array, not an object"),
    ({"data": "text"}, "not-text", "the value of 'data' is a string, not an object"),
    ({"data": float("nan")}, "not-text", "the value of 'data' is NaN, not an object"),
    ({"data": {"text": 5}}, "not-text", "the value of 'data.text' is a number, not a string"),
    ({"data": {"text": {}}}, "not-text", "the value of 'data.text' is an object, not a string"),
    ('{"data":{},"data":{"text":"a"}}', "duplicate-key", "it has the key 'data' twice"),
    ('{"data":null,"d\\u0061ta":{"text":"a"}}', "duplicate-key", "it has the key 'data' twice"),
    ('{"data":{"text":"a","text":"a"}}', "duplicate-key", "it has the key 'data.text' twice"),
    ({"data": {"text": "a"}, "label": 1}, "key-taken", "it has a key 'label' already"),
]


@pytest.mark.parametrize(("line", "kind", "reason"), BROKEN)
def test_what_is_no_object_on_the_way_is_a_reject(
    tmp_path: Path, line: str | dict[str, Any], kind: str, reason: str
) -> None:
    """As a text that is no string is one."""
    path = write(tmp_path / "in.ndjson", [ROWS[0]] * ndjson_source.LOOKED_AT)
    with path.open("a") as file:
        file.write(line if isinstance(line, str) else json.dumps(line))
    source = open_source(path, InputSpec("data.text"))
    source.check_output_schema(OutputColumns("label", "score", ("a", "b")))
    (reject,) = [reject for window in source.windows(9999) for reject in window.rejects]
    assert (reject.kind, reject.reason) == (kind, reason)


GOOD = [
    {"data": {"text": "ok", "label": 1, "data": {"text": 7}}, "text": 7},
    {"includes": [{"data": {"text": "a"}}], "data": {"text": "ok"}, "kind": "data"},
    {"x": float("nan"), "data": {"text": "ok"}},
]


@pytest.mark.parametrize("row", GOOD)
def test_the_same_keys_elsewhere_do_not_matter(row: dict[str, Any], tmp_path: Path) -> None:
    """Only those on the way to the text do."""
    path = write(tmp_path / "in.ndjson", [ROWS[0], row])
    source = open_source(path, InputSpec("data.text"))
    source.check_output_schema(SCHEMA)
    assert texts(source) == ["ok", "ok"]


def test_only_the_leaf_is_read_of_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A struct may be large beside its text."""
    path = write(tmp_path / "in.parquet", ROWS)
    seen: list[pa.Schema] = []

    def watched(column: columnar.Column, batch: pa.RecordBatch) -> pa.Array:
        seen.append(batch.schema)
        return of(column, batch)

    of = columnar.Column.of
    monkeypatch.setattr(columnar.Column, "of", watched)
    assert len(texts(open_source(path, InputSpec("data.text")))) == 4
    assert set(map(str, seen)) == {"data: struct<text: string>\n  child 0, text: string"}


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_null_struct_has_no_text_whatever_stands_there(kind: str, tmp_path: Path) -> None:
    """Also in a slice of a batch."""
    field = pa.array(["last", "ok", "hidden", "ok"])
    mask = pa.array([False, False, True, False])
    data = pa.StructArray.from_arrays([field], ["text"], mask=mask)
    table = pa.table({"data": data})
    path = tmp_path / f"in.{kind}"
    if kind == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    assert texts(open_source(path, InputSpec("data.text"))) == [
        "last",
        "ok",
        None,
        "ok",
    ]
    assert texts(open_source(path, InputSpec("data.text", limit=3))) == [
        "last",
        "ok",
        None,
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("data.text", "'data.text' more than once; rename all but one"),
        ("two.text", "'two' more than once; rename all but one"),
    ],
)
def test_what_is_there_twice_is_an_error(name: str, words: str, tmp_path: Path) -> None:
    """As it is for columns."""
    data = pa.StructArray.from_arrays([pa.array(["a"])] * 2, ["text", "text"])
    batch = pa.record_batch([data, data, data], ["data", "two", "two"])
    with pa.ipc.new_file(tmp_path / "in.arrow", batch.schema) as writer:
        writer.write_batch(batch)
    with pytest.raises(DataError, match=words):
        open_source(tmp_path / "in.arrow", InputSpec(name))


@pytest.mark.parametrize("kind", FORMATS)
def test_an_object_is_no_text(kind: str, tmp_path: Path) -> None:
    """Its members may be."""
    path = write(tmp_path / f"in.{kind}", ROWS[:2])
    words = r"'data' of .* is (an object|struct<.*>), not .*; did .* --text-column data\.text"
    with pytest.raises(DataError, match=words):
        open_source(path, InputSpec("data"))
    if kind == "ndjson":  # null, or text in other rows, is no mistake in the name
        write(path, [*ROWS[:2], {"data": "ok"}])
        assert texts(open_source(path, InputSpec("data"))) == ["ok"]


@pytest.mark.parametrize("option", ["--text-column", "text_column"])
def test_a_struct_without_any_text_has_no_hint(option: str) -> None:
    """Another column has to be named."""
    schema = pa.schema([pa.field("data", pa.struct([pa.field("x", pa.list_(pa.string()))]))])
    with pytest.raises(DataError, match=f"not text; name another with {option}"):
        columnar.find_text("it", schema, "data", option)


def test_the_members_of_lines_without_objects_are_unknown(tmp_path: Path) -> None:
    """A file whose first lines are all broken is read by the keys that a name stands for."""
    broken = "x\n" * ndjson_source.LOOKED_AT
    (path := tmp_path / "in.ndjson").write_text(broken + '{"data":{"text":"ok"}}\n')
    assert texts(open_source(path, InputSpec("data.text"))) == ["ok"]


def test_names_that_are_too_long_or_too_many_are_not_hinted_at() -> None:
    """A hostile file may have any number."""
    inside: dict[str, Inside] = {f"k{i}": "value" for i in range(5000)}
    tree: dict[str, Inside] = {"b": {"x" * 60: "value", "short": "value"}, "a": inside}
    with pytest.raises(DataError) as caught:
        find_keys("it", ["a", "b"], "nothing", lambda: tree)
    assert "only: a, b, b.short, a.k0, a.k1, " in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", FORMATS)
def test_a_column_that_an_output_has_not_is_told_without_an_option(
    kind: str, tmp_path: Path
) -> None:
    """The page of a report asks for columns by several options."""
    source = open_source(write(tmp_path / f"in.{kind}", ROWS[:1]), InputSpec("data.text"))
    source.write_scored(output := tmp_path / f"out.{kind}", SCHEMA, slices(source, 3))
    pair = open_pair(None, output, SCHEMA, InputSpec("data.text"), ["data.text"])
    (piece,) = pair.output_batches()
    for each in (piece, pair.cut(piece, 0, 1)):
        assert pair.column(each, "data.text").to_list() == ["ok"]
    with pytest.raises(
        DataError, match=r"has no column 'data\.day'; it has id, data, label, score"
    ):
        pair.column(piece, "data.day")


def test_an_id_that_is_in_doubt_is_read_strictly(tmp_path: Path) -> None:
    """Twice on the way, spelled by numbers, of another kind: as for a column."""
    lines = [
        '{"text":"a","data":{"id":7},"x":{"data":{"id":8}}}',
        '{"text":"a","data":{"i\\u0064":"seven"}}',
        '{"text":"a","data":{"id":7,"id":7}}',
        '{"text":"a","data":{"id":7.5}}',
        '{"text":"a","data":[{"id":7}]}',
        '{"text":"a","x":NaN,"data":{"id":-0}}',
        '{"text":"a","data":{"id":"a\\n"}}',
    ]
    (path := tmp_path / "in.ndjson").write_text("\n".join(lines))
    ids = [value for piece in open_source(path).values("data.id") for value in piece]
    assert ids == ["7", "seven", None, None, None, "-0", "a\n"]
