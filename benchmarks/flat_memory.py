"""Memory of a run over a long input, with a stub in the model's place (`make bench-memory`).

    python benchmarks/flat_memory.py --rows 10000000 --format both
    python benchmarks/flat_memory.py --rows 10000000 --format both --growing

The stub answers from the lengths of the texts, so what is measured is ours: reading, windows,
parts, publishing. Resident memory is sampled by a thread; after the warm-up a line is fitted
through the samples against the rows done. Flat memory is a slope close to zero. With --growing the
file grows by a hundredth and is scored a second time, with --id-column.
"""

import os
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import numpy as np
import polars as pl

from scorer.inference.gate import Figures
from scorer.inference.session import RuntimeInfo
from scorer.options import RunOptions
from scorer.records import Answers, Counters, OnShare, Progress, Scores
from scorer.run import pipeline
from tests.handles import handle_of
from tests.reports import report_json
from tests.stub_metadata import stub_metadata

PIECE = 500_000  # rows generated at once
WARM_UP = 0.1  # share of the rows after which samples count
SECONDS_PER_SAMPLE = 0.02
PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1 << 20


class StubClassifier:
    """Labels a text by its length; costs next to nothing."""

    labels: tuple[str, ...] = ("negative", "neutral", "positive")
    bundle: Any = SimpleNamespace(
        name="stub",
        version="1",
        digest="0" * 64,
        labels=labels,
        task="single_label",
        metadata=stub_metadata(),
    )
    runtime = RuntimeInfo("Stub", "builtin", "fp32", "none", 1, "a stub")
    canary = Figures(1, 1.0, 0.0, 0.0)
    warnings: tuple[str, ...] = ()
    device = "builtin"

    def load(self) -> "StubClassifier":
        """Be the model and its classifier at once."""
        return self

    def prove(self, _: Any = None, on_share: OnShare = lambda _: None) -> "StubClassifier":
        """Be it still."""
        return self

    def prepare(self, texts: pl.Series) -> pl.Series:
        """Return the lengths in bytes, 0 where blank."""
        return texts.str.len_bytes().fill_null(0)

    def score(
        self,
        prepared: pl.Series,
        known: Answers | None = None,
        on_share: OnShare = lambda _: None,
    ) -> Scores:
        """Label by length; known answers would be the same."""
        lengths = prepared.to_numpy()
        ids = np.where(lengths == 0, -1, lengths % 3).astype(np.int16)
        probabilities = np.full((len(ids), 3), 0.25, np.float32)
        probabilities[np.arange(len(ids)), ids] = 0.5
        probabilities[ids < 0] = np.nan
        scored = int((ids >= 0).sum())
        counters = Counters(len(ids), scored, len(ids) - scored)
        return Scores(ids, probabilities, counters, np.bincount(lengths[lengths > 0]))


class Sampler(threading.Thread):
    """Notes resident memory against the rows done, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.rows = 0
        self.samples: list[tuple[int, int]] = []
        self._stopped = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        while not self._stopped.wait(SECONDS_PER_SAMPLE):
            self.samples.append((self.rows, resident()))

    def stop(self) -> None:
        """Stop, and wait for the last sample."""
        self._stopped.set()
        self.join()


def resident() -> int:
    """Return this process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def write_input(path: Path, rows: int) -> None:
    """Write tweets of 0 to 140 characters, some null, without holding them all."""
    import pyarrow.parquet as pq

    writer = None
    with path.open("wb") as file:
        for start in range(0, rows, PIECE):
            table = tweets(start, min(PIECE, rows - start))
            if path.suffix == ".csv":
                table.write_csv(file, include_header=start == 0)
                continue
            arrow = table.to_arrow()
            writer = writer or pq.ParquetWriter(file, arrow.schema)
            writer.write_table(arrow, row_group_size=131_072)
        if writer:
            writer.close()


def tweets(start: int, rows: int) -> pl.DataFrame:
    number = pl.int_range(start, start + rows, eager=True)
    return pl.DataFrame({"id": number, "user": number * 7919 % 100_003}).with_columns(
        pl.when(pl.col("id") % 97 > 0)
        .then(
            pl.lit("stuck at the station, again \U0001f612 " * 4).str.slice(
                0, (pl.col("id") * 31 % 120).cast(pl.UInt32)
            )
            + pl.col("id").cast(pl.String)
        )
        .alias("text")
    )


def slope(samples: list[tuple[int, int]], rows: int) -> float:
    """Return the bytes of memory that each row adds, by least squares after the warm-up."""
    late = np.array([s for s in samples if s[0] > rows * WARM_UP], dtype=np.float64)
    return float(np.polyfit(late[:, 0], late[:, 1], 1)[0])


@dataclass(frozen=True, slots=True)
class Measured:
    """Time and memory of a run over a long file."""

    rows: int
    seconds: float
    slope: float  # bytes of memory that each row adds
    before_bytes: int
    peak_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.rows:,} rows in {self.seconds:.1f} s, {self.rows / self.seconds:,.0f} rows/s; "
            f"slope {self.slope:+.2f} bytes/row; memory {self.before_bytes / MIB:,.0f} MiB before, "
            f"{self.peak_bytes / MIB:,.0f} MiB at the peak"
        )


def measure(path: Path, rows: int, id_column: str | None = None) -> Measured:
    """Run the pipeline over a file, and return its time and memory."""
    sampler = Sampler()

    def progress(done: Progress) -> None:
        sampler.rows += done.rows

    started, before = time.monotonic(), resident()
    sampler.start()
    options = RunOptions.of((path,), id_column=id_column)
    (outcome,) = pipeline.run(options, model=handle_of(StubClassifier()), progress=progress)
    sampler.stop()
    seconds = time.monotonic() - started
    if outcome.error:
        raise outcome.error
    if id_column:
        assert report_json(outcome)["taken_over"]["rows"], report_json(outcome)["taken_over"]
    first_pass = [s for s in sampler.samples if s[0] < rows]
    peak = max(memory for _, memory in sampler.samples)
    return Measured(rows, seconds, slope(first_pass, rows), before, peak)


@click.command()
@click.option("--rows", default=10_000_000, show_default=True)
@click.option("--format", "suffix", type=click.Choice(["parquet", "csv", "both"]), default="both")
@click.option("--growing", is_flag=True, help="A second night, with 1 % more rows.")
def main(rows: int, suffix: str, growing: bool) -> None:
    """Print rows per second, the slope and the peak."""
    # Each task in a process of its own: memory that another one freed would hide ours.
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as folder, fresh as processes:
        for each in ("parquet", "csv") if suffix == "both" else (suffix,):
            path = Path(folder, f"tweets.{each}")
            processes.submit(write_input, path, rows).result()
            click.echo(f"{each}: {processes.submit(measure, path, rows).result()}")
            if growing:
                more = rows + rows // 100
                processes.submit(write_input, path, more).result()
                second = processes.submit(measure, path, more, "id").result()
                click.echo(f"{each}, grown: {second}")


if __name__ == "__main__":
    main()
