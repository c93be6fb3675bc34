"""What a bundle says about itself: ``tweetscore.json``, the hashes and the model card."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import onnxruntime

from export.card import model_card
from export.checkpoint import Checkpoint
from export.parity import ParityReport
from scorer.inference.bundle import METADATA_NAME, SCHEMA_VERSION
from scorer.inference.normalize import Normalizer

GRAPHS = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}
_TRAINING = ("data", "recipe", "dropped")  # of training.json
_LIBRARIES = "onnx onnxruntime optimum optimum-onnx tokenizers torch transformers tweetscore"


def describe(
    checkpoint: Checkpoint,
    normalizer: Normalizer,
    name: str | None,
    release: str,
    graphs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return ``tweetscore.json`` as far as it is known before anything is measured."""
    training = checkpoint.training
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name or checkpoint.name,
        "version": release,
        "model_type": checkpoint.model_type,
        "labels": list(checkpoint.labels),
        "normalizer": {"version": normalizer.version, "emoji": normalizer.emoji},
        "max_length": checkpoint.max_length,
        "pad_token_id": checkpoint.pad_token_id,
        "temperature": checkpoint.temperature,
        **graphs,
        "base_model": training.get("base_model", {"name": "unknown", "sha256": ""}),
        "training": {key: training[key] for key in _TRAINING if key in training},
        "metrics": checkpoint.evaluation,
        "baseline": _baseline(checkpoint),
        "parity": [],
        "libraries": _versions(),
    }


def _baseline(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return what training wrote, its shares under the names that the labels have now."""
    baseline: dict[str, Any] | None = checkpoint.training.get("baseline")
    known = checkpoint.config.get("id2label") or {}
    before = [str(known[key]) for key in sorted(known, key=int)]
    shares = (baseline or {}).get("label_shares")
    if baseline is None or not shares or shares.keys() != set(before):
        return baseline
    renamed = zip(checkpoint.labels, before, strict=True)
    return {**baseline, "label_shares": {name: shares[old] for name, old in renamed}}


def _versions() -> dict[str, str]:
    versions = {name: version(name) for name in _LIBRARIES.split() if name != "onnxruntime"}
    # Two distributions provide it, the one for GPUs and the plain one.
    return {**versions, "onnxruntime": onnxruntime.__version__}


def add_parity(metadata: Mapping[str, Any], report: ParityReport) -> dict[str, Any]:
    """Return the metadata with figures, those of a GPU graph on a CPU set apart."""
    measured = [{**entry.record(), "measured": True} for entry in report.measured]
    checks = [{**entry.record(), "measured": False} for entry in [report.graph_check] if entry]
    outside = [*report.outside]
    return {**metadata, "parity": measured, "graph_checks": checks, "outside_gate": outside}


def write_metadata(stage: Path, metadata: Mapping[str, Any]) -> None:
    """Write ``tweetscore.json`` with the hash of every other file."""
    hashes = {}
    for path in sorted(stage.iterdir()):
        path.chmod(0o644)  # safetensors creates its files for the owner alone
        if path.name != METADATA_NAME:
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    write_json(stage / METADATA_NAME, {**metadata, "files": hashes})


def write_card(stage: Path, metadata: Mapping[str, Any], notes: str) -> None:
    """Write ``README.md``."""
    (stage / "README.md").write_text(model_card(metadata, notes), encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
