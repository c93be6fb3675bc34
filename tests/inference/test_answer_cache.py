"""Answers of earlier windows come back exactly, or not at all."""

import tracemalloc
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.inference.preparation import Remembered
from scorer.inference.tokens import Tokens

Row = tuple[int, ...]
WINDOWS = st.lists(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple), unique=True),
    max_size=8,
)
ROOM_FOR_SOME = 4_000  # bytes: a dozen texts or so


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


def score(memory: Remembered, rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    """Answer a window of distinct rows as the classifier does; return what was known too."""
    tokens, answers = tokens_of(rows), np.full((len(rows), 2), np.nan, np.float32)
    known = memory.fill(tokens, answers)
    (asked,) = np.nonzero(~known)
    answers[asked] = answers_of(rows)[asked] if rows else 0
    memory.keep(tokens.take(asked), answers[asked])
    return answers, known


@pytest.mark.parametrize("capacity", [0, ROOM_FOR_SOME, 1 << 20])
@settings(max_examples=60)
@given(windows=WINDOWS)
def test_what_is_remembered_is_the_answer(windows: list[list[Row]], capacity: int) -> None:
    """Whatever came before, in whatever space."""
    memory = Remembered(2, capacity)
    for rows in windows:
        answers, _ = score(memory, rows)
        if rows:
            assert answers.tolist() == answers_of(rows).tolist()


def test_all_of_an_earlier_window_is_known() -> None:
    """As long as there is room, a text is not asked for twice."""
    memory = Remembered(2)
    rows = [(i, i % 7) for i in range(5_000)]
    assert not score(memory, rows)[1].any()
    assert score(memory, rows[::-1])[1].all()


def test_what_is_asked_for_survives_and_the_rest_is_forgotten() -> None:
    """Two generations: a text that keeps coming stays, one that does not goes."""
    memory = Remembered(2, ROOM_FOR_SOME)
    favourite, once = (1, 2, 3), (9, 9, 9)
    score(memory, [favourite, once])
    hits = 0
    for night in range(100):
        hits += score(memory, [favourite])[1].sum()
        score(memory, [(night, 50)])
    assert hits == 100
    assert not score(memory, [once])[1].any()


@pytest.mark.parametrize("classes", [2, 3, 1_000])
def test_the_space_is_bounded_whatever_the_model(classes: int) -> None:
    """Few classes or a thousand: all that is kept stays within the capacity, and uses most of it.

    Short texts are the worst case: the heads of the objects outweigh their ids.
    """
    capacity, count = 4 << 20, 50 if classes == 1_000 else 1_000
    memory, logits = Remembered(classes, capacity), np.zeros((count, classes), np.float32)
    sizes = []
    tracemalloc.start()
    try:
        for window in range(40):
            memory.keep(tokens_of([(window, i) for i in range(count)]), logits)
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert 0.6 * capacity < max(sizes) <= capacity


def test_a_window_larger_than_the_space_is_remembered_in_part() -> None:
    """Its first texts stay, as many as fit; none is mixed up with another."""
    memory = Remembered(2, ROOM_FOR_SOME)
    rows = [(i, i, i) for i in range(1_000)]
    score(memory, rows)
    answers, known = score(memory, rows)
    assert 0 < known.sum() < 100
    assert not known[100:].any()
    assert answers.tolist() == answers_of(rows).tolist()


def test_long_texts_fill_the_space_too() -> None:
    """The room for ids ends before that for texts, and nothing is written beyond it."""
    memory = Remembered(2, ROOM_FOR_SOME)
    for night in range(20):
        rows = [tuple(range(night, night + 100)), (night,)]
        assert not score(memory, rows)[1].any()
    assert score(memory, rows)[1].all()
