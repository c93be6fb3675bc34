"""The temperature: one number by which logits are divided so that scores mean what they say."""

import numpy as np
from numpy.typing import NDArray

_BINS = 15


def fit_temperature(logits: NDArray[np.float32], label_ids: NDArray[np.int64]) -> float:
    """Return the temperature at which the labels are most likely, from 0.05 to 20.

    The negative log-likelihood has one minimum in the inverse temperature, so a bounded search
    in its logarithm finds it.

    Args:
        logits: [rows, classes], of rows that the model was not trained on.
        label_ids: [rows].
    """
    from scipy.optimize import minimize_scalar

    result = minimize_scalar(
        lambda log: negative_log_likelihood(logits, label_ids, float(np.exp(log))),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return round(float(np.exp(result.x)), 6)


def negative_log_likelihood(
    logits: NDArray[np.float32], label_ids: NDArray[np.int64], temperature: float
) -> float:
    """Return the mean of -log p(label) at a temperature."""
    from scipy.special import log_softmax

    log_probabilities = log_softmax(logits.astype(np.float64) / temperature, axis=1)
    return float(-log_probabilities[np.arange(len(label_ids)), label_ids].mean())


def reliability(
    confidences: NDArray[np.float32], correct: NDArray[np.bool_], bins: int = _BINS
) -> NDArray[np.float64]:
    """Return [bins, 3]: rows, mean confidence and accuracy of bins of equal width.

    A bin holds its upper edge, not its lower one. Empty bins are rows of zeros.
    """
    index = np.clip(np.ceil(confidences.astype(np.float64) * bins).astype(int) - 1, 0, bins - 1)
    rows = np.bincount(index, minlength=bins)
    divisor = np.maximum(rows, 1)
    confidence = np.bincount(index, weights=confidences, minlength=bins) / divisor
    accuracy = np.bincount(index, weights=correct, minlength=bins) / divisor
    return np.column_stack((rows, confidence, accuracy))


def expected_calibration_error(
    confidences: NDArray[np.float32], correct: NDArray[np.bool_], bins: int = _BINS
) -> float:
    """Return the mean distance between confidence and accuracy, weighted by the bins' rows."""
    rows, confidence, accuracy = reliability(confidences, correct, bins).T
    return float((rows * np.abs(confidence - accuracy)).sum() / rows.sum())
