"""Equal texts, and equal rows of token ids, are found exactly."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scorer.inference.preparation import Tokens, unique, unique_tokens

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
    distinct, places = unique(texts)
    assert distinct == list(dict.fromkeys(texts))
    assert [distinct[place] for place in places] == texts


@given(ROWS)
def test_rows_of_ids_come_back(rows: list[list[int]]) -> None:
    """The distinct rows, put back by their places, are the rows; each is there once."""
    distinct, places = unique_tokens(tokens_of(rows))
    kept = [distinct.row(i).tolist() for i in range(len(distinct.lengths))]
    assert kept == [list(row) for row in dict.fromkeys(map(tuple, rows))]
    assert [kept[place] for place in places] == rows
    assert distinct.truncated.tolist() == [len(row) > 2 for row in kept]


def test_orders_and_lengths_are_distinguished() -> None:
    """The same ids in another order, or more of them, are another row."""
    rows = [[1, 2], [2, 1], [1, 2, 0], [0, 1, 2], [3], [], [0], [0, 0], [256], [1, 0]]
    distinct, places = unique_tokens(tokens_of(rows))
    assert len(distinct.lengths) == len(rows)
    assert places.tolist() == list(range(len(rows)))
