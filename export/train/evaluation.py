"""Evaluates a checkpoint on held-out texts: metrics, calibration and plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scorer.inference.labels import label_ids as predicted_ids
from scorer.inference.labels import probabilities

_BINS = 15
_BOUNDS = (0.05, 20.0)  # of a temperature


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
        bounds=np.log(_BOUNDS),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return round(float(np.exp(result.x)), 6)


def is_at_bound(temperature: float) -> bool:
    """Return whether the best temperature may lie outside of what is searched."""
    low, high = _BOUNDS
    return not low * 1.01 < temperature < high / 1.01


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


_SCORE_BINS = 20


def evaluate(
    logits: NDArray[np.float32],
    label_ids: NDArray[np.int64],
    labels: Sequence[str],
    temperature: float,
) -> dict[str, Any]:
    """Return the metrics of a model on labelled rows, as ``evaluation.json`` holds them."""
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    calibrated = probabilities(logits, temperature)
    predicted = predicted_ids(calibrated)
    classes = np.arange(len(labels))
    precision, recall, f1, support = precision_recall_fscore_support(
        label_ids, predicted, labels=classes, zero_division=0
    )
    return {
        "accuracy": float((predicted == label_ids).mean()),
        "macro_f1": float(f1.mean()),
        "per_class": {
            label: {
                "precision": float(precision[i]),
                "recall": float(recall[i]),
                "f1": float(f1[i]),
                "support": int(support[i]),
            }
            for i, label in enumerate(labels)
        },
        "confusion_matrix": confusion_matrix(label_ids, predicted, labels=classes).tolist(),
        "ece": expected_calibration_error(*_outcomes(calibrated, label_ids)),
        "ece_uncalibrated": expected_calibration_error(
            *_outcomes(probabilities(logits), label_ids)
        ),
        "temperature": temperature,
    }


def baseline(
    logits: NDArray[np.float32],
    token_ids: Sequence[Sequence[int]],
    labels: Sequence[str],
    temperature: float,
    unknown_id: int | None,
) -> dict[str, Any]:
    """Return the baseline that drift is measured against.

    The counts are of rows that the model was not trained on: it is too sure of its training rows.
    """
    calibrated = probabilities(logits, temperature)
    shares = np.bincount(predicted_ids(calibrated), minlength=len(labels)) / len(logits)
    edges = np.linspace(0, 1, _SCORE_BINS + 1)
    lengths = np.bincount([len(ids) for ids in token_ids])
    tokens = np.concatenate([np.asarray(ids) for ids in token_ids])
    unknown = 0.0 if unknown_id is None else float((tokens == unknown_id).mean())
    return {
        "rows": len(logits),
        "label_shares": {label: float(shares[i]) for i, label in enumerate(labels)},
        "score_histogram": {
            "edges": [round(float(edge), 6) for edge in edges],
            "counts": np.histogram(calibrated.max(axis=1), edges)[0].tolist(),
        },
        "length_histogram": {str(n): int(count) for n, count in enumerate(lengths) if count},
        "unknown_token_share": unknown,
    }


def draw_confusion_matrix(metrics: dict[str, Any], path: Path) -> None:
    """Draw the confusion matrix as a PNG, shaded by the share of the true class."""
    labels = list(metrics["per_class"])
    counts = np.asarray(metrics["confusion_matrix"])
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = _figure()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        dark = shares[row, column] > 0.5
        colour = "white" if dark else "black"
        text = f"{count:,}\n{shares[row, column]:.0%}"
        axes.text(column, row, text, ha="center", va="center", color=colour)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"accuracy {metrics['accuracy']:.3f}, macro F1 {metrics['macro_f1']:.3f}")
    figure.savefig(path)


def draw_reliability(
    logits: NDArray[np.float32], label_ids: NDArray[np.int64], temperature: float, path: Path
) -> None:
    """Draw accuracy over confidence as a PNG, before and after the temperature."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="perfect")
    for name, scale in (("temperature 1", 1.0), (f"temperature {temperature:.2f}", temperature)):
        scores = probabilities(logits, scale)
        confidences, correct = _outcomes(scores, label_ids)
        rows, confidence, accuracy = reliability(confidences, correct).T
        error = expected_calibration_error(confidences, correct)
        filled = rows > 0
        axes.plot(confidence[filled], accuracy[filled], "o-", label=f"{name}: ECE {error:.3f}")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xlabel("score")
    axes.set_ylabel("share that is right")
    axes.legend(loc="upper left")
    figure.savefig(path)


def _figure() -> tuple[Any, Any]:
    """Return a figure that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="tight")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _outcomes(
    scores: NDArray[np.float32], label_ids: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the confidence of every answer and whether it is right."""
    return scores.max(axis=1), predicted_ids(scores) == label_ids
