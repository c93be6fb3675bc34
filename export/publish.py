"""Writes a bundle's description: ``tweetscore.json`` with the hashes, and the model card."""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from export.agreement import described
from export.parity import ParityReport
from export.source.checkpoint import Checkpoint
from export.source.files import plain_file
from export.source.hub import LICENCE_FILES
from export.summary import Summary, summary_of
from export.train.text_encoder import TextEncoder
from scorer.inference.bundle.metadata import (
    METADATA_NAME,
    UNKNOWN,
    AsTrained,
    Metadata,
    Metrics,
    Rules,
)

GRAPHS = {"fp32": "model.onnx", "fp16": "model_fp16.onnx", "int8": "model_int8.onnx"}
_TRAINING = ("data", "recipe", "dropped")  # of training.json
_METRICS = (("accuracy", "accuracy"), ("f1", "macro_f1"), ("ece", "ece"))  # Hub's name, ours
_CLEANING = {
    "none": "passes texts on as they are",
    "tweetscore": "normalises the texts",
    "cardiff": "writes user names as @user and links as http",
}
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


def model_card(summary: Summary, notes: str = "") -> str:
    """Return ``README.md`` for a bundle.

    Args:
        summary: The fields of ``tweetscore.json`` that people read.
        notes: Markdown of the user's, put before the figures. A YAML block at its beginning
            (license, language, datasets, ...) goes into the card's own.
    """
    # ModelCard insists on a metadata block.
    own: Any = ModelCard(notes if notes.startswith("---") else f"---\n{{}}\n---\n{notes}")
    own_text = f"{own.text.strip()}\n\n" if own.text.strip() else ""
    sources = "".join(
        f"- Trained on {source.rows:,} rows of {source.name},\n  sha256 {source.sha256}.\n"
        for source in summary.training.data
    )
    parity = "".join(
        f"| {row.provider} | {row.precision} | {row.architecture} | {row.texts} "
        f"| {row.label_agreement:.2%} | {row.largest_difference:.1e} |\n"
        for row in summary.parity
    )
    return f"""\
---
{_hub_metadata(summary, own.data.to_dict())}
---

# {summary.name} {summary.version}

A {summary.model_type} classifier of short texts into
{", ".join(summary.labels)}, exported by tweetscore.
{_origin(summary)}
{sources}
{own_text}## Use

With tweetscore, which {_CLEANING[summary.normalizer.name]}, divides the logits by the
temperature {summary.temperature:.3f}, and holds itself against PyTorch before every run:

```
tweetscore run tweets.parquet --model THIS_DIRECTORY
```

With transformers, on texts as they are and at temperature 1. `model.safetensors` holds
the only copy of the weights; the ONNX graphs point into it.

```python
from transformers import pipeline

classify = pipeline("text-classification", model="THIS_DIRECTORY")
```
{_padding(summary)}
{_quality(summary.metrics) if summary.metrics else ""}## Parity with PyTorch

Measured when the bundle was made; softmax at temperature 1.

| provider | precision | architecture | texts | label agreement | largest difference |
|---|---|---|---|---|---|
{parity}
What is not listed was not measured: `tweetscore model check` measures on your machine.
{_as_trained(summary.as_trained) if summary.as_trained else ""}
## Limitations

- Texts are cut after {summary.max_length} tokens.
- A score is a probability for texts like those of the training data; on other texts,
  other languages, irony or several opinions at once it is too sure of itself.
- Not meant for decisions about single persons.
"""


def _origin(summary: Summary) -> str:
    """Return the lines that say where the checkpoint came from, and under which licence."""
    source = summary.source
    place = f"{source.name} at {source.revision}" if source and source.revision else ""
    below = summary.base_model.name
    lines = f"Fine-tuned from: {below}.\n" if below != UNKNOWN else ""
    lines += f"Exported from: {place}.\n" if place else ""
    if source and source.base:
        lines += f"Merged from the adapter {source.name} and its base {source.base}.\n"
    return f"{lines}Licence: {summary.license or 'not known, as the checkpoint does not say it'}.\n"


def _as_trained(record: AsTrained) -> str:
    return f"\nAs trained: {described(record)}.\n"


def _padding(summary: Summary) -> str:
    if summary.pad_to is None:
        return ""
    return f"""
The model has no pad id and answers at the last pad: its texts are padded to
{summary.pad_to} tokens to predict, as tweetscore does it in effect.

```python
classify("a text", padding="max_length", truncation=True, max_length={summary.pad_to})
```
"""


def _quality(metrics: Metrics) -> str:
    rows = "".join(
        f"| {label} | {row.precision:.4f} | {row.recall:.4f} | {row.f1:.4f} | {row.support} |\n"
        for label, row in metrics.per_class.items()
    )
    return f"""\
## Quality

On {metrics.data.rows:,} rows of {metrics.data.name}:
accuracy {metrics.accuracy:.4f}, macro F1 {metrics.macro_f1:.4f},
expected calibration error {metrics.ece:.4f}.

| label | precision | recall | F1 | rows |
|---|---|---|---|---|
{rows}
"""


def _hub_metadata(summary: Summary, own: Mapping[str, Any]) -> str:
    names = [source.name for source in summary.training.data]
    fields: dict[str, Any] = {
        "pipeline_tag": "text-classification",
        "library_name": "transformers",
        "tags": ["text-classification", "onnx", "tweetscore"],
        "base_model": summary.base_model.name if summary.base_model.sha256 else None,
        # A local file is no data set of the Hub's.
        "datasets": [name for name in names if name.count("/") == 1] or None,
        "metrics": ["accuracy", "f1"],
        **_licence(summary.license),
        **own,
    }
    results = _results(summary.metrics, fields["datasets"]) if summary.metrics else None
    if results:
        fields["model_name"] = summary.name
    data = ModelCardData(eval_results=results, **fields)
    return str(data.to_yaml()).strip()


def _licence(name: str | None) -> dict[str, str]:
    """Return the fields of the card: the Hub knows licences by names in small letters."""
    if name is None:
        return {}
    known = re.fullmatch(r"[a-z0-9.+-]+", name)
    return {"license": name} if known else {"license": "other", "license_name": name}


def _results(metrics: Metrics, datasets: list[str] | None) -> list[EvalResult]:
    measured_on = metrics.data.name
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=datasets[0] if datasets else measured_on,
            dataset_name=measured_on,
            metric_type=kind,
            metric_name=name,
            metric_value=round(getattr(metrics, name), 4),
        )
        for kind, name in _METRICS
    ]
