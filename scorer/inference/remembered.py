"""Answers of earlier windows, so that a text which comes again costs no inference.

For providers whose answer does not depend on the batch: there a remembered answer has the very
bits that the model would give again, and no output tells whether it was remembered.

Answers are kept in two generations. New ones go to the younger; when it is full it becomes the
older one, whose answers are forgotten unless somebody asks for them meanwhile. All is in flat
arrays: a window costs a few array operations, however much is remembered.
"""

from threading import Lock

import numpy as np
from numpy.typing import NDArray

from scorer.inference.tokens import Tokens
from scorer.inference.unique import hashes

#: Bytes for all answers together: some 200,000 tweets. Untouched pages of it are not resident,
#: so that a short run pays only for what it keeps.
CAPACITY = 32 << 20

_TOKENS_PER_TEXT = 24  # room for ids; tweets have some 20, longer texts only fill it sooner
_SLOTS_PER_TEXT = 8  # rounded down to a power of two
# Two slots for each text, or pairs that share one would push each other out all night.
_MIXES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


class Remembered:
    """Logits by exact token ids; several threads may ask.

    Args:
        classes: Logits per text.
        capacity: Bytes that all of it may take.
    """

    def __init__(self, classes: int, capacity: int = CAPACITY) -> None:
        self._lock = Lock()
        self._young = _Generation(classes, capacity // 2)
        self._old = _Generation(classes, capacity // 2)

    def fill(self, tokens: Tokens, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Write the known rows of `logits` [texts, classes], and return which those are."""
        keys = hashes(tokens)
        with self._lock:
            known, answers = self._young.find(tokens, keys)
            logits[known] = answers
            unknown = np.setdiff1d(np.arange(len(keys)), known, assume_unique=True)
            found, answers = self._old.find(tokens.take(unknown), keys[unknown])
            logits[unknown[found]] = answers
            self._keep(tokens.take(unknown[found]), answers)
        filled = np.zeros(len(keys), np.bool_)
        filled[known] = filled[unknown[found]] = True
        return filled

    def keep(self, tokens: Tokens, logits: NDArray[np.float32]) -> None:
        """Remember texts that `fill` did not know; of more than fit, the first ones."""
        with self._lock:
            self._keep(tokens, logits)

    def _keep(self, tokens: Tokens, logits: NDArray[np.float32]) -> None:
        if self._young.fitting(tokens) < len(tokens.lengths):
            self._young, self._old = self._old, self._young
            self._young.forget()
        self._young.keep(tokens, logits)


class _Generation:
    """As many texts as fit, found by a hash and told apart by their ids."""

    def __init__(self, classes: int, capacity: int) -> None:
        texts = capacity // (4 * (_SLOTS_PER_TEXT + _TOKENS_PER_TEXT + classes) + 8)
        bits = max(1, (_SLOTS_PER_TEXT * texts).bit_length() - 1)
        self._shift = np.uint64(64 - bits)
        self._slots = np.zeros(1 << bits, np.int32)  # a text's place plus 1; 0 is free
        self._offsets = np.zeros(texts + 1, np.int64)
        self._ids = np.zeros(_TOKENS_PER_TEXT * texts, np.int32)
        self._logits = np.zeros((texts, classes), np.float32)
        self._texts = 0

    def forget(self) -> None:
        self._slots[:] = 0
        self._texts = 0

    def fitting(self, tokens: Tokens) -> int:
        """Return how many of the texts, from the first on, there is room for."""
        ids = len(self._ids) - int(self._offsets[self._texts])
        by_ids = int(np.searchsorted(tokens.offsets, ids, side="right")) - 1
        return min(by_ids, len(self._logits) - self._texts)

    def find(
        self, tokens: Tokens, keys: NDArray[np.uint64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return which texts are known, and their answers."""
        places = np.full(len(keys), -1)
        for slots in self._slots_of(keys):
            at = self._slots[slots].astype(np.int64) - 1
            (candidates,) = np.nonzero((places < 0) & (at >= 0))
            same = candidates[self._are_at(at[candidates], tokens.take(candidates))]
            places[same] = at[same]
        (known,) = np.nonzero(places >= 0)
        return known, self._logits[places[known]]

    def keep(self, tokens: Tokens, logits: NDArray[np.float32]) -> None:
        """Add texts that are not there; those that do not fit are left out."""
        count = self.fitting(tokens)
        tokens = tokens.take(np.arange(count))
        first, start = self._texts, int(self._offsets[self._texts])
        self._ids[start : start + len(tokens.ids)] = tokens.ids
        self._offsets[first + 1 : first + count + 1] = start + tokens.offsets[1:]
        self._logits[first : first + count] = logits[:count]
        self._texts += count  # before anything points there: an interrupt may come in between
        numbers = np.arange(first, self._texts) + 1
        one, other = self._slots_of(hashes(tokens))
        free = self._slots[one] == 0
        self._slots[one[free]] = numbers[free]
        pushed = self._slots[one] != numbers
        self._slots[other[pushed]] = numbers[pushed]

    def _are_at(self, places: NDArray[np.int64], tokens: Tokens) -> NDArray[np.bool_]:
        """Return for each text whether the one at its place has the very same ids."""
        starts, lengths = self._offsets[places], tokens.lengths
        same: NDArray[np.bool_] = self._offsets[places + 1] - starts == lengths
        (alike,) = np.nonzero(same)
        mine = tokens.take(alike)
        within = np.arange(len(mine.ids)) - np.repeat(mine.offsets[:-1], mine.lengths)
        theirs = self._ids[np.repeat(starts[alike], mine.lengths) + within]
        differs = np.concatenate(([0], np.cumsum(mine.ids != theirs)))
        same[alike] = differs[mine.offsets[1:]] == differs[mine.offsets[:-1]]
        return same

    def _slots_of(self, keys: NDArray[np.uint64]) -> list[NDArray[np.uint64]]:
        return [(keys * mix) >> self._shift for mix in _MIXES]
