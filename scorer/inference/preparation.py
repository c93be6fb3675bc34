"""Prepares texts for a model: cleans and tokenises them, joins equal ones, caches answers."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import islice, pairwise
from threading import Lock
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.inference.bundle import Bundle
from scorer.inference.gate import check_token_ids
from scorer.inference.tokens import TextTokenizer, Tokens
from scorer.records import Counters

T = TypeVar("T", bound=Hashable)

#: Bytes that all cached answers may take together: some 135,000 tweets.
CAPACITY = 32 << 20

# Bytes that a cached text takes beside its ids and logits: two objects of bytes with 33 each,
# rounded up to 16, and up to 60 in a dict that has just grown.
_OVERHEAD = 150


def unique(items: Iterable[T]) -> tuple[list[T], NDArray[np.int64]]:
    """Return the distinct items in order of appearance, and for each item which one it is."""
    places: dict[T, int] = {}
    rows = [places.setdefault(item, len(places)) for item in items]
    return list(places), np.array(rows, np.int64)


def unique_tokens(tokens: Tokens) -> tuple[Tokens, NDArray[np.int64]]:
    """Return the distinct rows of token ids, and for each row which one it is."""
    _, rows = unique(_keys(tokens))
    _, first = np.unique(rows, return_index=True)
    return tokens.take(first), rows


class AnswerCache:
    """Logits of earlier windows by exact token ids; several threads may ask.

    For providers whose answer does not depend on the batch: there a cached answer has the
    very bits that the model would compute again, and no output depends on the cache.

    New answers go to the younger of two dicts. When it is full it becomes the older one, whose
    answers are dropped unless a window needs them meanwhile.

    Args:
        classes: Logits per text.
        capacity: Bytes that all of it may take.
    """

    def __init__(self, classes: int, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._classes = classes
        self._limit = capacity // 2
        self._young: dict[bytes, bytes] = {}
        self._old: dict[bytes, bytes] = {}
        self._size = 0  # bytes that the younger one may take by now

    def lookup(self, tokens: Tokens, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Write the known rows of `logits` [texts, classes], and return which those are."""
        keys = _keys(tokens)
        with self._lock:
            young = self._young
            answers = [young.get(key) or self._old.get(key) for key in keys]
            known = np.array([answer is not None for answer in answers], np.bool_)
            pairs = zip(keys, answers, strict=True)
            self._insert({k: a for k, a in pairs if a is not None and k not in young})
        content = b"".join(filter(None, answers))
        logits[known] = np.frombuffer(content, np.float32).reshape(-1, self._classes)
        return known

    def store(self, tokens: Tokens, logits: NDArray[np.float32]) -> None:
        """Store texts that `lookup` did not find; if not all fit, the first ones."""
        size, content = 4 * self._classes, logits.tobytes()
        answers = (content[at : at + size] for at in range(0, len(content), size))
        new = dict(zip(_keys(tokens), answers, strict=True))
        with self._lock:
            self._insert(new)

    def _insert(self, new: dict[bytes, bytes]) -> None:
        ends = np.cumsum([len(key) + 4 * self._classes + _OVERHEAD for key in new])
        if len(ends) and self._size + ends[-1] > self._limit:
            self._young, self._old, self._size = {}, self._young, 0
        fitting = int(np.searchsorted(ends, self._limit - self._size, side="right"))
        self._size += int(ends[fitting - 1]) if fitting else 0
        self._young.update(islice(new.items(), fitting))


def _keys(tokens: Tokens) -> list[bytes]:
    ids = tokens.ids.astype(np.int32).tobytes()
    return [ids[start:stop] for start, stop in pairwise((4 * tokens.offsets).tolist())]


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
    """A bundle's normaliser and tokenizer, checked on the canary's token ids.

    Raises:
        InvalidBundle: The tokenizer cannot be loaded.
        GateFailed: A canary text gets other token ids than in training.
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
