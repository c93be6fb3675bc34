"""Softmax with temperature, and ties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scorer.inference.labels import label_ids, probabilities

LOGITS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e4, 1e4, width=32),
)


def test_known_values() -> None:
    """Logits that are logarithms give back what they are logarithms of."""
    logits = np.log(np.array([[0.5, 0.3, 0.2]], dtype=np.float32))
    assert probabilities(logits)[0] == pytest.approx([0.5, 0.3, 0.2], rel=1e-6)
    sharper = np.array([0.25, 0.09, 0.04]) / 0.38
    assert probabilities(logits, 0.5)[0] == pytest.approx(sharper, rel=1e-6)


@given(LOGITS, st.floats(0.05, 20))
def test_rows_are_distributions(logits: np.ndarray, temperature: float) -> None:
    """Whatever the logits, probabilities are finite, not negative, and sum to one."""
    result = probabilities(logits, temperature)
    assert result.dtype == np.float32
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert result.sum(axis=1, dtype=np.float64) == pytest.approx(1, abs=1e-6)


@given(LOGITS)
def test_a_row_does_not_see_its_neighbours(logits: np.ndarray) -> None:
    """A row alone gets bitwise what it gets among others."""
    together = probabilities(logits, 1.7)
    alone = np.concatenate([probabilities(row[np.newaxis], 1.7) for row in logits])
    assert together.tobytes() == alone.tobytes()


def test_a_tie_goes_to_the_lowest_id() -> None:
    """Equal probabilities give the first class of the bundle's order."""
    ties = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3, 1 / 3, 1 / 3]], dtype=np.float32)
    assert label_ids(ties).tolist() == [0, 1, 0]
    assert label_ids(ties).dtype == np.int16


def test_blank_rows_stay_not_a_number() -> None:
    """NaN logits become NaN probabilities, without a warning."""
    assert all(math.isnan(p) for p in probabilities(np.full((1, 3), np.nan, np.float32))[0])
