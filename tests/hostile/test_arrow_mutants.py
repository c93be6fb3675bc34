"""Thousands of damaged Arrow files: each is read right or refused."""

import datetime as dt
import random
import shutil
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer.errors import DataError
from tests.hostile.mutators import (
    Mutator,
    faults_of,
    flip_anywhere,
    move_bytes,
    mutants,
    truncate,
)
from tests.hostile.workers import Worker

MEMORY = 8 << 30  # bytes of address space: what a file of some kilobytes may never need
TEXTS = ["good +", "bad -", None, "", "meh", "so, so +", "\U0001f642 -", "longer than a view holds"]
NUMBERS = [-1, 0, 1, 7, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63)]


def _table(rows: int, text: pa.DataType) -> pa.Table:
    numbers = range(rows)
    texts = pa.array([TEXTS[i % len(TEXTS)] for i in numbers])
    if pa.types.is_dictionary(text):
        coded = texts.dictionary_encode()
        indices = coded.indices.cast(text.index_type)
        texts = pa.DictionaryArray.from_arrays(indices, coded.dictionary.cast(text.value_type))
    else:
        texts = texts.cast(text)
    union = pa.UnionArray.from_sparse(
        pa.array([i % 2 for i in numbers], pa.int8()),
        [pa.array(list(numbers)), pa.array([str(i) for i in numbers])],
    )
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "text": texts,
            "country": pa.array([["de", "us", None][i % 3] for i in numbers]).dictionary_encode(),
            "seen": pa.array([dt.date(2026, 1, 1 + i % 28) for i in numbers]).cast("timestamp[us]"),
            "tags": pa.array([["a"] * (i % 4) if i % 5 else None for i in numbers]),
            "view": pa.array([[i] * (i % 3) for i in numbers], pa.list_view(pa.int32())),
            "user": pa.array([{"name": f"u{i}", "flags": [i % 2 == 0]} for i in numbers]),
            "map": pa.array([[("k", i)] for i in numbers], pa.map_(pa.string(), pa.int8())),
            "raw": pa.array([bytes([i % 256]) * (i % 30) for i in numbers], pa.binary_view()),
            "runs": pa.array([i // 5 for i in numbers], pa.run_end_encoded(pa.int32(), pa.int64())),
            "either": union,
            "nothing": pa.nulls(rows),
        }
    )


def write(path: Path, table: pa.Table, *, stream: bool, chunk: int = 10, **how: Any) -> bytes:
    """Write a table in small batches and return the file's bytes."""
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with (
        path.open("wb") as file,
        make(file, table.schema, options=pa.ipc.IpcWriteOptions(**how)) as writer,
    ):
        for batch in table.to_batches(max_chunksize=chunk):
            writer.write_batch(batch)
    return path.read_bytes()


def _seeds(directory: Path) -> list[bytes]:
    """Return valid files and streams of every codec and kind of text."""
    coded = pa.dictionary(pa.int8(), pa.string())
    kinds: list[dict[str, Any]] = [{"compression": codec} for codec in (None, "lz4", "zstd")]
    kinds += [{"use_legacy_format": True}, {"metadata_version": pa.ipc.MetadataVersion.V5}]
    texts = [pa.string(), pa.large_string(), pa.string_view(), coded]
    path = directory / "seed"
    found = []
    for stream in (False, True):
        for number, kind in enumerate(kinds):
            text = texts[number % len(texts)]
            found.append(write(path, _table(25, text), stream=stream, **kind))
        found += [write(path, _table(25, text), stream=stream) for text in texts]
        found.append(write(path, _table(0, pa.string()), stream=stream))
    found.append(_with_deltas(path))
    return found


def _with_deltas(path: Path) -> bytes:
    """Return a stream whose dictionary grows."""
    options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    schema = pa.schema([("text", pa.dictionary(pa.int8(), pa.string()))])
    with path.open("wb") as file, pa.ipc.new_stream(file, schema, options=options) as writer:
        for size in (2, 4, 7):
            words = pa.array([f"word {i} +" for i in range(size)])
            indices = pa.array(list(range(size)), pa.int8())
            coded = pa.DictionaryArray.from_arrays(indices, words)
            writer.write_batch(pa.record_batch([coded], schema=schema))
    return path.read_bytes()


def put_in_an_extreme_number(chance: random.Random, content: bytes) -> bytes:
    """Write a number where numbers stand: sizes, offsets and counts are aligned."""
    kind = chance.choice(["<q", "<i", "<i"])
    size = struct.calcsize(kind)
    number = chance.choice(NUMBERS) if kind == "<q" else chance.choice(NUMBERS[:6])
    at = chance.randrange(max(1, len(content) // size)) * size
    return content[:at] + struct.pack(kind, number) + content[at + size :]


def shift_a_number(chance: random.Random, content: bytes) -> bytes:
    """Change a small number a little."""
    places = [
        i
        for i in range(0, len(content) - 4, 4)
        if 0 < content[i] < 128 and content[i + 1 : i + 4] == b"\0\0\0"
    ]
    if not places:
        return content
    at = chance.choice(places)
    mutant = bytearray(content)
    mutant[at] = max(0, min(255, mutant[at] + chance.choice([-8, -4, -1, 1, 4, 8, 64])))
    return bytes(mutant)


MUTATORS: list[Mutator] = [
    flip_anywhere,
    flip_anywhere,
    put_in_an_extreme_number,
    put_in_an_extreme_number,
    shift_a_number,
    shift_a_number,
    truncate,
    move_bytes,
]


@pytest.mark.long
def test_a_mutated_file_is_scored_right_or_refused(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """No crash, traceback, hang or gigabytes; what is scored is what pyarrow reads of it."""
    seeds = _seeds(tmp_path)
    faults: dict[str, str] = {}
    outcomes: Counter[object] = Counter()
    path = tmp_path / "mutant.arrow"
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
@pytest.mark.parametrize("stream", [False, True])
def test_a_truncated_file_is_refused(
    tmp_path: Path, count: Callable[[int, int], int], stream: bool
) -> None:
    """Wherever it ends: a footer, or the mark of a stream's end, is the last that is written."""
    path = tmp_path / "in.arrow"
    content = write(path, _table(25, pa.string()), stream=stream)
    with Worker(MEMORY) as worker:
        for length in [*range(0, len(content), count(97, 1)), len(content) - 1]:
            path.write_bytes(content[:length])
            answer = worker.score(path)
            assert answer["outcome"] == "refused", (length, answer)
            assert answer["code"] == DataError.exit_code
