"""Writes a bundle's description: ``tweetscore.json`` with the hashes, and the model card."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime

from export.card import model_card
from export.parity import ParityReport
from export.source.checkpoint import Checkpoint
from export.source.files import plain_file
from export.source.hub import LICENCE_FILES
from export.summary import summary_of
from export.train.text_encoder import TextEncoder
from scorer.inference.bundle.metadata import (
    METADATA_NAME,
    AsTrained,
    Metadata,
    Rules,
)

GRAPHS = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}
_TRAINING = ("data", "recipe", "dropped")  # of training.json
_LIBRARIES = "onnx onnxruntime optimum optimum-onnx tokenizers torch transformers tweetscore"


def describe(
    checkpoint: Checkpoint,
    encoder: TextEncoder,
    name: str | None,
    release: str,
    graphs: Mapping[str, Any],
) -> Metadata:
    """Return the metadata of a bundle, without figures and hashes."""
    training = checkpoint.training
    normalizer = encoder.normalizer
    return Metadata(
        name=name or checkpoint.name,
        version=release,
        model_type=checkpoint.base.model_type,
        labels=checkpoint.labels,
        task=checkpoint.classes.task,
        activation=checkpoint.classes.activation,
        normalizer=Rules(normalizer.version, normalizer.emoji, normalizer.name),
        split_special_tokens=encoder.split_special_tokens,
        truncation_side=encoder.truncation_side,
        max_length=encoder.max_length,
        pad_token_id=encoder.tokenizer.pad_token_id,
        pad_to=checkpoint.pad_to,
        temperature=checkpoint.temperature,
        **graphs,
        base_model=checkpoint.base_model,
        source=checkpoint.base.source,
        license=checkpoint.base.licence,
        training={key: training[key] for key in _TRAINING if key in training},
        metrics=checkpoint.evaluation,
        baseline=_baseline(checkpoint),
        parity=[],
        libraries=_versions(),
        files={},
    )


def _baseline(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """Return the baseline of the training, with the shares under the labels' present names."""
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


def add_parity(
    metadata: Metadata, report: ParityReport, as_trained: AsTrained | None = None
) -> Metadata:
    """Return the metadata with the figures; those of a GPU graph on a CPU are separate."""
    measured = [{**entry.record(), "measured": True} for entry in report.measured]
    checks = [{**entry.record(), "measured": False} for entry in [report.graph_check] if entry]
    return msgspec.structs.replace(
        metadata,
        parity=measured,
        graph_checks=checks,
        outside_gate=[*report.outside],
        as_trained=as_trained,
    )


def write_metadata(stage: Path, metadata: Metadata) -> Metadata:
    """Write ``tweetscore.json`` with the hash of every other file, and return its content."""
    hashes = {}
    for path in sorted(stage.iterdir()):
        if path.name != METADATA_NAME and path.is_file():
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    metadata = msgspec.structs.replace(metadata, files=hashes)
    write_json(stage / METADATA_NAME, msgspec.to_builtins(metadata))
    return metadata


def write_card(stage: Path, metadata: Metadata, notes: str) -> None:
    """Write ``README.md``."""
    card = model_card(summary_of(stage / METADATA_NAME, metadata), notes)
    (stage / "README.md").write_text(card, encoding="utf-8")


def copy_licence(directory: Path, stage: Path) -> None:
    """Copy the files that a model's licence asks to pass on with it."""
    for name in LICENCE_FILES:
        if (directory / name).is_file():
            shutil.copyfile(plain_file(directory / name), stage / name)


def write_json(path: Path, content: Any) -> None:
    """Write JSON that is the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
