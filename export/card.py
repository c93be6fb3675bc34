"""The model card: what a bundle says of itself on the Hub and to people."""

import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from export.agreement import described
from export.summary import Summary
from scorer.inference.bundle.metadata import UNKNOWN, AsTrained, Metrics
from scorer.records import Activation

_METRICS = (("accuracy", "accuracy"), ("f1", "macro_f1"), ("ece", "ece"))  # Hub's name, ours
_CLEANING = {
    "none": "passes texts on as they are",
    "tweetscore": "normalises the texts",
    "cardiff": "writes user names as @user and links as http",
}
_MEASURED: dict[Activation, str] = {
    "softmax": "softmax at temperature 1",
    "sigmoid": "sigmoid at temperature 1",
    "none": "the logit",
}
_OF_LABELS = """\
- A score is a probability for texts like those of the training data; on other texts,
  other languages, irony or several opinions at once it is too sure of itself."""
_OF_VALUES = """\
- A value means what it meant in the training data; on other texts, other languages or irony
  it may be far off."""


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

A {summary.model_type} {_purpose(summary)}
{", ".join(summary.labels)}, exported by tweetscore.
Task: {summary.answers}.
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

Measured when the bundle was made; {_measured(summary)}.

| provider | precision | architecture | texts | label agreement | largest difference |
|---|---|---|---|---|---|
{parity}
What is not listed was not measured: `tweetscore model check` measures on your machine.
{_as_trained(summary.as_trained) if summary.as_trained else ""}
## Limitations

- Texts are cut after {summary.max_length} tokens.
{_OF_VALUES if summary.task == "regression" else _OF_LABELS}
- Not meant for decisions about single persons.
"""


def _measured(summary: Summary) -> str:
    words = _MEASURED[summary.activation]
    if summary.task == "regression":
        words += "; a difference is a share of the range of values"
    return words


def _purpose(summary: Summary) -> str:
    if summary.task == "regression":
        return "model that gives short texts the value"
    return "classifier of short texts into"


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
