"""Arrow files of a few kilobytes that ask for gigabytes."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from scorer.errors import DataError
from tests.hostile.workers import Worker

KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
SMALL = 400 * MiB  # beside what is loaded already, for a million rows in one record batch
LARGE = 900 * MiB  # where texts of hundreds of kilobytes are what is to be scored


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(8 * GiB, fork=True) as worker:
        yield worker


def repeated(path: Path, text: str, rows: int) -> Path:
    """Write one text so many times, by its number in a dictionary, in one record batch."""
    numbers = pa.array(np.zeros(rows, np.int8))
    column = pa.DictionaryArray.from_arrays(numbers, pa.array([text]))
    batch = pa.record_batch({"text": column})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with path.open("wb") as file, pa.ipc.new_stream(file, batch.schema, options=options) as writer:
        writer.write_batch(batch)
    assert path.stat().st_size < MiB
    return path


@pytest.mark.ci
@pytest.mark.parametrize(
    ("size", "rows", "most"), [(4, 10**6, SMALL), (256 * KiB, 4_096, LARGE)], ids=str
)
def test_a_file_that_expands_is_read_in_slices(
    worker: Worker, tmp_path: Path, size: int, rows: int, most: int
) -> None:
    """A gigabyte of equal texts passes through in little memory."""
    answer = worker.score(repeated(tmp_path / "in.arrow", "x" * size, rows), compare=False)
    assert answer["outcome"] == "scored", answer
    assert answer["peak"] < most, answer


def test_a_batch_of_too_many_rows_is_refused(worker: Worker, tmp_path: Path) -> None:
    """Their scores would have to be held until it is complete."""
    answer = worker.score(repeated(tmp_path / "in.arrow", "x", (1 << 25) + 1))
    assert answer["outcome"] == "refused", answer
    assert answer["code"] == DataError.exit_code
    assert "has 33,554,433 rows; write it again in smaller ones" in answer["message"]
    assert answer["peak"] < SMALL, answer


def test_a_text_that_is_no_tweet_is_refused(worker: Worker, tmp_path: Path) -> None:
    """A dictionary of hundreds of megabytes unpacks, but is not normalised."""
    answer = worker.score(repeated(tmp_path / "in.arrow", "x" * (257 * MiB), 9))
    assert answer["outcome"] == "refused", answer
    assert "a text of" in answer["message"]
    assert answer["peak"] < LARGE, answer
    assert not answer["published"]
