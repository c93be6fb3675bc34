"""Temperature and calibration error, against values worked out by hand."""

import numpy as np
import pytest

from export.train.evaluation import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)


def test_temperature_turns_confidence_into_the_rate_of_success() -> None:
    """Two classes, a gap of 4 and three of four right: the score must become 3/4.

    sigmoid(4 / T) = 3/4 means T = 4 / ln 3.
    """
    logits = np.array([[4, 0]] * 4, dtype=np.float32)
    assert fit_temperature(logits, np.array([0, 0, 0, 1])) == pytest.approx(4 / np.log(3), abs=1e-4)


def test_temperature_sharpens_a_timid_model() -> None:
    """A gap of 1 and 99 of 100 right: sigmoid(1 / T) = 99/100 means T = 1 / ln 99."""
    logits = np.array([[1, 0]] * 100, dtype=np.float32)
    label_ids = np.array([0] * 99 + [1])
    assert fit_temperature(logits, label_ids) == pytest.approx(1 / np.log(99), abs=1e-4)


def test_temperature_is_bounded() -> None:
    """A model that is always right on a few rows does not get a temperature of zero."""
    assert fit_temperature(np.eye(3, dtype=np.float32), np.arange(3)) == pytest.approx(
        0.05, rel=0.01
    )


def test_likelihood_of_a_uniform_model() -> None:
    """Equal logits over three classes cost ln 3 at any temperature."""
    logits = np.zeros((2, 3), dtype=np.float32)
    assert negative_log_likelihood(logits, np.array([0, 2]), 0.7) == pytest.approx(np.log(3))


def test_calibration_error_by_hand() -> None:
    """Two bins of two rows: |0.55 - 0.5| and |0.95 - 1.0|, each with half of the weight."""
    confidences = np.array([0.54, 0.56, 0.94, 0.96], dtype=np.float32)
    correct = np.array([True, False, True, True])
    assert expected_calibration_error(confidences, correct, bins=5) == pytest.approx(0.05, abs=1e-6)


def test_bins_hold_their_upper_edge() -> None:
    """0.5 of two bins lies in the first, certainty in the last, and nothing is lost."""
    confidences = np.array([0.5, 1.0, 0.0, 0.75], dtype=np.float32)
    table = reliability(confidences, np.array([True, True, False, False]), bins=2)
    assert table[:, 0].tolist() == [2, 2]
    assert table[:, 1].tolist() == pytest.approx([0.25, 0.875])
    assert table[:, 2].tolist() == [0.5, 0.5]


def test_fifteen_bins_by_default() -> None:
    """The figure in every report is over 15 bins; a bin without rows adds nothing."""
    confidences = np.array([0.4, 0.9], dtype=np.float32)
    assert reliability(confidences, np.array([True, True])).shape == (15, 3)
    assert expected_calibration_error(confidences, np.array([True, True])) == pytest.approx(0.35)
