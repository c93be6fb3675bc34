"""Equal texts are scored once: which rows are the same, decided exactly and in columns."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.inference.tokens import Tokens

_MIX = np.uint64(0x9E3779B97F4A7C15)  # odd, so that multiplying by it loses nothing


def unique_texts(texts: pl.Series) -> tuple[pl.Series, NDArray[np.int64]]:
    """Return the distinct texts in order of appearance, and for each row which one it is."""
    rows = texts.to_frame("text")
    distinct = rows.unique(maintain_order=True).with_row_index("place")
    places = rows.join(distinct, on="text", how="left", maintain_order="left")["place"]
    return distinct["text"], places.to_numpy().astype(np.int64)


def unique_tokens(tokens: Tokens) -> tuple[Tokens, NDArray[np.int64]]:
    """Return the distinct rows of token ids, and for each row which one it is.

    Rows are grouped by a hash and then compared with the first of their group. Two rows that
    only share a hash stay apart, so the result is exact; at worst a text is scored twice.
    """
    count = len(tokens.lengths)
    _, first, group = np.unique(hashes(tokens), return_index=True, return_inverse=True)
    candidate = first[group]
    same = _rows_equal(tokens, candidate)
    representative = np.where(same, candidate, np.arange(count))
    distinct, places = np.unique(representative, return_inverse=True)
    return tokens.take(distinct), places


def hashes(tokens: Tokens) -> NDArray[np.uint64]:
    """Hash each row's ids with their positions; a row without ids hashes to 0.

    A hash finds what may be equal; whoever joins rows compares their ids.
    """
    within = np.arange(len(tokens.ids)) - np.repeat(tokens.offsets[:-1], tokens.lengths)
    terms = (tokens.ids.astype(np.uint64) + np.uint64(1)) * _MIX
    terms ^= terms >> np.uint64(29)
    terms *= (2 * within.astype(np.uint64) + np.uint64(1)) * _MIX
    terms ^= terms >> np.uint64(32)
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(terms)))  # wraps, as intended
    hashes: NDArray[np.uint64] = sums[tokens.offsets[1:]] - sums[tokens.offsets[:-1]]
    return hashes


def _rows_equal(tokens: Tokens, other: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each row whether it has the same ids as row `other[row]`."""
    lengths = tokens.lengths
    equal: NDArray[np.bool_] = lengths == lengths[other]
    (rows,) = np.nonzero(equal & (lengths > 0))
    mine, theirs = tokens.take(rows), tokens.take(other[rows])
    differs = np.concatenate(([0], np.cumsum(mine.ids != theirs.ids)))
    equal[rows] = differs[mine.offsets[1:]] == differs[mine.offsets[:-1]]
    return equal
