"""Runs one process at a time and takes its figures from outside.

Every process gets the same CPUs and the same thread budget, and its clock runs from before it
exists until it is gone. This process must stay small, and so imports no library of weight: at
exec Linux counts the parent's peak memory to its child.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.cells import Cell
from benchmarks.peers import tweetscore
from scorer.store.paths import report_path

ROOT = Path(__file__).parents[1]
LIMIT = 1200.0  # seconds after which a process is taken for dead
_THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
# By default Python writes compiled modules to disk, and buffers its output.
_UNUSUAL = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


class ProcessFailed(Exception):
    """A process ended with another code than 0; the message is its last line."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that ended well."""

    seconds: float  # of the whole process, on the wall
    peak_bytes: int  # of resident memory
    said: str  # on stdout


def run(command: Sequence[str], threads: int) -> Finished:
    """Run a command on the first `threads` CPUs of this process.

    Raises:
        ProcessFailed: It did not end with 0, or not in time.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if name not in _UNUSUAL},
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "true",
    }
    with TemporaryDirectory() as folder, _cpus(threads):
        out, err = Path(folder, "out"), Path(folder, "err")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            start = time.monotonic()
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=stdout, stderr=stderr
            )
            overdue = threading.Timer(LIMIT, os.kill, (process.pid, signal.SIGKILL))
            overdue.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:  # an interrupt: nothing of ours goes on without us
                process.kill()
                process.wait()
                raise
            finally:
                overdue.cancel()
            seconds = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait too
        if process.returncode:
            lines = err.read_text("utf-8", "replace").strip().splitlines() or ["nothing was said"]
            raise ProcessFailed(f"exit code {process.returncode}: {lines[-1][:300]}")
        return Finished(seconds, usage.ru_maxrss * 1024, out.read_text("utf-8"))


@contextmanager
def _cpus(count: int) -> Iterator[None]:
    """Bind this process, and so its children, to some of its CPUs."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def script(module: str, *arguments: object) -> list[str]:
    """Return the command of a script in this folder."""
    return [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]


def answer_of(module: str, *arguments: object, threads: int) -> dict[str, Any]:
    """Run a script and return the JSON of its last line."""
    return last_line(run(script(module, *arguments), threads))


def last_line(finished: Finished) -> dict[str, Any]:
    """Return the JSON of the last line of output."""
    found: dict[str, Any] = json.loads(finished.said.splitlines()[-1])
    return found


def tune(cell: Cell, prepared: Path) -> dict[str, Any]:
    """Return the batch size that suits a contender best, or `error` where it does not run."""
    try:
        job = _job(cell, prepared, Path(os.devnull), {})
        return answer_of("tuning", cell.contender.module, job, threads=cell.threads)
    except ProcessFailed as error:
        return {"error": str(error)}


def measure(cell: Cell, prepared: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Run a cell once, Parquet to Parquet, and compare its answers with the reference.

    Returns:
        Its figures, or only `error` where the contender does not run on this box.
    """
    # On the disk that the inputs are on: /tmp may be memory.
    with TemporaryDirectory(dir=prepared) as folder:
        output = Path(folder) / "scored.parquet"
        try:
            finished = run(_command(cell, prepared, output, settings), cell.threads)
            figures = _figures(cell, finished, output)
            temperature = _facts(prepared)["temperature"] if cell.contender.ours else 1.0
            arguments = (prepared, cell.rows, output, temperature)
            differences = answer_of("reference", *arguments, threads=cell.threads)
        except ProcessFailed as error:
            return {"error": str(error)}
    resources = {"seconds": finished.seconds, "peak_bytes": finished.peak_bytes}
    about = {"rows": cell.rows, "threads": cell.threads, **settings}
    return {**about, **resources, **figures, **differences}


def _command(cell: Cell, prepared: Path, output: Path, settings: Mapping[str, Any]) -> list[str]:
    contender = cell.contender
    if contender.ours:
        texts = prepared / f"tweets-{cell.rows}.parquet"
        bundle = Path(_facts(prepared)["bundle"])
        precision = str(contender.settings["precision"])
        return tweetscore.command(bundle, texts, output, precision, cell.threads)
    return script(contender.module, _job(cell, prepared, output, settings))


def _job(cell: Cell, prepared: Path, output: Path, settings: Mapping[str, Any]) -> str:
    return json.dumps(
        {
            "prepared": str(prepared),
            "texts": str(prepared / f"normalised-{cell.rows}.parquet"),
            "output": str(output),
            "threads": cell.threads,
            "arithmetic": cell.contender.arithmetic,
            "settings": {**cell.contender.settings, **settings},
        }
    )


def _figures(cell: Cell, finished: Finished, output: Path) -> dict[str, Any]:
    if not cell.contender.ours:
        return last_line(finished)
    report = json.loads(report_path(output).read_text("utf-8"))
    return tweetscore.figures(report)


def _facts(prepared: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((prepared / "model.json").read_text("utf-8"))
    return facts
