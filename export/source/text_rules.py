"""How texts reach the model of a checkpoint: as its record says, or as it was asked for.

The record is ``training.json``, or a bundle's own ``tweetscore.json``. A checkpoint without one was
trained elsewhere: its texts reach its tokenizer as they are, and the tokenizer's settings hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from export.source.checkpoint import Checkpoint
from export.source.files import optional
from scorer.errors import InvalidBundle, UsageError
from scorer.inference.bundle.metadata import MAX_LENGTH, MIN_LENGTH, Rules, decoded
from scorer.inference.normalize import Name, Normalizer

DEFAULT_MAX_LENGTH = 128  # of a training that does not say
_FOREIGN_MAX_LENGTH = 512  # a longer one has to be asked for: attention needs the square


@dataclass(frozen=True, slots=True)
class TextRules:
    """What happens to a text before the model gets it."""

    normalizer: Normalizer | None  # None: as the tokenizer needs it
    max_length: int  # tokens of a text, special ones included
    split_special_tokens: bool | None  # None: as the tokenizer says


def text_rules(checkpoint: Checkpoint, normalizer: Name | None, length: int | None) -> TextRules:
    """Return the rules of a checkpoint.

    Args:
        checkpoint: With its record, if it has one.
        normalizer: Asked for instead of the recorded one.
        length: Asked for instead of the recorded one, in tokens.

    Raises:
        InvalidBundle: The record makes no sense.
        UsageError: The model cannot read texts of that length.
    """
    split = None if checkpoint.foreign else True
    return TextRules(
        _normalizer(checkpoint, normalizer),
        _max_length(checkpoint) if length is None else _checked(checkpoint, length),
        checkpoint.training.get("split_special_tokens", split),
    )


def _normalizer(checkpoint: Checkpoint, asked: Name | None) -> Normalizer | None:
    recorded = _recorded(checkpoint)
    if asked is None or (recorded is not None and recorded.name == asked):
        return recorded
    if asked == "tweetscore" and not checkpoint.foreign and recorded is None:
        return None
    return Normalizer(name=asked)  # with the emoji as they are: nobody trained it on their names


def _recorded(checkpoint: Checkpoint) -> Normalizer | None:
    if checkpoint.foreign:
        return Normalizer(name="none")
    found = checkpoint.training.get("normalizer")
    rules = decoded(found, Rules)
    if found and rules is None:
        raise InvalidBundle(
            f"the checkpoint {checkpoint.base.directory} is recorded with the normalizer {found}",
            "say which one it is: --normalizer tweetscore",
        )
    return Normalizer(rules.emoji, rules.version, rules.name) if rules else None


def _max_length(checkpoint: Checkpoint) -> int:
    if not checkpoint.foreign:
        recorded = int(checkpoint.training.get("max_length", DEFAULT_MAX_LENGTH))
        return min(recorded, checkpoint.base.positions)
    settings = optional(checkpoint.base.tokenizer / "tokenizer_config.json") or {}
    return min(_stated(settings), checkpoint.base.positions, _FOREIGN_MAX_LENGTH)


def _stated(settings: Mapping[str, Any]) -> int:
    """Return the tokenizer's own length; many state 10^30, and some none."""
    length = settings.get("model_max_length")
    if isinstance(length, (int, float)) and MIN_LENGTH <= length <= MAX_LENGTH:
        return int(length)
    return MAX_LENGTH


def _checked(checkpoint: Checkpoint, length: int) -> int:
    most = min(checkpoint.base.positions, MAX_LENGTH)
    if not MIN_LENGTH <= length <= most:
        raise UsageError(
            f"--max-length {length} does not fit {checkpoint.name}, which reads texts of "
            f"{MIN_LENGTH} to {most} tokens",
            f"use --max-length {most}, or leave it out",
        )
    return length
