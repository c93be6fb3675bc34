"""The rows of an output, read for what was appended and for other columns."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.formats.output_columns import OutputColumns
from scorer.options import InputSpec
from scorer.readback import ScoredRows, scored_rows
from scorer.store.rejects import rejects_by_kind

SCHEMA = OutputColumns("label", "score", ("neg", "pos"))
OPTIONS = InputSpec()
ROWS = [
    {"id": "007", "text": "one, two", "label": "pos", "score": 0.75},
    {"id": "8", "text": None, "label": None, "score": None},
    {"id": None, "text": "té", "label": "neg", "score": 0.5},
]


def read(path: Path, *columns: str) -> list[ScoredRows]:
    return list(scored_rows(path, SCHEMA, OPTIONS, columns))


def cells(path: Path, column: str) -> list[str | None]:
    """Return a column's values, which every piece must have."""
    return [cell for piece in read(path, column) for cell in piece.columns[column]]


def output(path: Path) -> Path:
    frame = pl.DataFrame(ROWS, schema_overrides={"score": pl.Float32})
    table = pa.Table.from_pylist(ROWS).cast(schema({"id": pa.string(), "text": pa.string()}))
    if path.suffix in {".csv", ".tsv"}:
        frame.write_csv(path, separator="," if path.suffix == ".csv" else "\t")
    elif path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table)
    else:
        lines = (json.dumps(row, separators=(",", ":")) for row in ROWS)
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def schema(columns: dict[str, pa.DataType]) -> pa.Schema:
    return pa.schema({**columns, "label": pa.string(), "score": pa.float32()})


def parquet_of(path: Path, column: pa.Array) -> Path:
    """Write an output with one column beside the text."""
    texts = pa.array(["a"] * len(column))
    columns = {"x": column, "text": texts, "label": pa.array(["pos"] * len(column))}
    score = pa.array([0.5] * len(column), pa.float32())
    pq.write_table(pa.table({**columns, "score": score}), path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".ndjson", ".parquet", ".arrow"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    """Labels, scores, texts and ids, null where they are null."""
    path = output(tmp_path / f"tweets{suffix}")
    pieces = read(path)
    assert [label for piece in pieces for label in piece.labels] == ["pos", None, "neg"]
    assert [score for piece in pieces for score in piece.scores] == [0.75, None, 0.5]
    assert cells(path, "text") == ["one, two", None, "té"]
    assert cells(path, "id") == ["007", "8", None]


def test_rows_can_be_cut(tmp_path: Path) -> None:
    """Some of the rows know where they begin, and keep their columns."""
    (piece,) = read(output(tmp_path / "tweets.ndjson"), "id")
    some = piece.rows(1, 3)
    assert (some.offset, len(some), some.columns["id"].to_list()) == (1, 2, ["8", None])


@pytest.mark.parametrize("suffix", [".csv", ".ndjson", ".parquet", ".arrow"])
def test_a_missing_column_is_named_with_those_there_are(tmp_path: Path, suffix: str) -> None:
    """What is asked for and is not there is bad data."""
    path = output(tmp_path / f"tweets{suffix}")
    with pytest.raises(DataError, match="has no column 'day'; it has id, text, label, score"):
        read(path, "day")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant nobody can know."""
    path = tmp_path / "tweets.csv"
    path.write_text("id,id,text,label,score\n1,2,a,pos,0.5\n")
    with pytest.raises(DataError, match="has 2 columns 'id'; rename all but one"):
        read(path, "id")


def test_columns_of_many_pieces_stay_in_step(tmp_path: Path) -> None:
    """Columns of CSV are read beside each other however the records are cut."""
    path, count = tmp_path / "tweets.csv", 300_000
    rows = "".join(f'{i},"te\nxt",{"pos" if i % 3 else "neg"},0.5\n' for i in range(count))
    path.write_text("id,text,label,score\n" + rows)
    pieces = read(path, "id", "label")
    assert len(pieces) > 1
    assert [p.columns["label"].equals(p.labels) for p in pieces] == [True] * len(pieces)
    assert pl.concat([p.columns["id"] for p in pieces]).to_list() == [str(i) for i in range(count)]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (pa.array([1, None], pa.int64()), ["1", None]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([0], pa.timestamp("ms")), ["1970-01-01 00:00:00.000"]),
        (pa.array([0], pa.timestamp("ms", "Asia/Tokyo")), ["1970-01-01 00:00:00.000Z"]),
        (pa.array([1], pa.date32()), ["1970-01-02"]),
    ],
    ids=["whole", "dictionary", "time", "zone", "day"],
)
def test_values_of_a_table_become_text(
    tmp_path: Path, values: pa.Array, found: list[str | None]
) -> None:
    """Numbers and times too; a time with a zone is that of UTC."""
    assert cells(parquet_of(tmp_path / "tweets.parquet", values), "x") == found


def test_nested_values_of_a_table_are_refused(tmp_path: Path) -> None:
    """A map is nothing that tells rows apart, nor a day."""
    pairs = pa.array([[("a", 1)]], pa.map_("string", "int64"))
    path = parquet_of(tmp_path / "tweets.parquet", pairs)
    with pytest.raises(DataError, match=r"column 'x' of .* is map<.*>, not text, a number or"):
        read(path, "x")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (12345678901234567890, "12345678901234567890"),
        (True, "true"),
        (None, None),
        ("é", "é"),
        ("\ud83d", "?"),
        ([1], '["1"]'),
    ],
    ids=["whole", "bool", "null", "text", "surrogate", "list"],
)
def test_members_of_lines_become_text(tmp_path: Path, value: Any, found: str | None) -> None:
    """A number as it is spelled; half a character as a question mark."""
    path = tmp_path / "tweets.ndjson"
    line = json.dumps(
        {"x": value, "text": "a", "label": "pos", "score": 0.5}, separators=(",", ":")
    )
    path.write_text(f'{line}\n{{"text":"b","label":"neg","score":0.25}}\n')
    assert cells(path, "x") == [found, None]


def test_a_score_that_is_none_ends_the_reading(tmp_path: Path) -> None:
    """What cannot be an output of ours is bad data, with the place."""
    path = tmp_path / "tweets.csv"
    path.write_text("text,label,score\na,pos,much\n")
    with pytest.raises(DataError, match="row 1: score is no number"):
        read(path)


def test_rejects_are_counted_by_kind(tmp_path: Path) -> None:
    """The most frequent kind comes first; without a file there are none."""
    path = tmp_path / "tweets.csv.rejects.ndjson"
    assert rejects_by_kind(path) == {}
    path.write_text('{"kind":"encoding"}\n{"kind":"open-quote"}\n{"kind":"open-quote"}\n')
    assert list(rejects_by_kind(path).items()) == [("open-quote", 2), ("encoding", 1)]


@pytest.mark.parametrize("line", ["[]", "{", "{}"])
def test_a_file_of_rejects_that_is_none_is_bad_data(tmp_path: Path, line: str) -> None:
    """It says which file."""
    path = tmp_path / "tweets.csv.rejects.ndjson"
    path.write_text(line)
    with pytest.raises(DataError, match="is no file of rejects"):
        rejects_by_kind(path)
