"""Texts to what a model takes: all of a window's work that needs no session."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.inference.bundle import Bundle
from scorer.inference.canary import check_token_ids
from scorer.inference.tokens import TextTokenizer, Tokens
from scorer.inference.unique import unique, unique_tokens
from scorer.records import Counters


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A window ready for the model."""

    tokens: Tokens  # of the distinct texts
    rows: NDArray[np.int64]  # [rows]: which of them each row is; -1 where blank
    scorable: NDArray[np.int64]  # the distinct texts that are not blank
    counters: Counters
    lengths: NDArray[np.int64]  # [tokens of the longest + 1]; scored rows by their tokens

    def ids(self, row: int) -> list[int]:
        """Return the token ids of a row, special ones included; none where blank."""
        place = self.rows[row]
        return [] if place < 0 else self.tokens.row(place).tolist()


class Preparation:
    """A bundle's normaliser and tokenizer, held against the canary's token ids.

    Raises:
        InvalidBundle: The tokenizer cannot be loaded.
        GateFailed: It splits a canary text otherwise than in training.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._normalizer = bundle.normalizer
        self._tokenizer = TextTokenizer(bundle)
        self.canary = bundle.canary()
        self.prepared_canary = self(pl.Series(self.canary.texts, dtype=pl.String))
        ids = [self.prepared_canary.ids(row) for row in range(len(self.canary.texts))]
        check_token_ids(ids, self.canary, bundle)

    def __call__(self, texts: pl.Series) -> Prepared:
        """Normalise and tokenise one window, and find its distinct texts."""
        distinct, text_rows = unique(self._normalizer(texts).fill_null("").to_list())
        tokens, token_rows = unique_tokens(self._tokenizer(distinct))
        has_content = tokens.lengths > self._tokenizer.special_tokens
        rows = token_rows[text_rows]
        rows[~has_content[rows]] = -1
        (scorable,) = np.nonzero(has_content)
        lengths = np.bincount(tokens.lengths[rows[rows >= 0]])
        return Prepared(tokens, rows, scorable, self._count(tokens, rows), lengths)

    def _count(self, tokens: Tokens, rows: NDArray[np.int64]) -> Counters:
        scored = rows[rows >= 0]
        return Counters(
            rows=len(rows),
            scored=len(scored),
            blank=len(rows) - len(scored),
            equal=len(scored) - int(np.count_nonzero(np.bincount(scored))),
            truncated=int(tokens.truncated[scored].sum()),
            tokens=int(tokens.lengths[scored].sum()),
            unknown=int(tokens.count(self._tokenizer.unknown_id)[scored].sum()),
        )
