"""Records for the tests, with figures written by hand, in the form that the benchmark writes."""

from collections.abc import Sequence
from typing import Any

from benchmarks.bars import AUTO, LONG_RUNS, long_run
from benchmarks.cells import CONTENDERS, MINILM, START_ROWS, Cell, Contender
from benchmarks.figures import Results
from benchmarks.spread_page import record

ROWS = 1000
THREADS = 2
KEY: dict[str, Any] = {
    "code": "0123456789ab",
    "versions": {"python": "3.11.9", "torch": "2.13.0"},
    "machine": {
        "cpu": "a CPU of paper",
        "instructions": ["avx2"],
        "threads": THREADS,
        "memory_gib": 8,
        "kernel": "6.1",
    },
    "quick": False,
}
#: tweets/s of each round.
RATES: dict[str, Sequence[float]] = {
    "tweetscore-auto": (1000, 1100, 1050),
    "tweetscore-fp32": (500, 520, 510),
    "pipeline": (100,),
    "openvino-fp32": (480, 500, 500),
    "openvino-bf16": (900, 880, 890),
}


def run(contender: Contender, rows: int, seconds: float) -> dict[str, Any]:
    """Return the record of one process."""
    figures: dict[str, Any] = {
        "rows": rows,
        "threads": THREADS,
        "seconds": seconds,
        "peak_bytes": 400 << 20,
        "phases": {"infer": 0.9 * seconds},
        "tokens": 20 * rows,
        "padded": 20 * rows if contender.ours else 25 * rows,
        "agreement": 1.0 if contender.arithmetic == "fp32" else 0.999,
        "max_difference": 1e-6 if contender.arithmetic == "fp32" else 0.02,
    }
    if contender.is_tuned:
        figures["budget"] = 1024
    if contender.ours:
        figures["runtime"] = {"provider": "APaperProvider", "precision": "fp32"}
        figures["phases"] = {"load": 0.2, "score": 0.97 * seconds, "total": seconds}
    return figures


def records() -> dict[str, Any]:
    """Return the records of the small model, its limits, its start and its scaling."""
    kept: dict[str, Any] = {
        "inputs/minilm": {"rows": ROWS, "tokens": 20 * ROWS, "distinct": ROWS - 3},
        "limits/minilm": {
            "gemm": {"fp32": 1e11, "bf16": 4e11},
            "tokenizer": 50_000.0,
            "parquet_read": 1e7,
            "parquet_write": 1e6,
        },
        Cell(MINILM, CONTENDERS["torch-bf16"], ROWS, THREADS).round(1): {
            "error": "exit code 1: no"
        },
    }
    for name, rates in RATES.items():
        contender = CONTENDERS[name]
        for number, rate in enumerate(rates, start=1):
            cell = Cell(MINILM, contender, ROWS, THREADS)
            kept[cell.round(number)] = run(contender, ROWS, ROWS / rate)
        kept[Cell(MINILM, contender, 1, THREADS).round(1)] = run(contender, 1, 1.5)
    kept[Cell(MINILM, AUTO, ROWS, 1).round(1)] = run(AUTO, ROWS, 1.9)
    steps = {"import onnxruntime": 0.03, "load the session": 0.2}
    for number in (1, 2, 3):
        kept[f"startup/steps#{number}"] = steps
        kept[f"startup/python#{number}"] = {"seconds": 0.01}
    for layout, seconds in (("local", 1.0), ("ray", 1.1), ("ray --threads 2", 1.25)):
        for number in (1, 2, 3):
            kept[f"{record(layout)}#{number}"] = {
                "rows": ROWS, "files": 16, "steady_seconds": seconds, "seconds": seconds + 2,
            }  # fmt: skip
    for rows in LONG_RUNS:
        kept[long_run(rows)] = {
            "rows": rows, "seconds": 1e-6 * rows, "slope": 0.01, "before_bytes": 1 << 20,
            "peak_bytes": 300 << 20,
        }  # fmt: skip
    assert START_ROWS == ROWS  # so that the table's runs are the start's, too
    return kept


def results(**changed: dict[str, Any]) -> Results:
    """Return the whole, with records replaced by name."""
    return Results(KEY, records() | changed)
