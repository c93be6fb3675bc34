import os
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.verify.conftest import CSV
from tests.verify.helpers import check, compressed, many, report_path, score

TSV = CSV.replace(",", "\t")
NDJSON = b"""{"id":1,"text":"so good+"}
{"id":2, "text": "bad-" }
{}
{"text":null,"user":{"text":[1]}}
{"text":"\\ud83d\\ude42+","label ":"\\"label\\":null"}
"""
FILES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("a.csv", CSV.encode(), {}),
    ("a.csv", CSV.encode(), {"scores": "all"}),
    ("a.csv", CSV.encode(), {"label_names": ('N "n"', "a,b", "+")}),
    ("a.csv", CSV.encode(), {"label_names": ("no", "no", "yes"), "scores": "all"}),
    ("a.csv", CSV.encode(), {"label_column": "say, what", "score_column": "p"}),
    ("a.csv", CSV.encode(), {"limit": 3}),
    ("a.csv", CSV.encode(), {"chunk_rows": 2}),
    ("a.csv", CSV.rstrip("\n").encode(), {}),
    ("a.csv", CSV.replace("\n", "\r\n").encode(), {}),
    ("a.csv", CSV.replace("\n", "\r").encode(), {}),
    ("a.csv", CSV.encode("utf-8-sig"), {}),
    ("a.csv", CSV.encode("utf-16"), {}),
    ("a.csv", CSV.encode("utf-16-be"), {"encoding": "utf-16-be"}),
    ("a.csv", CSV.encode("latin-1"), {"encoding": "latin-1"}),
    ("a.csv", CSV.replace(",", ";").encode(), {"delimiter": ";"}),
    ("a.csv", b"text\na+\n", {}),
    ("a.csv", b"id,text\n", {}),
    ("a.csv", b"id,text\n1,\n2,\n", {"scores": "all"}),
    ("a.tsv", TSV.encode(), {}),
    ("a.csv.gz", CSV.encode(), {}),
    ("a.tsv.zst", TSV.encode(), {"scores": "all"}),
    ("a.csv", b'id,text\n1,a+\nbroken\n2,b\xff\n3,"open\n4,c-\n', {"max_rejects": 9}),
    ("a.ndjson", NDJSON, {}),
    ("a.ndjson", NDJSON, {"scores": "all"}),
    ("a.jsonl.gz", NDJSON, {"label_names": ('N "n"', "a,b", "+"), "label_column": 'l"'}),
    ("a.jsonl.zst", NDJSON.replace(b"\n", b" \r\n"), {"chunk_rows": 2}),
    ("a.ndjson", b"\xef\xbb\xbf" + NDJSON.rstrip(b"\n"), {"limit": 3}),
    ("a.ndjson", b"", {}),
    ("a.ndjson", NDJSON + b'\nx\n{"text":1}', {"max_rejects": 9}),
    ("a.csv", b"id,text\nbroken\n1,a+\nbroken\n2,b-\nbroken\n", {"max_rejects": 9, "limit": 2}),
]


@pytest.mark.parametrize(("name", "content", "options"), FILES)
def test_what_a_run_wrote_is_right(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any]
) -> None:
    """Whatever the format and the options, a fresh output has nothing wrong with it."""
    output = score(compressed(tmp_path / name, content), **options)
    verdict = check(output, rescore=2)
    assert verdict.findings == ()
    assert verdict.exit_code == 0


@pytest.mark.parametrize("options", [{}, {"scores": "all"}, {"limit": 3}, {"chunk_rows": 2}])
def test_parquet_of_every_kind_is_right(table: Path, options: dict[str, Any]) -> None:
    """Nested columns, NaN and metadata come back equal."""
    verdict = check(score(table, **options), rescore=2)
    assert (verdict.findings, verdict.exit_code) == ((), 0)
    assert verdict.rows == options.get("limit", 5)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("options", [{}, {"scores": "all"}, {"limit": 3}, {"chunk_rows": 2}])
def test_arrow_of_either_kind_is_right(
    table: Path, tmp_path: Path, options: dict[str, Any], stream: bool
) -> None:
    """The same in record batches of two rows."""
    content, path = pq.read_table(table), tmp_path / "in.arrow"
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with path.open("wb") as file, make(file, content.schema) as writer:
        writer.write_table(content, max_chunksize=2)
    verdict = check(score(path, **options), rescore=2)
    assert (verdict.findings, verdict.exit_code) == ((), 0)
    assert verdict.rows == options.get("limit", 5)


@pytest.mark.parametrize("name", ["many.csv", "many.parquet", "many.ndjson", "many.arrow"])
def test_files_of_many_blocks_are_right(tmp_path: Path, name: str) -> None:
    """Blocks of the two files end at different rows; every row is compared once all the same."""
    output = score(many(tmp_path / name, 200_000))
    verdict = check(output, rescore=100)
    assert (verdict.findings, verdict.rows, verdict.rescored) == ((), 200_000, 100)


def test_a_long_record_is_right(tmp_path: Path) -> None:
    """A record as long as records may be is read back, though two cells have made it longer."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"id,text\n1," + b"x" * ((1 << 20) - 3) + b"\n")
    assert check(score(path)).findings == ()
    path = tmp_path / "long.ndjson"
    path.write_bytes(b'{"text":"' + b"x" * ((1 << 20) - 11) + b'"}\n')
    assert check(score(path)).findings == ()


def test_a_touched_input_is_still_the_input(tweets: Path) -> None:
    """A copy of the input has another mtime: that alone is no difference."""
    output = score(tweets)
    os.utime(tweets, (1, 1))
    os.utime(output, (1, 1))
    assert check(output).findings == ()


def test_a_link_leads_to_the_output(tweets: Path, tmp_path: Path) -> None:
    """The report lies beside the file that a link points to."""
    output = score(tweets)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "today.csv").symlink_to(output)
    assert check(other / "today.csv").findings == ()


def test_nothing_is_written(tweets: Path) -> None:
    """Verifying leaves every file of the directory as it was."""
    output = score(tweets)
    before = {path: path.stat().st_mtime_ns for path in tweets.parent.rglob("*")}
    check(output, rescore=3)
    assert {path: path.stat().st_mtime_ns for path in tweets.parent.rglob("*")} == before
    assert report_path(output) in before


def test_a_run_that_changes_labels_is_right_again(tweets: Path) -> None:
    """An output that was replaced by a run with other options is verified by the new report."""
    score(tweets)
    output = score(tweets, label_names=("N", "0", "P"), scores="all")
    assert check(output).findings == ()
    assert pl.read_csv(output, infer_schema=False)["label"][0] == "P"
