"""The cache returns the exact answers of earlier windows, or none."""

import tracemalloc
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.inference.answer_cache import AnswerCache
from scorer.inference.preparation import Tokens

Row = tuple[int, ...]
WINDOWS = st.lists(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), unique=True),
    max_size=8,
)
SMALL = 4_000  # bytes: about a dozen texts


def tokens_of(rows: Sequence[Row]) -> Tokens:
    lengths = [len(row) for row in rows]
    return Tokens(
        ids=np.array([i for row in rows for i in row], np.int64),
        offsets=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
        truncated=np.zeros(len(rows), np.bool_),
    )


def answers_of(rows: Sequence[Row]) -> np.ndarray:
    """Give each row an answer of its own, as a stub for the model."""
    numbers = [zlib.crc32(repr(row).encode()) % 2**20 for row in rows]
    return np.stack((numbers, np.negative(numbers)), axis=1).astype(np.float32)


def score(cache: AnswerCache, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Answer a window of distinct rows as the classifier does; return what was known too."""
    tokens, answers = tokens_of(rows), np.full((len(rows), 2), np.nan, np.float32)
    known = cache.lookup(tokens, answers)
    (asked,) = np.nonzero(~known)
    answers[asked] = answers_of(rows)[asked] if rows else 0
    cache.store(tokens.take(asked), answers[asked])
    return answers, known


@pytest.mark.parametrize("capacity", [0, SMALL, 1 << 20])
@settings(max_examples=60)
@given(windows=WINDOWS)
def test_what_is_cached_is_the_answer(windows: list[list[Row]], capacity: int) -> None:
    """Whatever came before, at any capacity."""
    cache = AnswerCache(2, capacity)
    for rows in windows:
        answers, _ = score(cache, rows)
        if rows:
            assert answers.tolist() == answers_of(rows).tolist()


def test_all_of_an_earlier_window_is_known() -> None:
    """Within the capacity no text is inferred twice."""
    cache = AnswerCache(2)
    rows = [(i, i % 7) for i in range(5_000)]
    assert not score(cache, rows)[1].any()
    assert score(cache, rows[::-1])[1].all()


def test_texts_that_recur_stay_and_the_others_are_dropped() -> None:
    """Two generations: a text that keeps coming stays, one that does not goes."""
    cache = AnswerCache(2, SMALL)
    favourite, once = (1, 2, 3), (9, 9, 9)
    score(cache, [favourite, once])
    hits = 0
    for night in range(100):
        hits += score(cache, [favourite])[1].sum()
        score(cache, [(night, 50)])
    assert hits == 100
    assert not score(cache, [once])[1].any()


@pytest.mark.parametrize("classes", [2, 3, 1_000])
def test_the_capacity_bounds_the_memory_whatever_the_model(classes: int) -> None:
    """Few classes or a thousand: all that is cached stays within the capacity, and uses most of it.

    Short texts are the worst case: the heads of the objects outweigh their ids.
    """
    capacity, count = 4 << 20, 50 if classes == 1_000 else 1_000
    cache, logits = AnswerCache(classes, capacity), np.zeros((count, classes), np.float32)
    sizes = []
    tracemalloc.start()
    try:
        for window in range(40):
            cache.store(tokens_of([(window, i) for i in range(count)]), logits)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert 0.6 * capacity < max(sizes) <= capacity


def test_a_window_larger_than_the_capacity_is_cached_in_part() -> None:
    """Its first texts stay, as many as fit; none is mixed up with another."""
    cache = AnswerCache(2, SMALL)
    rows = [(i, i, i) for i in range(1_000)]
    score(cache, rows)
    answers, known = score(cache, rows)
    assert 0 < known.sum() < 100
    assert not known[100:].any()
    assert answers.tolist() == answers_of(rows).tolist()


def test_long_texts_fill_the_capacity_too() -> None:
    """Their ids fill the capacity before their number does, and nothing is stored beyond it."""
    cache = AnswerCache(2, SMALL)
    for night in range(20):
        rows = [tuple(range(night, night + 100)), (night,)]
        assert not score(cache, rows)[1].any()
    assert score(cache, rows)[1].all()
