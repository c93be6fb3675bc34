"""Logits of texts that a model has answered already, by their token ids."""

from itertools import islice
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from scorer.inference.preparation import Tokens

#: Bytes that all cached answers may take together: some 135,000 tweets.
CAPACITY = 32 << 20

# Bytes that a cached text takes beside its ids and logits: two objects of bytes with 33 each,
# rounded up to 16, and up to 60 in a dict that has just grown.
_OVERHEAD = 150


class AnswerCache:
    """Logits of earlier windows by exact token ids; several threads may ask.

    For providers whose answer does not depend on the batch: there a cached answer has the
    very bits that the model would compute again, and no output depends on the cache.

    New answers go to the younger of two dicts. When it is full it becomes the older one, whose
    answers are dropped unless a window needs them meanwhile. The capacity is in bytes.
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
        keys = tokens.keys()
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
        new = dict(zip(tokens.keys(), answers, strict=True))
        with self._lock:
            self._insert(new)

    def _insert(self, new: dict[bytes, bytes]) -> None:
        ends = np.cumsum([len(key) + 4 * self._classes + _OVERHEAD for key in new])
        if len(ends) and self._size + ends[-1] > self._limit:
            self._young, self._old, self._size = {}, self._young, 0
        fitting = int(np.searchsorted(ends, self._limit - self._size, side="right"))
        self._size += int(ends[fitting - 1]) if fitting else 0
        self._young.update(islice(new.items(), fitting))
