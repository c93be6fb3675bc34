"""A fine-tuned classifier to export: a checkpoint of the Trainer, or a bundle.

A bundle can be exported again, with the graphs of a newer release.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.source import fields, hub
from export.source.base import Base, open_base, with_tokenizer
from export.source.classes import Classes, classes_of
from export.source.files import names_in, optional
from export.source.padding import Padding, PadTo, padding_of
from export.source.sizes import pad_token_id_of
from scorer.errors import InputMissing, InvalidBundle
from scorer.hints import path_word, word
from scorer.inference.bundle.metadata import METADATA_NAME, UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A fine-tuned classifier on disk, with the record of its training."""

    base: Base
    directory: Path  # where it was found; what transformers loads of it is laid out elsewhere
    config: dict[str, Any] = field(repr=False)
    classes: Classes
    pad_token_id: int | None
    padding: Padding | None  # of a model without a pad id
    training: dict[str, Any] = field(repr=False)  # training.json; empty if it has none
    evaluation: dict[str, Any] | None = field(repr=False)
    foreign: bool  # neither `tweetscore model train` nor an export wrote it
    trained_here: bool  # `tweetscore model train` wrote it

    @property
    def pad_to(self) -> int | None:
        """Return the tokens that texts are padded to, for a model without a pad id."""
        return self.padding.length if self.padding else None

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes, in id order."""
        return self.classes.names

    @property
    def name(self) -> str:
        """Return the name it was trained under, or that of its directory."""
        return str(self.training.get("name") or self.base.name.rpartition("/")[2])

    @property
    def base_model(self) -> dict[str, Any]:
        """Return what it was fine-tuned from: as recorded, or as an adapter names it."""
        below = self.base.source.base
        named = {"name": below.partition("@")[0] if below else UNKNOWN, "sha256": ""}
        return self.training.get("base_model") or named

    @property
    def temperature(self) -> float:
        """Return the fitted temperature; 1 if none was."""
        return float(self.training.get("temperature", 1.0))


def read_checkpoint(
    checkpoint: str | Path,
    label_names: Sequence[str] = (),
    base: str | None = None,
    pad_to: PadTo | None = None,
    tokenizer: str | None = None,
) -> Checkpoint:
    """Check a checkpoint and return it.

    Args:
        checkpoint: A directory with configuration, weights and tokenizer, or
            `hf:OWNER/NAME[@REVISION]`.
        label_names: Replaces the names of the classes, in id order.
        base: Of an adapter, where it is; by default where the adapter says.
        pad_to: How texts are padded for a model without a pad id.
        tokenizer: Where it is, if not beside the model.

    Raises:
        InvalidBundle: It cannot be exported, and why.
        InputMissing: There is no such directory, or the Hub does not give it.
        UsageError: The names do not fit the classes, or the padding the model.
    """
    place = str(checkpoint)
    if hub.parse(place) is None:
        place = str(_directory(Path(place)))
    found = open_base(place, base)
    if tokenizer is not None:
        found = with_tokenizer(found, tokenizer)
    directory = found.directory
    if not hub.has_tokenizer(names_in(found.tokenizer)):
        raise InvalidBundle(
            f"the checkpoint {directory} has no tokenizer",
            "name the one that its texts had, a directory or hf:OWNER/NAME, such as: tweetscore "
            f"model export {path_word(directory)} -o bundle/ --tokenizer hf:openai-community/gpt2",
        )
    config = dict(found.config)
    bundle = _record(directory / METADATA_NAME)
    training = _record(directory / "training.json")
    pad_token_id = pad_token_id_of(directory, config)
    return Checkpoint(
        base=found,
        directory=directory,
        config=config,
        classes=classes_of(directory, config, label_names),
        pad_token_id=pad_token_id,
        padding=padding_of(found, pad_token_id, pad_to, bundle),
        training=training or _training_of(bundle or {}),
        evaluation=optional(directory / "evaluation.json") or (bundle or {}).get("metrics"),
        foreign=training is None and bundle is None,
        trained_here=training is not None,
    )


def _directory(path: Path) -> Path:
    """Return a directory; where there is none, the error says how a model of the Hub is named."""
    if path.is_dir():
        return path.resolve()
    name = str(path)
    if name.count("/") == 1 and hub.is_name(name):
        output = name.partition("/")[2]
        raise InputMissing(
            f"there is no directory {name}; a model of the Hub is named with hf: before it",
            f"try: tweetscore model export hf:{name} -o {word(output)}/",
        )
    raise InputMissing(
        f"there is no checkpoint in {name}",
        "name the directory that a model was saved in, or hf:OWNER/NAME of the Hub",
    )


def _record(path: Path) -> dict[str, Any] | None:
    """Return what was written about a training or a bundle, with the types that it needs."""
    if (content := optional(path)) is not None:
        fields.check(path, content, fields.Record)
    return content


def _training_of(bundle: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a bundle's metadata that is also in ``training.json``."""
    kept = (
        *("name", "temperature", "max_length", "normalizer", "split_special_tokens"),
        *("base_model", "baseline"),
    )
    found = {name: bundle[name] for name in kept if bundle.get(name) is not None}
    return {**bundle.get("training", {}), **found}
