"""What is recorded of a training: its settings, and all that decides its weights."""

import dataclasses
import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from export.source.base import Base
from export.train import RECIPES, TrainingConfig
from export.train.dataset import EncodedRows

_LIBRARIES = ("accelerate", "numpy", "polars", "tokenizers", "torch", "transformers", "tweetscore")


def plan_of(
    config: TrainingConfig,
    base: Base,
    labels: tuple[str, ...],
    rows: tuple[EncodedRows, EncodedRows],
) -> dict[str, Any]:
    """Return all that decides the weights, as far as another call can differ in it."""
    from export.train.finetune import device

    digest = hashlib.sha256()
    for part in rows:
        digest.update(json.dumps(part.input_ids).encode() + part.label_ids.tobytes())
    settings = _settings(config)
    facts = {"base": base.sha256, "data": digest.hexdigest(), "labels": [*labels]}
    return settings | facts | versions_of(config) | {"device": device()}


def versions_of(config: TrainingConfig) -> dict[str, str]:
    """Return the versions of the libraries that a training uses."""
    used = (*_LIBRARIES, "peft") if config.lora else _LIBRARIES
    return {library: version(library) for library in used}


def recipe_record(name: str, config: TrainingConfig) -> dict[str, Any]:
    """Return every setting, and which of them differ from the recipe of that name."""
    settings, named = _settings(config), dataclasses.asdict(RECIPES[name])
    changed = sorted(
        key for key, value in dataclasses.asdict(config).items() if value != named[key]
    )
    if "base" not in changed:
        settings["base"] = config.base
    return {"name": name, "changed": changed, **settings}


def _settings(config: TrainingConfig) -> dict[str, Any]:
    """Return every setting as it is used; no path of this machine."""
    from export.train.finetune import uses_bf16

    used = {"precision": "bf16" if uses_bf16(config) else "fp32", "base": Path(config.base).name}
    return dataclasses.asdict(config) | used
