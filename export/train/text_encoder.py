"""The base's tokenizer, set up so that training sees the token ids that serving will see."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from export.source.base import Base
from export.source.text_rules import TextRules
from export.train.tokenizer import load_tokenizer
from scorer.errors import InvalidBundle
from scorer.inference.normalize import Normalizer

_PROBE_EMOJI = ("\N{GRINNING FACE}", "\N{LOUDLY CRYING FACE}", "\N{FIRE}", "\N{PARTY POPPER}")


@dataclass(frozen=True, slots=True, eq=False)
class TextEncoder:
    """Texts to token ids: normaliser, tokenizer and truncation in one."""

    tokenizer: Any  # transformers.PreTrainedTokenizerFast
    normalizer: Normalizer
    max_length: int

    def __call__(self, texts: pl.Series) -> list[list[int]]:
        """Return the token ids per text; none at all for a text that is null or blank."""
        normalized = self.normalizer(texts).fill_null("").to_list()
        special = self.tokenizer.num_special_tokens_to_add(pair=False)
        rows = encode(self.tokenizer, normalized, self.max_length)
        return [ids if len(ids) > special else [] for ids in rows]

    @property
    def split_special_tokens(self) -> bool:
        """Tell whether a control token's name in a text is words."""
        return bool(self.tokenizer.split_special_tokens)

    @property
    def truncation_side(self) -> Literal["right", "left"]:
        """Return where a text that is too long is cut."""
        return "left" if self.tokenizer.truncation_side == "left" else "right"

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files."""
        # What the last call set is not part of the tokenizer.
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        written = self.tokenizer.save_pretrained(directory)
        for path in map(Path, written):
            if path.suffix == ".model":  # SentencePiece's own file: tokenizer.json says the same
                path.unlink()
                _without_conversion(directory / "tokenizer_config.json")


def _without_conversion(path: Path) -> None:
    """Drop the setting at which transformers converts SentencePiece's file once more.

    It converted that file to what ``tokenizer.json`` now holds, with the setting heeded.
    """
    settings = json.loads(path.read_bytes())
    settings.pop("add_prefix_space", None)
    path.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", "utf-8")


def open_encoder(base: Base, max_length: int) -> TextEncoder:
    """Load the tokenizer of a base to train it, and cut texts where the base can read no further.

    Raises:
        InvalidBundle: Serving cannot use it, or it has no token to pad with.
    """
    max_length = min(max_length, base.positions)
    # A tweet that says "<|endoftext|>" or "[SEP]" says so in words, here as at serving.
    tokenizer = _load(
        base,
        max_length,
        split_special_tokens=True,
        padding_side="right",
        truncation_side="right",
    )
    return TextEncoder(tokenizer, _fitting(tokenizer, max_length), max_length)


def saved_encoder(base: Base, rules: TextRules) -> TextEncoder:
    """Load the tokenizer of a trained checkpoint, with the settings that it was saved with.

    Raises:
        InvalidBundle: Serving cannot use it, or it has no token to pad with.
    """
    settings: dict[str, bool] = {}
    if rules.split_special_tokens is not None:
        settings["split_special_tokens"] = rules.split_special_tokens
    tokenizer = _load(base, rules.max_length, **settings)
    normalizer = rules.normalizer or _fitting(tokenizer, rules.max_length)
    return TextEncoder(tokenizer, normalizer, rules.max_length)


def _load(base: Base, max_length: int, **settings: Any) -> Any:
    tokenizer = load_tokenizer(
        base.directory, base.model_type, model_max_length=max_length, **settings
    )
    if tokenizer.pad_token is None:
        _pad_with_end_of_text(tokenizer, base)
    return tokenizer


def encode(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[list[int]]:
    """Return the token ids of normalised texts."""
    if not texts:
        return []
    encoded = tokenizer(
        texts,
        truncation=True,
        max_length=max_length,
        return_attention_mask=False,
        return_token_type_ids=False,
    )
    return list(encoded["input_ids"])


def _pad_with_end_of_text(tokenizer: Any, base: Base) -> None:
    """Give GPT-2 a pad token.

    GPT-2 answers at the last token that is not the pad token. The end-of-text token can serve:
    none is appended, and a tweet's literal ``<|endoftext|>`` is encoded as words, so no text
    holds it.
    """
    if tokenizer.eos_token is None:
        raise InvalidBundle(
            f"the tokenizer of {base.name} has neither a pad token nor an end-of-text token",
            "choose another base",
        )
    tokenizer.pad_token = tokenizer.eos_token


def _fitting(tokenizer: Any, max_length: int) -> Normalizer:
    """Return the normaliser of our training: emoji as words where the tokenizer knows none."""
    rows = encode(tokenizer, _PROBE_EMOJI, max_length)
    known = all(tokenizer.unk_token_id not in ids for ids in rows)
    return Normalizer("keep" if known else "words")
