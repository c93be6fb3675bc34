"""`make bench`: prepare, measure in alternation, keep each figure, write the page.

    python -m benchmarks [--quick] [--only PART]... [--results DIR]

Interrupt it at any time: what is measured stays measured. A page of everything goes to docs/, any
other one to the results' folder.
"""

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from benchmarks import runner, spread, store
from benchmarks.bars import AUTO, LONG_RUNS, long_run
from benchmarks.cells import (
    GPT2,
    MINILM,
    MODELS,
    ROUNDS,
    START_ROWS,
    THREADS,
    Cell,
    Model,
    cold_cells,
    in_alternation,
    main_cells,
)  # fmt: skip
from benchmarks.spread_page import LAYOUTS, record
from benchmarks.store import Store

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
PARTS = ("minilm", "gpt2", "limits", "startup", "scaling", "ray")
QUICK = {"minilm": 500, "gpt2": 50}
QUICK_SAMPLE = 50  # rows for choosing a batch size
MEDIUM = 10_000  # rows: between the start's and the table's


class Bench:
    """The parts of the benchmark."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.threads = min(THREADS, len(os.sched_getaffinity(0)))
        self.rounds = 1 if quick else ROUNDS
        key = store.describe(store.code_digest(store.MEASURED), self.threads)
        self.store = Store(folder, {**key, "quick": quick})
        self._prepared: dict[str, Path] = {}

    def table(self, model: Model) -> None:
        """Measure every contender on a model's input, and its cold start."""
        self._rounds(main_cells(model, self.rows(model), self.threads), self.rounds)
        self._rounds(cold_cells(model, self.threads), 1)

    def limits(self) -> None:
        """Measure the upper bounds of this box."""
        for model in MODELS:
            arguments = (self.prepared(model), self.rows(model), self.threads, model.width)
            self._ask(f"limits/{model.name}", "limits", *arguments)

    def startup(self) -> None:
        """Take the start of a short run apart."""
        cell = Cell(MINILM, AUTO, START_ROWS, self.threads)
        self._rounds([cell], self.rounds)
        runtime = self.store.records[cell.round(1)]["runtime"]
        settled = (runtime["device"], runtime["precision"], self.threads)
        bundle = ROOT / "scorer" / "bundled"
        for number in range(1, self.rounds + 1):
            self._ask(f"startup/steps#{number}", "startup", bundle, *settled)
            self.store.once(f"startup/python#{number}", self._bare_python)

    def scaling(self) -> None:
        """Measure other numbers of threads, and other numbers of rows."""
        one_thread = [Cell(MINILM, AUTO, self.rows(MINILM), 1)]
        more_rows = [Cell(MINILM, AUTO, rows, self.threads) for rows in self._more_sizes(MINILM)]
        self._rounds([*one_thread, *more_rows], 1)
        for rows in LONG_RUNS[: 1 if self.quick else None]:
            self.store.once(long_run(rows), partial(self._long, rows))

    def ray(self) -> None:
        """Measure files that Ray hands to actors, beside the local engine on the same files."""
        for number in range(1, self.rounds + 1):
            for layout in LAYOUTS:
                name = f"{record(layout)}#{number}"
                self._say(name)
                self.store.once(name, partial(self._spread, layout))

    def _spread(self, layout: str) -> dict[str, Any]:
        texts = self.prepared(MINILM) / f"tweets-{self.rows(MINILM)}.parquet"
        with TemporaryDirectory(dir=self.folder) as scratch:
            parts, output = (Path(scratch).absolute() / name for name in ("parts", "scored"))
            runner.run(runner.script("spread", texts, parts, spread.FILES), self.threads)
            command = spread.command(parts, output, layout)
            try:
                finished = runner.run(command, self.threads)
            except runner.ProcessFailed as error:
                return {"error": str(error)}
            return {**spread.read(output), "seconds": finished.seconds}

    def rows(self, model: Model) -> int:
        """Return the tweets of a model's table."""
        return QUICK[model.name] if self.quick else model.tweets

    def _more_sizes(self, model: Model) -> tuple[int, ...]:
        """Return the inputs besides the table's and the single row."""
        if model is not MINILM:
            return ()
        return (START_ROWS,) if self.quick else (START_ROWS, MEDIUM)

    def prepared(self, model: Model) -> Path:
        """Return the folder with a model's inputs, made if need be."""
        if model.name not in self._prepared:
            digest = store.code_digest(store.PREPARED)
            folder = self.folder.absolute() / "models" / f"{model.name}-{digest}"
            sizes = {1, self._sample(model), self.rows(model), *self._more_sizes(model)}
            for old in set(folder.parent.glob(f"{model.name}-*")) - {folder}:
                shutil.rmtree(old)  # GPT-2 in seven forms is three gigabytes
            self._say(f"preparing {model.name}")
            runner.run(
                runner.script("inputs", model.name, folder, DATA, *sorted(sizes)), self.threads
            )
            self.store.once(
                f"inputs/{model.name}",
                lambda: runner.answer_of(
                    "inputs", "describe", folder, self.rows(model), threads=self.threads
                ),
            )
            self._prepared[model.name] = folder
        return self._prepared[model.name]

    def _rounds(self, cells: list[Cell], rounds: int) -> None:
        def first_seconds(cell: Cell) -> float | None:
            seconds: float | None = self.store.records[cell.round(1)].get("seconds")
            return seconds

        for cell, number in in_alternation(cells, first_seconds, rounds):
            name = cell.round(number)
            known = name in self.store.records
            record = self.store.once(name, partial(self._measure, cell))
            self._say(f"{name}: {_gist(record)}{' (known)' if known else ''}")

    def _measure(self, cell: Cell) -> dict[str, Any]:
        prepared, settings = self.prepared(cell.model), {}
        if cell.contender.is_tuned:
            sample = Cell(cell.model, cell.contender, self._sample(cell.model), cell.threads)
            tuned = self.store.once(f"tuning/{sample.name}", partial(runner.tune, sample, prepared))
            if "error" in tuned:
                return tuned
            settings = {"budget": tuned["budget"]}
        return runner.measure(cell, prepared, settings)

    def _sample(self, model: Model) -> int:
        return QUICK_SAMPLE if self.quick else model.sample

    def _ask(self, name: str, module: str, *arguments: object) -> dict[str, Any]:
        self._say(name)
        return self.store.once(
            name, lambda: runner.answer_of(module, *arguments, threads=self.threads)
        )

    def _bare_python(self) -> dict[str, Any]:
        return {"seconds": runner.run([sys.executable, "-c", "pass"], self.threads).seconds}

    def _long(self, rows: int) -> dict[str, Any]:
        self._say(f"a stub on {rows:,} rows")
        with TemporaryDirectory(dir=self.folder) as scratch:
            file = Path(scratch).absolute() / "tweets.parquet"
            runner.run(runner.script("scaling", "write", file, rows), self.threads)
            finished = runner.run(runner.script("scaling", "run", file, rows), self.threads)
        return {**runner.last_line(finished), "peak_bytes": finished.peak_bytes}

    def _say(self, words: str) -> None:
        click.echo(f"bench: {words}", err=True)


def _gist(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"does not run: {record['error']}"
    return (
        f"{record['rows'] / record['seconds']:,.0f} tweets/s, agreement {record['agreement']:.3%}, "
        f"largest difference {record['max_difference']:.1e}"
    )


@click.command()
@click.option("--only", multiple=True, type=click.Choice(PARTS), help="Measure these parts.")
@click.option("--quick", is_flag=True, help="A few rows, one round: does everything work?")
@click.option("--results", "folder", default=".bench", type=click.Path(path_type=Path))
def main(only: tuple[str, ...], quick: bool, folder: Path) -> None:
    """Measure tweetscore and its peers, and write the page."""
    bench = Bench(folder, quick=quick)
    parts = {
        "minilm": lambda: bench.table(MINILM),
        "gpt2": lambda: bench.table(GPT2),
        "limits": bench.limits,
        "startup": bench.startup,
        "scaling": bench.scaling,
        "ray": bench.ray,
    }
    for name in only or PARTS:
        parts[name]()
    # Only now: what the page needs is large, and the processes that are measured are over.
    from benchmarks import page, scaling_page

    target = folder if only or quick else ROOT / "docs"
    page.write(target, bench.store.key, bench.store.records)
    if target == ROOT / "docs":
        scaling_page.write()
    click.echo(f"bench: wrote {target / 'benchmarks.md'}", err=True)


if __name__ == "__main__":
    main()
