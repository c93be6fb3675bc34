"""Thousands of damaged Parquet files: each is read right or refused."""

import datetime as dt
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from tests.hostile.mutators import (
    Mutator,
    faults_of,
    flip,
    flip_anywhere,
    move_bytes,
    mutants,
    truncate,
)
from tests.hostile.workers import Worker

MEMORY = 4 << 30  # bytes of address space: what a file of some kilobytes may never need
TEXTS = ["good +", "bad -", None, "", "meh", "so, so +", "🙂 -"]


def _table(rows: int) -> pa.Table:
    numbers = range(rows)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "text": pa.array([TEXTS[i % len(TEXTS)] for i in numbers]),
            "country": pa.array([["de", "us", None][i % 3] for i in numbers]).dictionary_encode(),
            "ratio": pa.array([i / 7 for i in numbers], pa.float32()),
            "seen": pa.array([dt.date(2026, 1, 1 + i % 28) for i in numbers]).cast("timestamp[us]"),
            "tags": pa.array([["a"] * (i % 4) if i % 5 else None for i in numbers]),
            "user": pa.array([{"name": f"u{i}", "flags": [i % 2 == 0]} for i in numbers]),
            "price": pa.array(list(numbers), pa.decimal128(20, 2)),
            "raw": pa.array([bytes([i % 256]) * 3 for i in numbers], pa.binary(3)),
        }
    )


def _seeds(directory: Path) -> list[bytes]:
    """Return valid files of every codec, both page versions, and of the kinds that are rare."""
    kinds: list[dict[str, Any]] = [
        {
            "compression": codec,
            "data_page_version": version,
            "store_schema": version == "1.0",  # or most mutants would end in Arrow's own schema
        }
        for codec in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
        for version in ("1.0", "2.0")
    ]
    kinds += [
        {"row_group_size": 7},
        {"use_dictionary": False},
        {"use_deprecated_int96_timestamps": True},
        {"write_page_checksum": True, "store_schema": False},
        {"data_page_size": 64, "write_batch_size": 4, "write_page_index": True},
        {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}},
        {"use_dictionary": False, "column_encoding": {"id": "DELTA_BINARY_PACKED"}},
    ]
    tables = [_table(25)] * len(kinds) + [_table(0)]
    for number, (table, kind) in enumerate(zip(tables, [*kinds, {}], strict=True)):
        pq.write_table(table, directory / f"{number:02}.parquet", **kind)
    return [path.read_bytes() for path in sorted(directory.iterdir())]


def flip_in_the_footer(chance: random.Random, content: bytes) -> bytes:
    length = int.from_bytes(content[-8:-4], "little")
    return flip(chance, content, len(content) - 8 - length, len(content))


def flip_in_a_page_header(chance: random.Random, content: bytes) -> bytes:
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
    if not metadata.num_row_groups:
        return flip_in_the_footer(chance, content)
    group = metadata.row_group(chance.randrange(metadata.num_row_groups))
    chunk = group.column(chance.randrange(group.num_columns))
    start = chance.choice([chunk.data_page_offset, chunk.dictionary_page_offset or 4])
    return flip(chance, content, start, start + 30)


def put_in_an_extreme_number(chance: random.Random, content: bytes) -> bytes:
    at = chance.randrange(len(content))
    if chance.random() < 0.7:
        at = chance.randrange(len(content) - int.from_bytes(content[-8:-4], "little"), len(content))
    extreme = chance.choice([b"\xff\xff\xff\xff\x0f", b"\xfe\xff\xff\xff\x0f", b"\x80" * 9 + b"\1"])
    return content[:at] + extreme + content[at + chance.choice([0, 1, len(extreme)]) :]


MUTATORS: list[Mutator] = [
    flip_anywhere,
    flip_in_the_footer,
    flip_in_the_footer,
    flip_in_a_page_header,
    flip_in_a_page_header,
    put_in_an_extreme_number,
    truncate,
    move_bytes,
]


@pytest.mark.long
def test_a_mutated_file_is_scored_right_or_refused(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """No crash, traceback, hang or gigabytes; what is scored is what pyarrow reads of it."""
    (corpus := tmp_path / "seeds").mkdir()
    seeds = _seeds(corpus)
    faults: dict[str, str] = {}
    outcomes: Counter[object] = Counter()
    path = tmp_path / "mutant.parquet"
    with Worker(MEMORY) as worker:
        for name, content in mutants(seeds, MUTATORS, count(500, 5_000)):
            path.write_bytes(content)
            answer = worker.score(path)
            shutil.rmtree(tmp_path / "out", ignore_errors=True)
            outcomes[answer["outcome"]] += 1
            if fault := faults_of(answer):
                faults[name] = fault
    assert not faults
    assert set(outcomes) == {"scored", "refused"}


@pytest.mark.long
def test_a_truncated_file_is_refused(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """Wherever it ends: a footer is the last thing that a writer writes."""
    pq.write_table(_table(25), path := tmp_path / "in.parquet")
    content = path.read_bytes()
    step = count(97, 1)
    with Worker(MEMORY) as worker:
        for length in [*range(0, len(content), step), len(content) - 1]:
            path.write_bytes(content[:length])
            answer = worker.score(path)
            assert answer["outcome"] == "refused", (length, answer)
            assert answer["code"] == DataError.exit_code
