"""The base's tokenizer, set up so that training sees the token ids that serving will see."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from export.source.base import Base
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

    def save(self, directory: Path) -> None:
        """Write the tokenizer's files."""
        # What the last call set is not part of the tokenizer.
        self.tokenizer.backend_tokenizer.no_truncation()
        self.tokenizer.backend_tokenizer.no_padding()
        self.tokenizer.save_pretrained(directory)


def open_encoder(base: Base, max_length: int) -> TextEncoder:
    """Load the tokenizer of a base, and cut texts where the base can read no further.

    Raises:
        InvalidBundle: Serving cannot use it, or it has no token to pad with.
    """
    import transformers

    max_length = min(max_length, base.positions)
    auto: Any = transformers.AutoTokenizer
    # A tweet that says "<|endoftext|>" or "[SEP]" says so in words, here as at serving.
    tokenizer = auto.from_pretrained(
        base.directory,
        use_fast=True,
        split_special_tokens=True,
        padding_side="right",
        truncation_side="right",
        model_max_length=max_length,
        trust_remote_code=False,
    )
    if not tokenizer.is_fast:
        raise InvalidBundle(
            f"the tokenizer of {base.name} has no tokenizer.json", "choose another base"
        )
    if tokenizer.pad_token is None:
        _pad_with_end_of_text(tokenizer, base)
    emoji_known = _knows_emoji(tokenizer, max_length)
    return TextEncoder(tokenizer, Normalizer("keep" if emoji_known else "words"), max_length)


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


def _knows_emoji(tokenizer: Any, max_length: int) -> bool:
    rows = encode(tokenizer, _PROBE_EMOJI, max_length)
    return all(tokenizer.unk_token_id not in ids for ids in rows)
