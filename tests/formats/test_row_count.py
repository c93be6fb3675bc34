"""How many rows an input has, before it is read."""

import gzip
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from scorer.formats import row_count
from scorer.formats.open import open_source
from scorer.formats.row_count import RowCount, count_rows, sum_rows
from scorer.formats.text.compression import read_beginning
from scorer.options import InputSpec

ROWS = 20_000


@pytest.fixture
def table() -> pl.DataFrame:
    return pl.DataFrame({"id": range(ROWS), "text": [f"tweet number {n}" for n in range(ROWS)]})


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of 30 KB be too large to be read to its end."""
    monkeypatch.setattr(row_count, "_WHOLE", 30_000)
    monkeypatch.setattr(row_count, "_PLACE", 2_000)


def count(path: Path, limit: int | None = None) -> RowCount:
    return count_rows(open_source(path, InputSpec(limit=limit)), limit=limit)


def test_parquet_says_how_many_rows_it_has(table: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    table.write_parquet(path, row_group_size=3_000)
    assert count(path) == RowCount(ROWS, exact=True)


@pytest.mark.parametrize("name", ["t.arrow", "t.arrows"])
def test_arrow_says_how_many_rows_it_has(table: pl.DataFrame, tmp_path: Path, name: str) -> None:
    """Files and streams."""
    path = tmp_path / name
    opener = pa.ipc.new_file if name == "t.arrow" else pa.ipc.new_stream
    arrow = table.to_arrow()
    with opener(path, arrow.schema) as writer:
        writer.write_table(arrow, max_chunksize=700)
    assert count(path) == RowCount(ROWS, exact=True)


def test_a_small_text_file_is_read_with_its_rejects(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,text\n1,"two\nlines"\n2,one,too,many\n3,fine\n')
    assert count(path) == RowCount(2, exact=True, rejects=1)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".ndjson", ".ndjson.gz"])
def test_a_large_text_file_is_estimated_within_three_percent(
    table: pl.DataFrame, tmp_path: Path, suffix: str
) -> None:
    """Although its later lines are longer than its first, but for those that are compressed."""
    longer = (
        pl.when(pl.col("id") > ROWS // 2).then(pl.col("text") + pl.col("text")).otherwise("text")
    )
    table = table if suffix.endswith(".gz") else table.with_columns(text=longer)
    path = tmp_path / f"t{suffix}"
    content = table.write_csv() if suffix.startswith(".csv") else table.write_ndjson()
    data = content.encode()
    path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    found = count(path)
    assert not found.exact
    assert found.rows == pytest.approx(ROWS, rel=0.03)


@pytest.mark.usefixtures("large")
def test_line_breaks_inside_of_texts_are_no_rows(table: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    table.with_columns(pl.col("text") + "\nsecond line\nthird").write_csv(path)
    assert count(path).rows == pytest.approx(ROWS, rel=0.03)


@pytest.mark.usefixtures("large")
def test_old_line_ends_count_too(table: pl.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(table.write_csv().replace("\n", "\r"))
    assert count(path).rows == pytest.approx(ROWS, rel=0.03)


@pytest.mark.usefixtures("large")
def test_a_large_file_without_a_row_has_none(tmp_path: Path) -> None:
    """One long header."""
    path = tmp_path / "t.csv"
    path.write_text(f"text,{'x' * 200_000}\n")
    assert count(path) == RowCount(0, exact=False)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_no_more_rows_than_the_limit(table: pl.DataFrame, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    table.write_csv(path) if name == "t.csv" else table.write_parquet(path)
    assert count(path, limit=7) == RowCount(7, exact=True)
    assert count(path, limit=ROWS * 2).rows == pytest.approx(ROWS, rel=0.03)


def test_the_beginning_of_a_compressed_file_is_as_long_as_asked(tmp_path: Path) -> None:
    """Or all of it, where it is shorter; with the bytes that it took in the file."""
    path = tmp_path / "t.csv.gz"
    content = bytes(range(256)) * (3 << 12)  # 3 MiB
    path.write_bytes(gzip.compress(content))
    assert read_beginning(path, "gzip", 8 << 20) == (content, path.stat().st_size)
    beginning, stored = read_beginning(path, "gzip", 2 << 20)
    assert beginning == content[: 2 << 20]
    assert 0 < stored <= path.stat().st_size


def test_an_estimate_shows_two_digits_and_a_count_all() -> None:
    assert str(RowCount(1_234_567, exact=True)) == "1,234,567"
    assert str(RowCount(1_234_567, exact=False)) == "~1,200,000"
    assert str(RowCount(7, exact=False)) == "~7"


def test_a_sum_is_exact_if_all_its_parts_are() -> None:
    two = [RowCount(1, exact=True, rejects=1), RowCount(2, exact=True, rejects=2)]
    assert sum_rows(two) == RowCount(3, exact=True, rejects=3)
    assert sum_rows([*two, RowCount(10, exact=False)]) == RowCount(13, exact=False, rejects=3)
