"""What others read of a scored Parquet file: all that they read of the input, and the columns."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.formats.guards.parquet_pages import pages_of
from scorer.formats.guards.thrift import Compact
from scorer.formats.parquet.footer import read_footer
from scorer.formats.parquet.schema_keys import holds_schema
from tests.formats.parquet_corpus import ADDED, CORPUS, GROUP, added, write_corpus
from tests.once import made_once

# Types by the names of columns, and the values of each. With a label, of the column `text` alone.
Reading = tuple[Mapping[str, Any], Mapping[str, list[Any]]]


def _of_table(table: pa.Table) -> Reading:
    types = {each.name: (str(each.type), each.nullable, each.metadata) for each in table.schema}
    return types, dict(zip(table.column_names, map(pa.ChunkedArray.to_pylist, table), strict=True))


def pyarrow(path: Path, *label: str) -> Reading:
    return _of_table(pq.read_table(path, **_arguments(label)))


def datasets(path: Path, *label: str) -> Reading:
    from datasets import Dataset

    cache = str(path.with_suffix(".cache"))
    filters = _arguments(label).get("filters")
    found = Dataset.from_parquet(str(path), cache_dir=cache, filters=filters)
    return dict(found.features), _of_table(found.data.table)[1]


def pandas(path: Path, *label: str) -> Reading:
    import pandas as pd

    frame = pd.read_parquet(path, **_arguments(label))
    columns = {f"index {frame.index.name}": frame.index} | dict(frame.items())
    return {k: v.dtype for k, v in columns.items()}, {k: list(v) for k, v in columns.items()}


def _arguments(label: Sequence[str]) -> dict[str, Any]:
    return {"columns": ["text"], "filters": [("label", "=", *label)]} if label else {}


def polars(path: Path, *label: str) -> Reading:
    frame = pl.scan_parquet(path)
    for each in label:
        frame = frame.filter(pl.col("label") == each).select("text")
    found = frame.collect()
    return found.schema, found.to_dict(as_series=False)


def duck(path: Path, *label: str) -> Reading:
    query = [f"SELECT text FROM '{path}' WHERE label = '{each}'" for each in label]  # noqa: S608
    with duckdb.connect() as database:
        found = database.sql(*(query or [f"FROM '{path}'"]))
        types = dict(zip(found.columns, map(str, found.types), strict=True))
        rows = found.fetchall()
    return types, {name: [row[i] for row in rows] for i, name in enumerate(types)}


READERS: dict[str, Callable[..., Reading]] = {
    "pyarrow": pyarrow,
    "duckdb": duck,
    "polars": polars,
    "datasets": datasets,
    "pandas": pandas,
}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "corpus", write_corpus)


def known_to(reader: str) -> list[str]:
    return [name for name, (_, readers) in CORPUS.items() if reader in readers.split()]


def same(value: Any, expected: str | float | list[str] | None) -> bool:
    """Compare numbers as 32-bit floats; pandas' null is NaN, and its list an array."""
    if expected is None:
        return value is None or math.isnan(value)
    if isinstance(expected, list):
        return value is not None and list(value) == expected
    return bool(value == (expected if isinstance(expected, str) else np.float32(expected)))


@pytest.mark.parametrize(
    ("reader", "name"), [(reader, name) for reader in READERS for name in known_to(reader)]
)
def test_readers_see_what_they_saw_and_the_columns(reader: str, name: str, corpus: Path) -> None:
    """Types, values and the index of a frame; with the reader's own filter, the same rows."""
    read = READERS[reader]
    before, after = (read(corpus / f"{name}{suffix}.parquet") for suffix in ("", ".scored"))
    assert list(after[0]) == [*before[0], *ADDED]
    assert {column: after[0][column] for column in before[0]} == before[0]
    assert {column: repr(after[1][column]) for column in before[1]} == {
        column: repr(values) for column, values in before[1].items()
    }
    expected = added(name)
    for column in ADDED:
        assert all(map(same, after[1][column], expected[column])), column
        assert len(after[1][column]) == len(expected[column])
    label = read(corpus / f"{name}.scored.parquet", "neutral")[1]["text"]
    assert list(label) == [text for text in before[1]["text"] if text == "last"]


@pytest.mark.parametrize("name", CORPUS)
def test_the_new_chunks_are_like_the_old_ones(name: str, corpus: Path) -> None:
    """Row groups, codec, indexes in all chunks or none; statistics, so that groups are skipped."""
    before, after = (pq.read_metadata(corpus / f"{name}{s}.parquet") for s in ("", ".scored"))
    assert after.num_row_groups == before.num_row_groups
    assert after.num_rows == before.num_rows
    expected = added(name)["label"]
    for number in range(after.num_row_groups):
        group, old = after.row_group(number), before.row_group(number)
        chunks = [group.column(i) for i in range(group.num_columns)]
        new = chunks[-len(ADDED) :]
        assert group.num_rows == old.num_rows
        assert {chunk.compression for chunk in new} <= {chunk.compression for chunk in chunks[:1]}
        for index in ("has_offset_index", "has_column_index"):
            assert {getattr(chunk, index) for chunk in new} == {getattr(old.column(0), index)}
        if not group.num_rows:
            continue
        labels = expected[number * GROUP : number * GROUP + group.num_rows]
        known = sorted({label for label in labels if label is not None})
        statistics = new[0].statistics
        assert (statistics.min, statistics.max) == (known[0], known[-1])
        assert statistics.null_count == labels.count(None) == new[1].statistics.null_count


@pytest.mark.parametrize("name", CORPUS)
def test_keys_of_the_footer_stay(name: str, corpus: Path) -> None:
    """Those that hold a schema are extended, and each other one has its value."""
    before, after = (pq.read_metadata(corpus / f"{name}{s}.parquet") for s in ("", ".scored"))
    old, new = before.metadata or {}, after.metadata or {}
    assert list(new) == list(old)
    changed = {key for key in old if new[key] != old[key]}
    assert changed == {key for key in old if holds_schema(key)}
    assert after.created_by == before.created_by


@pytest.mark.parametrize("name", ["indexed pages", "polars"])
def test_the_page_index_leads_to_the_pages(name: str, corpus: Path) -> None:
    """DataFusion and Spark read by it; the readers above do not look at it."""
    path = corpus / f"{name}.scored.parquet"
    footer = read_footer(path)
    with path.open("rb") as file:
        for group in range(len(footer.rows)):
            end = (group + 1) * (footer.leaves + 1) - 1
            for at in footer.chunks[end - len(ADDED) : end]:
                chunk = Compact(footer.data, at).struct()
                pages = list(pages_of(file.fileno(), chunk[3][11], chunk[3][5]))
                places = [chunk[3][11], *(page.at + page.packed for page in pages)]
                file.seek(chunk[4])
                index = Compact(file.read(chunk[5])).struct()[1]
                found = [(place[1], place[1] + place[2]) for place in index]
                assert found == [
                    bounds
                    for page, bounds in zip(pages, pairwise(places), strict=True)
                    if page.data
                ]
