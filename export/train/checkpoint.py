"""Checkpoint directories: a base to train, or a fine-tuned classifier to export.

A bundle is such a directory too: it can be exported again, with the graphs of a newer release.

Everything here is decided from JSON files, before transformers is imported: its loaders believe
a ``config.json``, and some of what one can ask for is code.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scorer.errors import InputMissing, InvalidBundle, UsageError
from scorer.hints import counted
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.configs import verify_tokenizer
from scorer.inference.bundle.metadata import METADATA_NAME, MODEL_TYPES
from scorer.inference.normalize import Normalizer

# Keys that make transformers fetch or run something that is not in the file.
_FORBIDDEN_KEYS = (
    "_attn_implementation",
    "_attn_implementation_internal",
    "attn_implementation",
    "auto_map",
    "quantization_config",
)
_HUB_FILES = (
    "config.json",
    "merges.txt",
    "model*.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
DEFAULT_MAX_LENGTH = 128
_GENERIC_LABEL = re.compile(r"LABEL_\d+")


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in a directory, judged safe to load."""

    name: str  # as it was asked for; of a directory, its last part
    directory: Path
    model_type: str
    sha256: str  # of its weights
    positions: int  # tokens that it can read at most, special ones included


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A fine-tuned classifier on disk, with the record of its training."""

    base: Base
    config: dict[str, Any] = field(repr=False)
    labels: tuple[str, ...]  # in id order
    pad_token_id: int
    training: dict[str, Any] = field(repr=False)  # training.json; empty if it has none
    evaluation: dict[str, Any] | None = field(repr=False)

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
        return min(int(self.training.get("max_length", DEFAULT_MAX_LENGTH)), self.base.positions)

    @property
    def normalizer(self) -> Normalizer | None:
        """Return the normaliser it was trained with, if that is known."""
        rules = self.training.get("normalizer")
        return Normalizer(emoji=rules["emoji"], version=rules["version"]) if rules else None


def open_base(name: str) -> Base:
    """Find a base by directory or by name on the hub, and check it.

    Raises:
        InputMissing: There is no such directory, or the hub does not give it.
        InvalidBundle: It is of a kind that is not allowed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _check(path, path.absolute().name)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise InputMissing(
            f"there is no base model in {name}",
            "name a directory with config.json and model.safetensors, or OWNER/NAME on the hub",
        )
    return _check(_from_hub(name), name)


def _from_hub(name: str) -> Path:
    """Download a base; its config is judged before the rest is fetched."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        _check_config(Path(hf_hub_download(name, "config.json")))
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError) as error:  # the hub's own errors are children of OSError
        reason = str(error).strip().split("\n")[0]
        raise InputMissing(
            f"base model {name} cannot be fetched from the hub ({type(error).__name__}: {reason})",
            "check the name and the network, or give --base a local directory",
        ) from error


def _check(directory: Path, name: str) -> Base:
    path = directory / "config.json"
    if not path.is_file():
        raise InputMissing(
            f"{directory} holds no config.json, so it is no base model",
            "name the directory that a model was saved in",
        )
    config = _check_config(path)
    tokenizer_path = directory / "tokenizer_config.json"
    if tokenizer_path.is_file():
        _refuse_code(tokenizer_path, _read_json(tokenizer_path))
    tokens_path = (directory / "tokenizer.json").resolve()
    if tokens_path.is_file():
        verify_tokenizer(tokens_path, untrusted.read_bytes(tokens_path))
    weights = sorted(directory.glob("model*.safetensors"))
    if not weights:
        raise InvalidBundle(
            f"{directory} has no weights as safetensors, and pickled ones are not loaded",
            "save the base with safe_serialization=True",
        )
    return Base(
        name, directory, str(config["model_type"]), _digest(weights), _positions(path, config)
    )


def _check_config(path: Path) -> Mapping[str, Any]:
    config = _read_json(path)
    _refuse_code(path, config)
    if config.get("model_type") not in MODEL_TYPES:
        raise InvalidBundle(
            f"{path} has the model type {config.get('model_type')!r}, which is not allowed",
            f"choose a base of the type {', '.join(MODEL_TYPES)}",
        )
    return config


def _positions(path: Path, config: Mapping[str, Any]) -> int:
    # RoBERTa numbers its positions from the pad token's id + 1.
    reserved = config.get("pad_token_id", 1) + 1 if config["model_type"] == "roberta" else 0
    positions = config.get("n_positions") or config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= reserved:
        raise InvalidBundle(f"{path} does not say how many positions there are", "add them to it")
    return positions - reserved


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(
            untrusted.read_bytes(path.resolve())
        )  # of the hub's cache it is a link
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"{path} is not JSON ({error})", "fetch the base again") from error
    if not isinstance(content, dict):
        raise InvalidBundle(f"{path} is not a JSON object", "fetch the base again")
    return content


def _refuse_code(path: Path, config: Mapping[str, Any]) -> None:
    for key in _FORBIDDEN_KEYS:
        if key in config:
            raise InvalidBundle(
                f"{path} has {key}, which can run code that came with the model",
                "choose a base without it",
            )


def _digest(weights: list[Path]) -> str:
    """Return the sha256 of the weights, of several shards end to end."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


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
