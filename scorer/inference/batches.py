"""Batches of one token length each, within a token budget. Pure: no model, no files.

No padding means no wasted work and no cross-talk: a text's score does not depend on its
neighbours.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows of one token length that go through the model together."""

    rows: NDArray[np.int64]  # ascending; the last one again where the batch is filled up
    length: int  # tokens per row


def plan_batches(
    lengths: NDArray[np.int64], token_budget: int, *, alike: bool = False
) -> list[Batch]:
    """Place every row in exactly one batch of at most `token_budget` tokens.

    A row longer than the budget is a batch of its own. The longest come first: memory peaks
    at once instead of late in the night, and what the last callers wait for is short.

    Args:
        lengths: Tokens per row, each at least 1: an empty row must never reach a model.
        token_budget: Rows times length that a batch may hold.
        alike: Give all batches of a length one size, for a session that compiles each new one:
            there are no more of them, and the last one is filled up with its last row.
    """
    if len(lengths) == 0:
        return []
    if lengths.min() < 1:
        raise ValueError("a row without tokens cannot be placed in a batch")
    order = np.argsort(-lengths, kind="stable")
    starts = np.flatnonzero(np.diff(lengths[order], prepend=-1))
    batches = []
    for rows in np.split(order, starts[1:]):
        length = int(lengths[rows[0]])
        size = max(1, token_budget // length)
        batches += [Batch(each, length) for each in (_alike if alike else _full)(rows, size)]
    return batches


def _full(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut rows into slices of `size`, the last one of the remainder."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _alike(rows: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Cut rows into as many slices of one size, the last one filled up with its last row."""
    count = -(-len(rows) // size)
    size = -(-len(rows) // count)
    return _full(np.pad(rows, (0, count * size - len(rows)), "edge"), size)
