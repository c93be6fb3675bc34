"""A directory of outputs is a table, which readers open by its name, during a run too."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from scorer.options import RunOptions
from scorer.run import one_file, pipeline
from scorer.store.state import write_commit_record
from tests.handles import handle_of

FILES = ("day=1/a.parquet", "day=1/b.parquet", "day=2/a.parquet")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    (lake := tmp_path / "lake").mkdir()
    write(lake, 3)
    return lake


def write(lake: Path, rows: int) -> None:
    for name in FILES:
        (lake / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"text": ["good+"] * rows}), lake / name)


def counts(folder: Path) -> Iterator[int]:
    """Yield how many rows each reader finds."""
    yield pyarrow.dataset.dataset(folder, partitioning="hive").count_rows()
    pattern = f"{folder}/**/*.parquet"
    if not list(folder.glob("*/*.parquet")):  # the others take no pattern without a match
        return
    yield pl.scan_parquet(pattern, hive_partitioning=True).select(pl.len()).collect().item()
    with duckdb.connect() as connection:
        ((found,),) = connection.read_parquet(pattern).aggregate("count(*)").fetchall()
        yield found


def check(folder: Path, rows: int) -> None:
    assert set(counts(folder)) == {rows}
    for directory, folders, files in os.walk(folder):
        assert all(name.endswith(".parquet") for name in files), directory
        if ".tweetscore" in folders:
            folders.remove(".tweetscore")


def test_all_readers_count_the_rows_after_a_run_and_during_one(
    stub: Any, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a file is scored, and while its output is written: whole files only."""
    options = RunOptions.of((lake,), output=lake.with_name("scored"))
    folder, seen = lake.with_name("scored"), []
    old, new, done = 0, 3, 0

    def look(*arguments: Any) -> None:
        check(folder, new * done + old * (len(FILES) - done))
        seen.append(done)
        if arguments:  # the output is complete under its temporary name
            write_commit_record(*arguments)

    stub.before_scoring = look
    monkeypatch.setattr(one_file, "write_commit_record", look)
    for _ in range(2):
        done = 0
        for done, outcome in enumerate(pipeline.run(options, model=handle_of(stub)), 1):  # noqa: B007 - `look` reads it
            assert outcome.error is None
        check(folder, new * len(FILES))
        old, new = new, new + 1
        write(lake, new)
    assert seen == [0, 0, 1, 1, 2, 2] * 2


@pytest.mark.parametrize("extension", ["csv", "ndjson", "parquet", "arrow"])
def test_nothing_unfinished_has_the_name_of_a_table(
    stub: Any, tmp_path: Path, extension: str
) -> None:
    """A pattern with `**`, which polars and DuckDB follow into hidden directories, means none."""
    path = tmp_path / f"in.{extension}"
    frame = pl.DataFrame({"text": ["good+", "bad-", None, "so", "la"]})
    writes: dict[str, Callable[[Path], object]] = {
        "csv": frame.write_csv,
        "ndjson": frame.write_ndjson,
        "parquet": frame.write_parquet,
        "arrow": frame.write_ipc,
    }
    writes[extension](path)
    seen: set[str] = set()
    stub.before_scoring = lambda: seen.update(
        each.suffix for each in tmp_path.rglob("*") if each.is_file() and each != path
    )
    (outcome,) = pipeline.run(RunOptions.of((path,), chunk_rows=1), model=handle_of(stub))
    assert outcome.error is None
    assert seen == {"", ".lock", ".json"}


def test_an_interrupted_run_leaves_a_table(stub: Any, lake: Path) -> None:
    """What it has scored of a file is no part of it."""
    folder = lake.with_name("scored")
    options = RunOptions.of((lake,), output=folder, chunk_rows=1)

    def stop() -> None:
        if len(stub.windows) == 5:  # in the middle of the second file
            raise KeyboardInterrupt

    stub.before_scoring = stop
    with pytest.raises(KeyboardInterrupt):
        list(pipeline.run(options, model=handle_of(stub)))
    assert list(folder.glob("*/.tweetscore/b.scored.parquet.state/*"))
    check(folder, 3)
