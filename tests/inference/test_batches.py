"""The planner places every row once, in batches of one length."""

from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.inference.session import plan_batches

LENGTHS = st.lists(st.integers(1, 40), max_size=200).map(lambda x: np.array(x, dtype=np.int64))
BUDGETS = st.integers(1, 300)


@given(LENGTHS, BUDGETS)
def test_every_row_is_in_exactly_one_batch(lengths: np.ndarray, budget: int) -> None:
    """No row is lost and none is scored twice."""
    rows = [row for batch in plan_batches(lengths, budget) for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(len(lengths)))


@given(LENGTHS, BUDGETS)
def test_a_batch_has_one_length(lengths: np.ndarray, budget: int) -> None:
    """All rows of a batch have the length that the batch says."""
    for batch in plan_batches(lengths, budget):
        assert (lengths[batch.rows] == batch.length).all()


@given(LENGTHS, BUDGETS)
def test_the_budget_holds(lengths: np.ndarray, budget: int) -> None:
    """A batch is within the budget, or is one row that is longer than it."""
    for batch in plan_batches(lengths, budget):
        assert len(batch.rows) * batch.length <= budget or len(batch.rows) == 1


@given(LENGTHS, BUDGETS)
def test_batches_are_as_full_as_can_be(lengths: np.ndarray, budget: int) -> None:
    """Per length there are no more batches than the budget asks for."""
    batches = plan_batches(lengths, budget)
    for length, rows in zip(*np.unique(lengths, return_counts=True), strict=True):
        per_batch = max(1, budget // int(length))
        assert sum(b.length == length for b in batches) == -(-int(rows) // per_batch)


@given(LENGTHS, BUDGETS)
def test_the_longest_come_first_and_always_the_same_way(lengths: np.ndarray, budget: int) -> None:
    """The plan is deterministic, longest batches first, rows ascending within a length."""
    first, second = plan_batches(lengths, budget), plan_batches(lengths.copy(), budget)
    assert [(b.length, b.rows.tolist()) for b in first] == [
        (b.length, b.rows.tolist()) for b in second
    ]
    order = [(-batch.length, row) for batch in first for row in batch.rows.tolist()]
    assert order == sorted(order)


@given(LENGTHS, BUDGETS)
def test_batches_alike_have_one_size_for_each_length(lengths: np.ndarray, budget: int) -> None:
    """As many as otherwise, within the budget; only the last repeats a row, and only its last."""
    plan = plan_batches(lengths, budget, alike=True)
    assert [b.length for b in plan] == [b.length for b in plan_batches(lengths, budget)]
    rows: list[int] = []
    for batch, after in zip_longest(plan, plan[1:]):
        assert len(batch.rows) * batch.length <= budget or len(batch.rows) == 1
        own = np.unique(batch.rows).tolist()
        filling = batch.rows[len(own) :].tolist()
        assert filling == own[-1:] * len(filling)
        if after is not None and after.length == batch.length:
            assert not filling
            assert len(after.rows) == len(batch.rows)
        rows += own
    assert sorted(rows) == list(range(len(lengths)))


@pytest.mark.parametrize(
    ("count", "slices"),
    [(4, [[0, 1, 2, 3]]), (5, [[0, 1, 2], [3, 4, 4]]), (9, [[0, 1, 2], [3, 4, 5], [6, 7, 8]])],
)
def test_batches_alike_are_as_small_as_can_be(count: int, slices: list[list[int]]) -> None:
    """Of four rows at most: what is computed twice is less than a row per batch."""
    plan = plan_batches(np.full(count, 10), 40, alike=True)
    assert [batch.rows.tolist() for batch in plan] == slices


@pytest.mark.parametrize(
    ("budget", "sizes"),
    [(12, [3]), (11, [2, 1]), (8, [2, 1]), (4, [1, 1, 1]), (3, [1, 1, 1]), (13, [3])],
)
def test_around_an_exact_fit(budget: int, sizes: list[int]) -> None:
    """Three rows of four tokens: an exact fit, one below, one above, too long alone."""
    plan = plan_batches(np.array([4, 4, 4]), budget)
    assert [len(batch.rows) for batch in plan] == sizes


def test_an_empty_row_is_refused() -> None:
    """A row without tokens must never reach a model."""
    with pytest.raises(ValueError, match="without tokens"):
        plan_batches(np.array([3, 0, 2]), 10)
