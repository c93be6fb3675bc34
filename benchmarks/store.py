"""Keeps each record, so that an interrupted benchmark goes on where it was.

One file for each key, where the key says what the figures are of: the code, the versions of the
libraries and the machine. Another key, another file; figures of two keys are never mixed.
"""

import hashlib
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: What the figures depend on. How they are shown is not part of it.
MEASURED = ("scorer", "export", "benchmarks", "tests/export/full_size_gpt2.py")
#: What the contenders' inputs depend on.
PREPARED = (
    "export", "scorer/bundled", "scorer/inference", "benchmarks/inputs.py",
    "benchmarks/reference.py", "tests/export/full_size_gpt2.py",
)  # fmt: skip
SHOWN = (
    "__main__.py",
    "bars.py",
    "figures.py",
    "page.py",
    "plot.py",
    "spread_page.py",
    "markdown.py",
)
LIBRARIES = (
    "ctranslate2", "numpy", "onnxruntime", "onnxruntime-ep-openvino", "onnxruntime-gpu", "openvino",
    "optimum", "optimum-onnx", "polars", "pyarrow", "ray", "tokenizers", "torch", "transformers",
)  # fmt: skip
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


class Store:
    """Records by name, on disk after each `put`."""

    def __init__(self, folder: Path, key: Mapping[str, Any]) -> None:
        self.path = folder / f"results-{digest(key)}.json"
        self.records: dict[str, Any] = {}
        self.key = dict(key)
        if self.path.exists():
            self.records = json.loads(self.path.read_text("utf-8"))["records"]

    def once(self, name: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a record, measured now unless it is there; one that failed is tried again."""
        record = self.records.get(name)
        if record is None or "error" in record:
            record = self.records[name] = measure()
            self._save()
        return dict(record)

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(as_text(self.key, self.records), encoding="utf-8")
        unfinished.replace(self.path)


def as_text(key: Mapping[str, Any], records: Mapping[str, Any]) -> str:
    """Return key and records as JSON: a record a line, so that two versions can be compared."""
    lines = [f"{json.dumps(name)}: {json.dumps(records[name])}" for name in sorted(records)]
    joined = ",\n  ".join(lines)
    return f'{{"key": {json.dumps(key, indent=1)},\n"records": {{\n  {joined}\n}}}}\n'


def digest(key: Mapping[str, Any]) -> str:
    """Return a short name for a key."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def describe(code: str, threads: int) -> dict[str, Any]:
    """Return the key of figures that are measured here and now."""
    return {"code": code, "versions": _versions(), "machine": _machine(threads)}


def code_digest(paths: Sequence[str]) -> str:
    """Return a hash over the files under the paths that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *paths]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256()
    for name in sorted(set(listing.splitlines())):
        path = ROOT / name
        if path.exists() and path.name not in SHOWN and not path.name.startswith("test_"):
            digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a box has one of the two ONNX Runtimes, and the plugin only on x86-64
    return versions


def _machine(threads: int) -> dict[str, Any]:
    words = re.findall(
        r"^(model name|flags)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE
    )
    about = dict(words)
    flags = about.get("flags", "").split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": about.get("model name", platform.machine()),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "threads": threads,
        "memory_gib": round(memory / 2**30),
        "kernel": platform.release(),
    }
