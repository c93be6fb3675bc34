"""Parquet files as other programs write them, with columns of their types beside a text."""

import datetime as dt
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from scorer.formats.output_columns import OutputColumns
from tests.formats.files_helpers import label_of, write_scored

CLASSES = ("neg", "neutral", "po,s")
OUTPUT = OutputColumns("label", "score", CLASSES, ("p_neg", "p_neutral", "p_pos"), "labels", 0.45)
ADDED = list(OUTPUT.names)
ROWS = 4_600
GROUP = 2_048  # rows of a row group: DuckDB has none that are smaller
_TEXTS = ["meh", "last", None, "two\r\nlines", ""]


def texts() -> list[str | None]:
    """Return texts of which a row group's may all get one label, so that readers can skip it."""
    return [
        "meh" if row < GROUP else "last" if row < 2 * GROUP else _TEXTS[row % 5]
        for row in range(ROWS)
    ]


def added(name: str) -> dict[str, list[Any]]:
    """Return what the stub answers for each row of a file."""
    ids = [label_of(text) for text in texts()] if name != "no rows" else []
    scores = {0: (0.5, 0.3, 0.2), 1: (0.9, 1.2e-7, 0.1), 2: (0.4, 0.35, 0.25)}
    lists = {i: [n for n, p in zip(CLASSES, scores[i], strict=True) if p >= 0.45] for i in scores}
    rows: list[tuple[Any, ...]] = [
        (None,) * 6 if i < 0 else (CLASSES[i], scores[i][i], *scores[i], lists[i]) for i in ids
    ]
    return {column: [row[i] for row in rows] for i, column in enumerate(ADDED)}


def write_corpus(directory: Path) -> None:
    """Write each file and, beside it, what scoring makes of it."""
    for name, (write, _) in CORPUS.items():
        path = directory / f"{name}.parquet"
        write(path)
        scored(path, path.with_suffix(".scored.parquet"))


def scored(path: Path, out: Path) -> Path:
    """Score a file with the stub, in windows that no row group ends with."""
    return write_scored(path, out, rows=1_000, schema=OUTPUT)


def _arrow_table() -> pa.Table:
    rows = range(ROWS)
    moment = dt.datetime(2026, 11, 30, 20, 15, 3, 141592)  # noqa: DTZ001 - columns say the zone
    moments = [moment + dt.timedelta(minutes=row) if row % 7 else None for row in rows]
    return pa.table(
        {
            "id": pa.array(rows, pa.int64()),
            "text": pa.array(texts()),
            "u8": pa.array([row % 256 for row in rows], pa.uint8()),
            "u64": pa.array([2**63 + row for row in rows], pa.uint64()),
            "half": pa.array([row / 8 for row in rows], pa.float16()),
            "double": pa.array([None if row % 3 else row / 7 for row in rows], pa.float64()),
            "yes": pa.array([row % 2 == 0 for row in rows]),
            "price": pa.array([Decimal(row) / 100 for row in rows], pa.decimal128(12, 2)),
            "precise": pa.array([Decimal(row) for row in rows], pa.decimal128(38, 4)),
            "day": pa.array([dt.date(2026, 1, 1 + row % 28) for row in rows]),
            "clock": pa.array([dt.time(row % 24, 5) for row in rows], pa.time64("us")),
            "seen": pa.array(moments, pa.timestamp("us", "Europe/Berlin")),
            "local": pa.array(moments, pa.timestamp("ms")),
            "exact": pa.array(moments, pa.timestamp("ns")),
            "took": pa.array([dt.timedelta(seconds=row) for row in rows], pa.duration("us")),
            "raw": pa.array([bytes([row % 256]) * (row % 5) for row in rows]),
            "hash": pa.array([row.to_bytes(16, "big") for row in rows], pa.binary(16)),
            "place": pa.array([["de", "us", None][row % 3] for row in rows]).dictionary_encode(),
            "tags": pa.array([["a", None] * (row % 3) if row % 4 else None for row in rows]),
            "user": pa.array([{"name": f"u{row}", "ids": [row]} for row in rows]),
            "counts": pa.array([[("k", row)] for row in rows], pa.map_(pa.string(), pa.int32())),
            "nothing": pa.nulls(ROWS),
        }
    )


def _write(path: Path, table: pa.Table, **how: Any) -> None:
    pq.write_table(table, path, row_group_size=GROUP, **how)


def _arrow(path: Path) -> None:
    _write(path, _arrow_table())


def _plain_pages(path: Path) -> None:
    """Write without Arrow's own key, in the older version of pages and types."""
    names = [name for name in _arrow_table().column_names if name not in {"half", "took"}]
    _write(
        path,
        _arrow_table().select(names),
        version="1.0",
        compression="gzip",
        store_schema=False,
        use_dictionary=False,
        coerce_timestamps="ms",
        allow_truncated_timestamps=True,
    )


def _indexed_pages(path: Path) -> None:
    table = _arrow_table().replace_schema_metadata({"owner": "me"})
    how = {"compression": "zstd", "data_page_size": 1 << 10, "data_page_version": "2.0"}
    _write(path, table, write_page_index=True, **how)


def _columns_of_bytes(path: Path) -> None:
    """Write types that are bytes to whoever does not know them."""
    ids = pa.array([uuid.UUID(int=row).bytes for row in range(ROWS)], pa.uuid())
    json = pa.ExtensionArray.from_storage(
        pa.json_(), pa.array([f'{{"a":{i}}}' for i in range(ROWS)])
    )
    _write(path, pa.table({"text": texts(), "uuid": ids, "json": json}))


def _no_rows(path: Path) -> None:
    _write(path, _arrow_table().slice(0, 0))


def _pandas(path: Path) -> None:
    import pandas as pd

    index = pd.Index([row * 10 for row in range(ROWS)], name="key")
    frame = pd.DataFrame({"text": texts(), "kind": pd.Categorical(["a", "b"] * (ROWS // 2))}, index)
    frame.to_parquet(path, row_group_size=GROUP)


def _hugging_face(path: Path) -> None:
    import datasets

    kinds = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "kind": kinds})
    table = pa.table({"text": texts(), "kind": [row % 2 for row in range(ROWS)]})
    _write(path, table.cast(features.arrow_schema))


def _duckdb(path: Path, columns: str) -> None:
    with duckdb.connect() as database:
        database.register("texts", pa.table({"i": range(ROWS), "text": texts()}))
        database.execute(
            f"COPY (SELECT text, {columns} FROM texts ORDER BY i) TO '{path}' "  # noqa: S608
            f"(FORMAT parquet, ROW_GROUP_SIZE {GROUP}, COMPRESSION zstd)"
        )


def _duckdb_types(path: Path) -> None:
    _duckdb(
        path,
        "i, (i % 9)::UTINYINT AS small, i::DECIMAL(18, 3) AS price, 'a'::ENUM('a', 'b') AS kind, "
        "'2026-11-30'::DATE + i::INT AS day, '12:30:00'::TIME AS clock, "
        "'2026-11-30 20:00:00+01'::TIMESTAMPTZ AS seen, '2026-11-30'::TIMESTAMP_NS AS exact, "
        "[i, NULL] AS list, {'a': i, 'b': [i]} AS pair, MAP {'k': i} AS counts, "
        "'\\x00a'::BLOB AS raw, CASE WHEN i % 2 = 0 THEN i END::HUGEINT AS huge",
    )


def _duckdb_own(path: Path) -> None:
    """Write what pyarrow's schema has no name for."""
    _duckdb(
        path,
        "INTERVAL (i) DAY AS iv, '12:00:00+02'::TIMETZ AS clock, i::VARIANT AS any, "
        "'POINT (1 2)'::GEOMETRY AS place, uuid() AS id, '{\"a\": 1}'::JSON AS json",
    )


def _polars(path: Path) -> None:
    rows = pl.int_range(ROWS, eager=True)
    frame = pl.DataFrame(
        {
            "text": texts(),
            "kind": pl.Series(["a", "b"] * (ROWS // 2), dtype=pl.Enum(["a", "b"])),
            "place": pl.Series(["de", None] * (ROWS // 2), dtype=pl.Categorical),
            "took": rows.cast(pl.Duration("ms")),
            "seen": rows.cast(pl.Datetime("us", "Europe/Berlin")),
            "price": rows.cast(pl.Decimal(12, 2)),
            "list": rows.reshape((ROWS // 2, 2)).to_list() * 2,
            "pair": [{"a": row, "b": [row]} for row in range(ROWS)],
        }
    )
    frame.write_parquet(path, row_group_size=GROUP, metadata={"owner": "me"})


#: What writes a file, and which of the readers below know all of its types.
CORPUS: dict[str, tuple[Callable[[Path], None], str]] = {
    "arrow": (_arrow, "pyarrow duckdb polars pandas"),
    "plain pages": (_plain_pages, "pyarrow duckdb polars pandas"),
    "indexed pages": (_indexed_pages, "pyarrow duckdb polars pandas"),
    "columns of bytes": (_columns_of_bytes, "pyarrow duckdb polars pandas"),
    "no rows": (_no_rows, "pyarrow duckdb polars pandas"),
    "pandas": (_pandas, "pyarrow duckdb polars datasets pandas"),
    "hugging face": (_hugging_face, "pyarrow duckdb polars datasets pandas"),
    "duckdb": (_duckdb_types, "pyarrow duckdb polars pandas"),
    "duckdb intervals": (_duckdb_own, "duckdb"),
    "polars": (_polars, "pyarrow duckdb polars datasets pandas"),
}
