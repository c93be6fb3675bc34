"""Measures the steps of a run before its first row, in a fresh process.

    python -m benchmarks.startup BUNDLE DEVICE PRECISION THREADS

Its steps are those of `tweetscore run`, with a clock around each, one after the other. The run has
some beside each other: hashes beside the bundle's other checks, polars and the tokenizer beside the
session. What it does once it has a model is in its own report; the canary is scored there, with the
run's only window.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from scorer.options import Device, Precision

# In this order: each import's time is what it adds to those before it.
IMPORTS = ("click", "numpy", "polars", "pyarrow", "tokenizers", "onnxruntime")


def steps(
    bundle_directory: Path, device: "Device", precision: "Precision", threads: int
) -> dict[str, float]:
    """Return seconds by step, for the device and precision that a run has settled on."""
    seconds: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - start

    for name in IMPORTS:
        with step(f"import {name}"):
            import_module(name)
    with step("import the rest"):
        import_module("scorer.cli.run")
        import_module("scorer.run.pipeline")
        import_module("scorer.inference.classifier")
        prepare = import_module("scorer.inference.preparation")
        runtime = import_module("scorer.inference.runtime")
        import_module("scorer.formats.parquet")
    from scorer.inference.bundle import open_bundle
    from scorer.inference.runtime import choices
    from scorer.inference.runtime.machine import inspect

    with step("verify the bundle"):
        bundle = open_bundle(bundle_directory)
    with step("look at the machine"):
        machine = inspect()
        choice = choices(device, precision, machine)[0]
    with step("load the session"):
        runtime.open_session(bundle, choice, machine, threads)
    with step("load the tokenizer, prepare the canary"):
        prepare.Preparation(bundle)
    return seconds


if __name__ == "__main__":
    _, directory, on, arithmetic, cpus = sys.argv
    found = steps(Path(directory), cast("Device", on), cast("Precision", arithmetic), int(cpus))
    sys.stdout.write(json.dumps(found) + "\n")
