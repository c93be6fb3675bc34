"""Inputs of every format, small, with what is hard in each."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROWS = ['1,"so, good+"', "2,bad-", "3,", "4,meh", '5,"two\nlines+"', '6,""', "007,an é-"]
CSV = "id,text\n" + "\n".join(ROWS) + "\n"


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_bytes(CSV.encode())
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Parquet with nested columns, NaN, nulls and metadata."""
    path = tmp_path / "tweets.parquet"
    nan, rows = float("nan"), 5
    columns = {
        "id": pa.array([1, None, 3, 2**62, 5], pa.int64()),
        "text": pa.array(["a+", None, "b-", "", "meh"]),
        "number": pa.array([nan, 0.0, None, -0.0, 1.5]),
        "list": pa.array([[1.0, nan], None, [], [None], [2.0]], pa.list_(pa.float32())),
        "pair": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, None, None]),
        "map": pa.array([[("k", 1.5)], None, [], [("k", None)], []], pa.map_("string", "double")),
        "word": pa.array(["x", "y", None, "x", "x"]).dictionary_encode(),
        "when": pa.array([1, 2, None, 4, 5], pa.timestamp("us", "UTC")),
        "fixed": pa.array([[1.0, nan]] * rows, pa.list_(pa.float64(), 2)),
    }
    schema = pa.table(columns).schema.with_metadata({"owner": "us"})
    pq.write_table(pa.table(columns).cast(schema), path)
    return path
