"""Publishing a scored Parquet file, with a stub in the model's place (a part of `make bench`).

    python benchmarks/publishing.py --gigabytes 2

The rows take a kilobyte each in the file, most of which no run looks at. What is measured is the
stage `publish`: from the stored answers to a complete temporary file and its hash. Any checkout can
be measured: `PYTHONPATH=CHECKOUT python benchmarks/publishing.py`.
"""

import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if __name__ == "__main__":  # beside this file there is a package of the same modules
    sys.path[0] = str(Path(__file__).parents[1])

from benchmarks.flat_memory import MIB, Sampler, StubClassifier, resident, tweets
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of

ROW = 1000  # bytes
GROUP = 100_000  # rows of a row group


def write_input(path: Path, rows: int) -> None:
    """Write tweets, and words that a codec makes half as large, as it does with JSON."""
    draw = np.random.default_rng(0)
    writer = None
    for start in range(0, rows, GROUP):
        count = min(GROUP, rows - start)
        size = 2 * (ROW - 40)
        offsets = np.arange(count + 1, dtype=np.int32) * size
        words = draw.bytes(size // 2 * count).hex().encode()
        payload = pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(words))
        table = tweets(start, count).to_arrow().append_column("payload", payload)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=GROUP)
    if writer:
        writer.close()


@dataclass(frozen=True, slots=True)
class Published:
    """What the stage took."""

    seconds: float
    peak_bytes: int  # of memory, above what was in use before the run
    written_bytes: int  # handed to the kernel by write calls, or copied within it
    size: int  # of the output

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s, {self.peak_bytes / MIB:,.0f} MiB of memory, "
            f"{self.written_bytes / MIB:,.0f} MiB written for a file of {self.size / MIB:,.0f} MiB"
        )


def measure(path: Path) -> Published:
    """Run the pipeline over a file and return what publishing its output took."""
    sampler, before, written = Sampler(), resident(), _written()
    sampler.start()
    options = RunOptions.of((path,), output=path.with_name(f"scored-{path.name}"))
    (outcome,) = pipeline.run(options, model=handle_of(StubClassifier()))
    sampler.stop()
    report = outcome.complete
    peak = max(memory for _, memory in sampler.samples) - before
    return Published(
        report.seconds["publish"], peak, _written() - written, outcome.output.stat().st_size
    )


def _written() -> int:
    """Return the bytes that this process has written to files."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


@click.command()
@click.option("--gigabytes", default=2.0, show_default=True, help="Size of the input.")
@click.option("--rounds", default=3, show_default=True, help="The quickest one counts.")
@click.option("--input", "kept", type=click.Path(path_type=Path), help="An input to make or reuse.")
def main(gigabytes: float, rounds: int, kept: Path | None) -> None:
    """Print seconds, memory and bytes written."""
    fresh = ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with tempfile.TemporaryDirectory() as folder, fresh as processes:
        path = kept or Path(folder, "tweets.parquet")
        if not path.exists():
            processes.submit(write_input, path, int(gigabytes * 1e9 / ROW)).result()
        found = []
        for number in range(rounds):
            place = Path(folder, str(number))
            place.mkdir()
            (place / path.name).symlink_to(path.absolute())
            found.append(processes.submit(measure, place / path.name).result())
            shutil.rmtree(place)
        click.echo(f"publishing: {min(found, key=lambda each: each.seconds)}")


if __name__ == "__main__":
    main()
