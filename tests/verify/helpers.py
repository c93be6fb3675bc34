"""Runs and verifies with a stub of the model, and changes what was written."""

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.verify import Verdict, verify
from tests.handles import handle_of
from tests.stubs import StubClassifier


def score(path: Path, **options: Any) -> Path:
    """Run one input with the stub and return its output."""
    (outcome,) = pipeline.run(RunOptions.of((path,), **options), model=handle_of(StubClassifier()))
    if outcome.error:
        raise outcome.error
    return outcome.output


def check(output: Path, rescore: int = 0, stub: Any = None) -> Verdict:
    return verify(output, rescore=rescore, model_for=lambda _: handle_of(stub or StubClassifier()))


def report_path(output: Path) -> Path:
    return output.parent / f".tweetscore/{output.name}.run.json"


def edit_report(output: Path, change: Callable[[dict[str, Any]], object]) -> None:
    report = json.loads(report_path(output).read_text())
    change(report)
    report_path(output).write_text(json.dumps(report))


def forge(output: Path, content: bytes) -> None:
    """Replace the output, and its size and hash in the report too: only the rows can show it."""
    output.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit_report(output, lambda r: r["output"].update(size=len(content), sha256=digest))


def compressed(path: Path, content: bytes) -> Path:
    """Write content as its name says."""
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = pa.Codec("zstd").compress(content, asbytes=True)
    path.write_bytes(content)
    return path


def many(path: Path, rows: int) -> Path:
    texts = [["so good+", "bad-", "meh", None][i % 4] for i in range(rows)]
    frame = pl.DataFrame({"id": range(rows), "text": texts})
    write: dict[str, Callable[[Path], object]] = {
        ".arrow": frame.write_ipc,
        ".csv": frame.write_csv,
        ".ndjson": frame.write_ndjson,
        ".parquet": frame.write_parquet,
    }
    write[path.suffix](path)
    return path
