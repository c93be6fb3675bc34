"""What DataFusion reads of scored Parquet files."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.formats.parquet_corpus import ADDED, CORPUS, added, scored, write_corpus
from tests.once import made_once

pytestmark = pytest.mark.ci


def query(path: Path, sql: str) -> Any:
    from datafusion import SessionContext

    context = SessionContext()
    context.register_parquet("t", str(path))
    return context.sql(sql)


@pytest.mark.parametrize("name", CORPUS)
def test_datafusion_sees_what_it_saw_and_the_columns(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It refuses a file where only some chunks have a page index, or where one is wrong."""
    corpus = made_once(tmp_path_factory, "corpus", write_corpus)
    before, after = (
        query(corpus / f"{name}{suffix}.parquet", "SELECT * FROM t").to_arrow_table()
        for suffix in ("", ".scored")
    )
    assert after.column_names == [*before.column_names, *ADDED]
    old = after.select(before.column_names)
    assert old.schema.equals(before.schema, check_metadata=True)
    assert old.equals(before)
    for column, values in added(name).items():
        kind = {"label": pa.string(), "labels": pa.list_(pa.string())}.get(column, pa.float32())
        assert after[column].cast(kind).combine_chunks().equals(pa.array(values, kind)), column


def test_datafusion_skips_pages(tmp_path: Path) -> None:
    """By the index of the new column, those whose scores and labels do not fit."""
    rows = 90_000
    texts = np.where(np.arange(rows) // 30_000 == 1, "last", "meh")
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({"text": texts}), path, write_page_index=True)
    out = scored(path, tmp_path / "out.parquet")
    for condition in ("label = 'neutral'", "score < 0.001"):
        found = query(out, f"SELECT count(text) AS n FROM t WHERE {condition}").to_pydict()  # noqa: S608
        assert found == {"n": [30_000]}
        plan = str(query(out, f"EXPLAIN ANALYZE SELECT text FROM t WHERE {condition}").to_pydict())  # noqa: S608
        assert "page_index_pages_pruned=5 total \u2192 2 matched" in plan, plan
