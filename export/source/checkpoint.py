"""A fine-tuned classifier to export: a checkpoint of the Trainer, or a bundle.

A bundle can be exported again, with the graphs of a newer release.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.source.base import Base, open_base
from export.source.classes import labels_of
from export.source.files import optional
from export.source.sizes import pad_token_id_of
from scorer.errors import InputMissing, InvalidBundle
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.metadata import METADATA_NAME


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A fine-tuned classifier on disk, with the record of its training."""

    base: Base
    config: dict[str, Any] = field(repr=False)
    labels: tuple[str, ...]  # in id order
    pad_token_id: int
    training: dict[str, Any] = field(repr=False)  # training.json; empty if it has none
    evaluation: dict[str, Any] | None = field(repr=False)
    foreign: bool  # neither `tweetscore model train` nor an export wrote it

    @property
    def name(self) -> str:
        """Return the name it was trained under, or that of its directory."""
        return str(self.training.get("name") or self.base.name)

    @property
    def temperature(self) -> float:
        """Return the fitted temperature; 1 if none was."""
        return float(self.training.get("temperature", 1.0))


def read_checkpoint(directory: Path, label_names: Sequence[str] = ()) -> Checkpoint:
    """Check a checkpoint and return it.

    Args:
        directory: With config.json, model.safetensors and the tokenizer's files.
        label_names: Replaces the names of the classes, in id order.

    Raises:
        InvalidBundle: It cannot be exported, and why.
        InputMissing: There is no such directory.
        UsageError: The names do not fit the classes.
    """
    if not directory.is_dir():
        raise InputMissing(
            f"there is no checkpoint in {directory}",
            "name the directory that `tweetscore model train` wrote",
        )
    base = open_base(str(directory.resolve()))
    config = untrusted.read_json(base.directory / "config.json")
    for name in ("model.safetensors", "tokenizer.json"):
        if not (directory / name).is_file():
            raise InvalidBundle(
                f"the checkpoint {directory} has no {name}",
                "save model and tokenizer (the fast one) with save_pretrained",
            )
    bundle = optional(directory / METADATA_NAME)
    training = optional(directory / "training.json")
    return Checkpoint(
        base=base,
        config=config,
        labels=labels_of(directory, config, label_names),
        pad_token_id=pad_token_id_of(directory, config),
        training=training or _training_of(bundle or {}),
        evaluation=optional(directory / "evaluation.json") or (bundle or {}).get("metrics"),
        foreign=training is None and bundle is None,
    )


def _training_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a bundle's metadata that is also in ``training.json``."""
    kept = (
        *("name", "temperature", "max_length", "normalizer", "split_special_tokens"),
        *("base_model", "baseline"),
    )
    found = {name: bundle[name] for name in kept if bundle.get(name) is not None}
    return {**bundle.get("training", {}), **found}
