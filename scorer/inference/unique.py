"""Equal texts are scored once: those of one window, and those of earlier windows while they fit.

The key of a text is the bytes of its token ids, in a dict: only equal texts share an answer.
"""

from collections.abc import Hashable, Iterable
from itertools import islice, pairwise
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from scorer.inference.tokens import Tokens

T = TypeVar("T", bound=Hashable)

#: Bytes that all remembered answers may take together: some 135,000 tweets.
CAPACITY = 32 << 20

# Bytes that a remembered text takes beside its ids and logits: two objects of bytes with 33 each,
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


class Remembered:
    """Logits of earlier windows by exact token ids; several threads may ask.

    For providers whose answer does not depend on the batch: there a remembered answer has the
    very bits that the model would give again, and no output tells whether it was remembered.

    New answers go to the younger of two dicts. When it is full it becomes the older one, whose
    answers are forgotten unless a window asks for them meanwhile.

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

    def fill(self, tokens: Tokens, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Write the known rows of `logits` [texts, classes], and return which those are."""
        keys = _keys(tokens)
        with self._lock:
            young = self._young
            answers = [young.get(key) or self._old.get(key) for key in keys]
            known = np.array([answer is not None for answer in answers], np.bool_)
            pairs = zip(keys, answers, strict=True)
            self._keep({k: a for k, a in pairs if a is not None and k not in young})
        content = b"".join(filter(None, answers))
        logits[known] = np.frombuffer(content, np.float32).reshape(-1, self._classes)
        return known

    def keep(self, tokens: Tokens, logits: NDArray[np.float32]) -> None:
        """Remember texts that `fill` did not know; of more than fit, the first ones."""
        size, content = 4 * self._classes, logits.tobytes()
        answers = (content[at : at + size] for at in range(0, len(content), size))
        new = dict(zip(_keys(tokens), answers, strict=True))
        with self._lock:
            self._keep(new)

    def _keep(self, new: dict[bytes, bytes]) -> None:
        ends = np.cumsum([len(key) + 4 * self._classes + _OVERHEAD for key in new])
        if len(ends) and self._size + ends[-1] > self._limit:
            self._young, self._old, self._size = {}, self._young, 0
        fitting = int(np.searchsorted(ends, self._limit - self._size, side="right"))
        self._size += int(ends[fitting - 1]) if fitting else 0
        self._young.update(islice(new.items(), fitting))


def _keys(tokens: Tokens) -> list[bytes]:
    ids = tokens.ids.astype(np.int32).tobytes()
    return [ids[start:stop] for start, stop in pairwise((4 * tokens.offsets).tolist())]
