"""How a decoder whose config has no pad id is used to predict: padded to a length, or not at all.

transformers pools the last token that is not the pad token, and where there is no pad id, the last
one of all: behind a text that was padded that is a pad. So the same weights answer otherwise padded
than alone, and no file of a checkpoint says how it was used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from export.source.base import Base
from scorer.errors import InvalidBundle, UsageError
from scorer.hints import path_word
from scorer.inference.bundle.metadata import MAX_LENGTH, MIN_LENGTH

PadTo = int | Literal["none"]


@dataclass(frozen=True, slots=True)
class Padding:
    """How texts are padded for a model without a pad id."""

    length: int | None  # tokens of a padded text; None: texts are not padded


def padding_of(
    base: Base, pad_token_id: int | None, asked: PadTo | None, bundle: Mapping[str, Any] | None
) -> Padding | None:
    """Return how texts are padded; None for a model with a pad id, which never pools a pad.

    Args:
        base: The checkpoint.
        pad_token_id: Of its config.
        asked: What the user says.
        bundle: The content of its ``tweetscore.json``, if it has one.

    Raises:
        InvalidBundle: Nobody says how the model is used.
        UsageError: It is said of a model with a pad id, or the model cannot read so many tokens.
    """
    path = base.directory / "config.json"
    if pad_token_id is not None:
        if asked is not None:
            raise UsageError(
                f"--pad-to is for models without a pad id, and {path} has pad_token_id "
                f"{pad_token_id}: padding does not change its answers",
                "leave out --pad-to",
            )
        return None
    if asked is not None:
        return Padding(None if asked == "none" else _checked(asked, base))
    if bundle is not None:
        recorded = bundle.get("pad_to")
        return Padding(None if recorded is None else _checked(recorded, base))
    again = f"tweetscore model export {path_word(base.directory)} -o bundle/"
    if base.tokenizer != base.directory:
        again += f" --tokenizer {path_word(base.tokenizer)}"
    again += " --pad-to"
    raise InvalidBundle(
        f"{path} has no pad_token_id, so the model answers at the last token "
        "that it is given, a pad too: its answers depend on how texts were padded to predict",
        "see the call of the tokenizer where its predictions were judged: if it has "
        f"padding='max_length' and max_length=128, try: {again} 128; if texts were not padded, "
        f"or came one by one through pipeline(), try: {again} none",
    )


def _checked(length: int, base: Base) -> int:
    most = min(base.positions, MAX_LENGTH)
    if not MIN_LENGTH <= length <= most:
        raise UsageError(
            f"--pad-to {length} does not fit {base.name}, which reads texts of {MIN_LENGTH} to "
            f"{most} tokens",
            f"use --pad-to {most}, or --pad-to none",
        )
    return length
