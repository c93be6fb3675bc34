"""The gate's arithmetic and bounds."""

import numpy as np
import pytest

from scorer.inference.gate import Figures, compare

REFERENCE = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1], [0.5, 0.25, 0.25]])


def test_equal_answers_are_within_every_gate() -> None:
    """Comparing answers with themselves gives full agreement and no difference."""
    figures = compare(REFERENCE, REFERENCE)
    assert figures == Figures(4, 1.0, 0.0, 0.0)
    assert figures.within_gate("fp32")


def test_figures_are_what_they_say() -> None:
    """One label of four changed by moving 0.15 from one class to another."""
    moved = REFERENCE.copy()
    moved[1] = [0.45, 0.3, 0.25]
    figures = compare(moved, REFERENCE)
    assert figures.label_agreement == 0.75
    assert figures.largest_difference == pytest.approx(0.15)
    assert figures.mean_difference == pytest.approx(0.3 / 12)


@pytest.mark.parametrize(
    ("precision", "agreement", "difference", "within"),
    [
        ("fp32", 1.0, 1e-5, True),
        ("fp32", 0.9999, 0.0, False),
        ("fp32", 1.0, 1.1e-5, False),
        ("bf16", 0.998, 0.05, True),
        ("bf16", 0.9979, 0.0, False),
        ("fp16", 1.0, 0.0501, False),
        ("fp32", 1.0, float("nan"), False),
        ("fp16", 1.0, float("nan"), False),
    ],
)
def test_bounds(precision: str, agreement: float, difference: float, within: bool) -> None:
    """fp32 promises more than the other precisions, and NaN is never within."""
    assert Figures(10, agreement, difference, 0.0).within_gate(precision) is within


def test_one_broken_text_is_seen() -> None:
    """A NaN in one probability of one text puts the whole comparison outside."""
    broken = REFERENCE.copy()
    broken[2, 1] = np.nan
    assert not compare(broken, REFERENCE).within_gate("fp16")


def test_sets_of_labels_have_to_be_equal() -> None:
    """Of a multi-label model: the best class, and all from the default threshold on."""
    reference = np.array([[0.9, 0.501, 0.1], [0.3, 0.2, 0.1], [0.7, 0.8, 0.4]])
    moved = reference - 0.002
    assert compare(moved, reference, "multi_label").label_agreement == pytest.approx(2 / 3)
    assert compare(moved, reference).label_agreement == 1
    swapped = reference[:, [1, 0, 2]]
    assert compare(swapped, reference, "multi_label").label_agreement == 0
    assert compare(reference, reference, "multi_label").within_gate("fp32")
    on_it = np.array([[0.9, 0.5], [0.9, 0.5]])
    assert compare(on_it - 1e-6, on_it, "multi_label").label_agreement == 1
    assert compare(on_it + 1e-4, on_it - 1e-4, "multi_label").label_agreement == 0


def test_values_are_compared_by_their_range() -> None:
    """The same figures in any unit: a regression's values may be of any size."""
    reference = np.array([[1.0], [3.0], [5.0]])
    moved = reference + np.array([[0.0], [0.2], [-0.1]])
    for unit in (1e-3, 1.0, 1e6):
        figures = compare(moved * unit, reference * unit, "regression")
        assert figures.label_agreement == 1
        assert figures.largest_difference == pytest.approx(0.2 / 4)
        assert figures.mean_difference == pytest.approx(0.3 / 3 / 4)
    alone = compare(np.array([[2.5]]), np.array([[2.0]]), "regression")
    assert alone.largest_difference == 0.5
    assert not compare(np.array([[np.nan]]), np.array([[2.0]]), "regression").within_gate("fp16")


@pytest.mark.parametrize("shape", [(0, 3), (4, 2), (3, 3)])
def test_nothing_to_compare_is_an_error(shape: tuple[int, int]) -> None:
    """No texts, or other texts, cannot pass by accident."""
    with pytest.raises(ValueError, match="cannot compare"):
        compare(np.zeros(shape), REFERENCE[: shape[0]] if shape[0] == 0 else REFERENCE)
