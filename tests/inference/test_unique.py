"""Equal rows are found exactly."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.inference import unique
from scorer.inference.tokens import Tokens
from scorer.inference.unique import unique_texts, unique_tokens

ROWS = st.lists(st.lists(st.integers(0, 2), max_size=3), max_size=40)


def tokens_of(rows: list[list[int]]) -> Tokens:
    lengths = [len(row) for row in rows]
    return Tokens(
        ids=np.array([i for row in rows for i in row], dtype=np.int64),
        offsets=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
        truncated=np.array([len(row) > 2 for row in rows], dtype=np.bool_),
    )


@given(st.lists(st.text(max_size=3), max_size=40))
def test_texts_come_back(texts: list[str]) -> None:
    """The distinct texts, in order of appearance, put back by their places, are the column."""
    distinct, places = unique_texts(pl.Series(texts, dtype=pl.String))
    assert distinct.to_list() == list(dict.fromkeys(texts))
    assert [distinct[int(place)] for place in places] == texts


@given(ROWS)
def test_rows_of_ids_come_back(rows: list[list[int]]) -> None:
    """The distinct rows, put back by their places, are the rows; each is there once."""
    distinct, places = unique_tokens(tokens_of(rows))
    kept = [distinct.row(i).tolist() for i in range(len(distinct.lengths))]
    assert kept == [list(row) for row in dict.fromkeys(map(tuple, rows))]
    assert [kept[place] for place in places] == rows
    assert distinct.truncated.tolist() == [len(row) > 2 for row in kept]


@given(rows=ROWS)
def test_a_shared_hash_joins_nothing(rows: list[list[int]]) -> None:
    """If all hashes collide, rows that differ still stay apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "hashes", lambda t: np.zeros(len(t.lengths), np.uint64))
        distinct, places = unique_tokens(tokens_of(rows))
    assert [distinct.row(int(place)).tolist() for place in places] == rows


def test_the_hash_tells_orders_and_lengths_apart() -> None:
    """The same ids in another order, or more of them, are another row with another hash."""
    rows = [[1, 2], [2, 1], [1, 2, 0], [0, 1, 2], [3], [], [0], [0, 0]]
    assert len(set(unique.hashes(tokens_of(rows)).tolist())) == len(rows)
