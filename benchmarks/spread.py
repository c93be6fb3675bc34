"""The same files through Ray and without it: a folder of parts, and how fast they were scored.

    python -m benchmarks.spread FILE FOLDER PARTS

What this file imports at its top is little: the bench's own process has to stay small.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

FILES = 16


def command(parts: Path, output: Path, layout: str) -> list[str]:
    """Return the command that scores a folder; `layout` is the value of --engine."""
    program = str(Path(sys.executable).with_name("tweetscore"))
    words = [program, "run", str(parts), "-o", str(output), "--device", "cpu", "--quiet"]
    return [*words, "--engine", *layout.split()]


def split(file: Path, folder: Path, parts: int) -> None:
    """Write a file's rows as several files."""
    import polars as pl

    folder.mkdir()
    frame = pl.read_parquet(file)
    for number, part in enumerate(frame.iter_slices(-(-frame.height // parts))):
        part.write_parquet(folder / f"part-{number:03}.parquet")


def read(folder: Path) -> dict[str, Any]:
    """Return rows, files, and the seconds from the first file's start to the last one's end."""
    reports = [
        json.loads(path.read_text("ascii")) for path in folder.glob(".tweetscore/*.run.json")
    ]
    first = min(datetime.fromisoformat(report["started"]) for report in reports)
    last = max(datetime.fromisoformat(report["finished"]) for report in reports)
    return {
        "rows": sum(report["counters"]["rows"] for report in reports),
        "files": len(reports),
        "steady_seconds": (last - first).total_seconds(),
    }


if __name__ == "__main__":
    _, source, target, count = sys.argv
    split(Path(source), Path(target), int(count))
