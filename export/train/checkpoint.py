"""Reads a checkpoint directory: one of `model train`, or any classifier in its layout.

A bundle is such a directory too: it can be exported again, with the graphs of a newer release.

Everything here is decided from JSON files, before transformers is imported: its loaders believe
a ``config.json``, and some of what one can ask for is code.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.train.bases import Base, open_base
from scorer.errors import InputMissing, InvalidBundle, UsageError
from scorer.hints import counted
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.metadata import METADATA_NAME
from scorer.inference.normalize import Normalizer

DEFAULT_MAX_LENGTH = 128
_GENERIC_LABEL = re.compile(r"LABEL_\d+")


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A fine-tuned classifier on disk, with the record of its training."""

    base: Base  # as `bases` judged it
    config: dict[str, Any] = field(repr=False)
    labels: tuple[str, ...]  # in id order
    pad_token_id: int
    training: dict[str, Any] = field(repr=False)  # training.json; empty if it has none
    evaluation: dict[str, Any] | None = field(repr=False)

    @property
    def model_type(self) -> str:
        """Return the architecture, one of those that are allowed."""
        return str(self.config["model_type"])

    @property
    def name(self) -> str:
        """Return the name it was trained under, or that of its directory."""
        return str(self.training.get("name") or self.base.name)

    @property
    def temperature(self) -> float:
        """Return the fitted temperature; 1 if none was."""
        return float(self.training.get("temperature", 1.0))

    @property
    def max_length(self) -> int:
        """Return the tokens of a text that the model reads, special ones included."""
        positions = int(self.config.get("n_positions") or self.config["max_position_embeddings"])
        # RoBERTa numbers its positions from pad_token_id + 1.
        reserved = self.pad_token_id + 1 if self.model_type == "roberta" else 0
        asked = int(self.training.get("max_length", DEFAULT_MAX_LENGTH))
        return min(asked, positions - reserved)

    @property
    def normalizer(self) -> Normalizer | None:
        """Return the normaliser it was trained with, if that is known."""
        rules = self.training.get("normalizer")
        return Normalizer(emoji=rules["emoji"], version=rules["version"]) if rules else None


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
    bundle = _optional(directory / METADATA_NAME) or {}
    return Checkpoint(
        base=base,
        config=config,
        labels=_labels(directory, config, label_names),
        pad_token_id=_pad_token_id(directory, config),
        training=_optional(directory / "training.json") or _training_of(bundle),
        evaluation=_optional(directory / "evaluation.json") or bundle.get("metrics"),
    )


def _training_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a bundle's metadata that is also in ``training.json``."""
    kept = ("name", "temperature", "max_length", "normalizer", "base_model", "baseline")
    found = {name: bundle[name] for name in kept if bundle.get(name) is not None}
    return {**bundle.get("training", {}), **found}


def _labels(directory: Path, config: dict[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    if config.get("problem_type") in ("regression", "multi_label_classification"):
        raise InvalidBundle(
            f"the checkpoint {directory} is trained for {config['problem_type']}",
            "train it with one label per text",
        )
    known = config.get("id2label") or {}
    labels = [str(known[key]) for key in sorted(known, key=int)]
    if names:
        if labels and len(names) != len(labels):
            raise UsageError(
                f"{counted(len(names), 'label name')} for {len(labels)} classes",
                "give one name per class, in id order",
            )
        labels = list(names)
    generic = any(_GENERIC_LABEL.fullmatch(label) for label in labels)
    if not names and (generic or not labels):
        raise InvalidBundle(
            f"the classes of the checkpoint {directory} have no names of their own",
            "give them in id order: --label-names NAME,NAME,...",
        )
    if len(labels) < 2 or len(set(labels)) != len(labels) or not all(labels):
        raise InvalidBundle(
            f"the checkpoint {directory} has the labels {', '.join(labels)}",
            "at least two are needed, all different",
        )
    return tuple(labels)


def _pad_token_id(directory: Path, config: dict[str, Any]) -> int:
    # BERT, DistilBERT and RoBERTa have one by definition; a config.json may leave it out.
    defaults = {"bert": 0, "distilbert": 0, "roberta": 1}
    pad = config.get("pad_token_id")
    pad = defaults.get(config["model_type"]) if pad is None else pad
    if not isinstance(pad, int) or not 0 <= pad < config["vocab_size"]:
        raise InvalidBundle(
            f"{directory / 'config.json'} has pad_token_id {pad!r}",
            "set pad_token_id in model and tokenizer and save both: GPT-2 finds a text's last "
            "token by it",
        )
    return pad


def _optional(path: Path) -> dict[str, Any] | None:
    return untrusted.read_json(path) if path.exists() else None
