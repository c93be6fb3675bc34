"""What a bundle says about itself: ``tweetscore.json``, the hashes and the model card."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime

from export.bundle.card import model_card
from export.parity import ParityReport
from export.train.checkpoint import Checkpoint
from scorer.inference.bundle.metadata import METADATA_NAME, Metadata, Rules, summary_of
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
) -> Metadata:
    """Return ``tweetscore.json`` as far as it is known before anything is measured."""
    training = checkpoint.training
    return Metadata(
        name=name or checkpoint.name,
        version=release,
        model_type=checkpoint.model_type,
        labels=checkpoint.labels,
        normalizer=Rules(normalizer.version, normalizer.emoji),
        max_length=checkpoint.max_length,
        pad_token_id=checkpoint.pad_token_id,
        temperature=checkpoint.temperature,
        **graphs,
        base_model=training.get("base_model", {"name": "unknown", "sha256": ""}),
        training={key: training[key] for key in _TRAINING if key in training},
        metrics=checkpoint.evaluation,
        baseline=_baseline(checkpoint),
        parity=[],
        libraries=_versions(),
        files={},
    )


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


def add_parity(metadata: Metadata, report: ParityReport) -> Metadata:
    """Return the metadata with figures, those of a GPU graph on a CPU set apart."""
    measured = [{**entry.record(), "measured": True} for entry in report.measured]
    checks = [{**entry.record(), "measured": False} for entry in [report.graph_check] if entry]
    return msgspec.structs.replace(
        metadata, parity=measured, graph_checks=checks, outside_gate=[*report.outside]
    )


def write_metadata(stage: Path, metadata: Metadata) -> Metadata:
    """Write ``tweetscore.json`` with the hash of every other file, and return what it says."""
    hashes = {}
    for path in sorted(stage.iterdir()):
        path.chmod(0o644)  # safetensors creates its files for the owner alone
        if path.name != METADATA_NAME:
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = msgspec.structs.replace(metadata, files=hashes)
    write_json(stage / METADATA_NAME, msgspec.to_builtins(metadata))
    return metadata


def write_card(stage: Path, metadata: Metadata, notes: str) -> None:
    """Write ``README.md``."""
    card = model_card(summary_of(stage / METADATA_NAME, metadata), notes)
    (stage / "README.md").write_text(card, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
