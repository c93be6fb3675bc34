"""A text in an object inside of a column, through all that reads an output again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.report.helpers import page_of
from tests.verify.helpers import check, forge, score

ROWS: list[dict[str, Any]] = [
    {"data": {"id": "a", "text": "so good+", "day": "2026-11-01"}, "n": 1},
    {"data": {"id": "b", "text": None, "day": "2026-11-02"}, "n": 2},
    {"data": None, "n": 3},
    {"data": {"id": "d", "text": "bad-", "day": "2026-11-02"}, "n": 4},
]
MORE = {"data": {"id": "e", "text": "new+", "day": "2026-11-03"}, "n": 5}
NAMES = {"text_column": "data.text", "id_column": "data.id"}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    table = pa.Table.from_pylist(list(rows))
    if path.suffix == ".parquet":
        pq.write_table(table, path)
    elif path.suffix == ".arrow":
        with pa.ipc.new_stream(path, table.schema) as writer:
            writer.write_table(table)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def labels(output: Path) -> list[str | None]:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".parquet": pl.read_parquet,
        ".arrow": pl.read_ipc_stream,
        ".ndjson": pl.read_ndjson,
    }
    return readers[output.suffix](output)["label"].to_list()


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_all_that_names_a_column_reaches_into_objects(kind: str, tmp_path: Path) -> None:
    """Scored, verified, scored again in samples, reused by id, and shown on a page."""
    path = write(tmp_path / f"in.{kind}", *ROWS)
    output = score(path, **NAMES)
    assert labels(output) == ["positive", None, None, "negative"]
    assert check(output, rescore=4).findings == ()
    page = page_of(output, id_column="data.id", date_column="data.day", show_text=True)
    assert ["0.800", "so good+ data.id a", "1"] in page.rows
    write(path, *ROWS, MORE)
    assert score(path, **NAMES) == output
    report = json.loads((output.parent / f".tweetscore/{output.name}.run.json").read_text())
    assert report["taken_over"] == {"rows": 2, "why_none": None}
    assert labels(output) == ["positive", None, None, "negative", "positive"]
    assert check(output, rescore=5).findings == ()


def test_a_changed_member_is_found(tmp_path: Path) -> None:
    """Whatever lies beside the text in its object must be the input's too."""
    output = score(write(tmp_path / "in.ndjson", *ROWS), text_column="data.text")
    forge(output, output.read_bytes().replace(b'"id": "d"', b'"id": "x"'))
    assert check(output).findings == ("row 4: key 'data' is not what the input holds",)
