"""tweetscore itself: the command that cron calls, and its run report."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def command(bundle: Path, texts: Path, output: Path, precision: str, threads: int) -> list[str]:
    """Return the command for a fresh output with the probabilities of all classes.

    On the CPU, like its peers, whatever else the box has.
    """
    program = str(Path(sys.executable).with_name("tweetscore"))
    options = {"-o": output, "--model": bundle, "--precision": precision, "--threads": threads}
    said = [str(word) for pair in options.items() for word in pair]
    return [program, "run", str(texts), *said, "--scores", "all", "--device", "cpu", "--quiet"]


def figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a run report as the peers print them; our batches have no padding."""
    tokens = report["counters"]["tokens"]
    return {
        "phases": report["seconds"],
        "tokens": tokens,
        "padded": tokens,
        "equal": report["counters"]["equal"],
        "runtime": report["runtime"],
    }
