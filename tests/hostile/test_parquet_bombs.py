"""Files of a few kilobytes that ask for gigabytes."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import DataError
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.hostile.parquet_factory import (
    DELTA_BYTE_ARRAY,
    DICTIONARY,
    FIXED,
    INT64,
    REPEATED,
    RLE_DICTIONARY,
    Column,
    Forged,
    Long,
    Page,
    deltas,
    levels,
    plain,
    run_of,
)
from tests.hostile.workers import Worker
from tests.stubs import StubClassifier

ROWS = 2_048
KiB, MiB, GiB = 1 << 10, 1 << 20, 1 << 30
SMALL = 256 * MiB  # beside what is loaded already; what an ordinary file takes is 80
LARGE = 900 * MiB  # where values of hundreds of kilobytes are what is to be written
CODECS = ["snappy", "gzip", "brotli", "zstd", "lz4_raw"]


def repeated(value: bytes, rows: int, codec: str | None = None) -> Column:
    """Return a text column whose dictionary has one value."""
    pages = [Page(plain(value), 1, kind=DICTIONARY), Page(run_of(0, rows), rows, RLE_DICTIONARY)]
    return Column("text", pages, codec=codec)


def one_page(page: Page, codec: str | None = None) -> Forged:
    return Forged([Column("text", [page], codec=codec)], page.values)


def beside(column: Column, rows: int) -> Forged:
    """Put a column beside good texts: only a preview reads it."""
    return Forged([repeated(b"good", rows), column], rows)


def lists(values: int) -> Column:
    """Return one row that is a list of so many equal values."""
    content = levels((0, 1), (1, values - 1)) + levels((1, values)) + run_of(0, values)
    pages = [Page(plain(b"x"), 1, kind=DICTIONARY), Page(content, values, RLE_DICTIONARY)]
    return Column("n", pages, repetition=REPEATED)


def huge_dictionary() -> Column:
    value = bytes(300 * MiB)
    pages = [Page(plain(value), 1, kind=DICTIONARY), Page(run_of(0, 1), 1, RLE_DICTIONARY)]
    return Column("other", pages, codec="zstd")


def endless_width() -> Column:
    return Column("other", [Page(bytes(9), 1)], physical=FIXED, length=2**31 - 1)


def endless_dictionary(physical: int) -> Column:
    pages = [
        Page(plain(b"good"), 2**31 - 1, kind=DICTIONARY),
        Page(run_of(0, 9), 9, RLE_DICTIONARY),
    ]
    return Column("text" if physical != INT64 else "other", pages, physical=physical)


REFUSED: dict[str, Callable[[], Forged]] = {
    "a page that claims 2 GiB": lambda: one_page(Page(plain(b"x"), 1, claimed=2**31 - 1), "snappy"),
    "the same uncompressed": lambda: one_page(Page(plain(b"x"), 1, claimed=2**31 - 1)),
    "a page of a negative size": lambda: one_page(Page(plain(b"x"), 1, claimed=-5)),
    "10^9 values without bytes": lambda: one_page(Page(plain(b"x"), 10**9)),
    "a dictionary that claims 2^31 texts": lambda: Forged([endless_dictionary(6)], 9),
    "a footer of 4 GiB": lambda: Forged([repeated(b"x", 1)], 1, footer_length=2**32 - 1),
    "a chunk of 2^62 bytes": lambda: Forged([repeated(b"x", 1)], 1, chunk={7: Long(2**62)}),
    "a chunk of 2^62 values": lambda: Forged([repeated(b"x", 1)], 1, chunk={5: Long(2**62)}),
    "2^62 rows": lambda: Forged([repeated(b"x", 1)], 2**62),
    "-1 rows": lambda: Forged([repeated(b"x", 1)], -1),
    "fewer values than rows": lambda: Forged([repeated(b"x", 10)], 11),
    "an unequal number of rows": lambda: beside(repeated(b"x", 1), 2),
}
PASSED_ON: dict[str, Callable[[], Forged]] = {
    "a dictionary that claims 2^31 numbers": lambda: beside(endless_dictionary(INT64), 9),
    "a dictionary of 300 MiB": lambda: beside(huge_dictionary(), 1),
    "a value 2 GiB wide": lambda: beside(endless_width(), 1),
    "a list of 10^8 values": lambda: beside(lists(10**8), 1),
}
SCORED: dict[str, tuple[Callable[[], Forged], int]] = {
    "one text 10^6 times": (lambda: Forged([repeated(b"good", 10**6)], 10**6), SMALL),
    "a text of 256 KiB 2,048 times": (
        lambda: Forged([repeated(b"x" * 256 * KiB, ROWS, "zstd")], ROWS),
        LARGE,
    ),
    "texts that begin like the last": (
        lambda: one_page(
            Page(
                deltas(0, *[256 * KiB] * (ROWS - 1))
                + deltas(256 * KiB, *[0] * (ROWS - 1))
                + b"x" * 256 * KiB,
                ROWS,
                DELTA_BYTE_ARRAY,
            ),
            "zstd",
        ),
        LARGE,
    ),
    "a list of 10^6 values": (lambda: beside(lists(10**6), 1), SMALL),
}


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker(8 * GiB, fork=True) as worker:
        yield worker


@pytest.mark.parametrize("name", REFUSED)
def test_an_impossible_file_is_refused(worker: Worker, tmp_path: Path, name: str) -> None:
    """The answer is one line about bad data, before the memory is asked for."""
    answer = worker.score(REFUSED[name]().write(tmp_path / "in.parquet"))
    assert answer["outcome"] == "refused", answer
    assert answer["code"] == DataError.exit_code
    assert "in.parquet" in answer["message"]
    assert answer["peak"] < SMALL, answer
    assert not answer["published"]


@pytest.mark.parametrize("name", PASSED_ON)
def test_what_lies_beside_the_texts_is_passed_on(worker: Worker, tmp_path: Path, name: str) -> None:
    """A run reads the texts, and copies all else as it stands, whatever it claims to be."""
    path = PASSED_ON[name]().write(tmp_path / "in.parquet")
    answer = worker.score(path, compare=False)
    assert answer["outcome"] == "scored", answer
    assert answer["peak"] < SMALL, answer
    preview = tmp_path / "preview.parquet"
    options = RunOptions.of((path,), output=preview, limit=1)
    (outcome,) = pipeline.run(options, model=handle_of(StubClassifier()))
    assert isinstance(outcome.error, DataError)


@pytest.mark.ci
@pytest.mark.parametrize("codec", CODECS)
def test_a_page_that_expands_is_refused(worker: Worker, tmp_path: Path, codec: str) -> None:
    """A thousand times and more, by whatever codec."""
    bomb = one_page(Page(plain(b"x" * 300 * MiB), 1), codec)
    answer = worker.score(bomb.write(tmp_path / "in.parquet"))
    assert answer["outcome"] == "refused", answer
    assert "300 MiB of memory; write it again" in answer["message"]
    assert answer["peak"] < SMALL, answer


@pytest.mark.ci
@pytest.mark.parametrize("name", SCORED)
def test_a_file_that_expands_is_read_in_slices(worker: Worker, tmp_path: Path, name: str) -> None:
    """Gigabytes of equal values pass through in little memory."""
    make, most = SCORED[name]
    answer = worker.score(make().write(tmp_path / "in.parquet"), compare=False)
    assert answer["outcome"] == "scored", answer
    assert answer["peak"] < most, answer


@pytest.mark.ci
@pytest.mark.timeout(1200)
def test_a_row_group_of_two_gigabytes_is_streamed(worker: Worker, tmp_path: Path) -> None:
    """However large a row group is, only pages and batches of it are in memory."""
    texts = pa.array([f"{i:07}" * 300 for i in range(10_000)])
    schema = pa.schema({"text": pa.string()})
    table = pa.Table.from_batches([pa.record_batch([texts], schema=schema)] * 100)
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, row_group_size=len(table), use_dictionary=False, compression="zstd")
    answer = worker.score(path, compare=False, patience=900)
    assert answer["outcome"] == "scored", answer
    assert answer["peak"] < LARGE, answer


def test_statistics_that_end_pyarrow_do_not_end_us(worker: Worker, tmp_path: Path) -> None:
    """Where pyarrow ends the process, which this proves first, the answer is bad data."""
    column = repeated(b"x", 1)
    forged = Forged([column], 1, chunk={16: {3: [Long(1), Long(1)]}})  # a histogram too long
    path = forged.write(tmp_path / "in.parquet")
    code = "import sys, pyarrow.parquet as p; p.read_metadata(sys.argv[1]).row_group(0).column(0)"
    ended = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=False)
    assert ended.returncode < 0
    answer = worker.score(path)
    assert answer["outcome"] == "refused", answer
    assert answer["code"] == DataError.exit_code
