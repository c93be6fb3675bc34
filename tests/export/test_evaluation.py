"""Figures and pictures that go with a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.train.evaluation import baseline, draw_confusion_matrix, draw_reliability, evaluate

LABELS = ("negative", "neutral", "positive")
# Predicted 0, 0, 1, 2 where 0, 1, 1, 1 is true.
TRUE = np.array([0, 1, 1, 1])


@pytest.fixture
def logits() -> NDArray[np.float32]:
    return 2 * np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]


def test_metrics_by_hand(logits: NDArray[np.float32]) -> None:
    """Accuracy, F1 and the matrix are those that a pencil finds; rows of it are the truth."""
    metrics = evaluate(logits, TRUE, LABELS, temperature=1.0)
    assert metrics["accuracy"] == 0.5
    assert metrics["confusion_matrix"] == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]
    assert metrics["per_class"]["negative"] == pytest.approx(
        {"precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1}
    )
    assert metrics["per_class"]["neutral"] == pytest.approx(
        {"precision": 1, "recall": 1 / 3, "f1": 0.5, "support": 3}
    )
    assert metrics["per_class"]["positive"]["f1"] == 0
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 3)


def test_calibration_error_before_and_after(logits: NDArray[np.float32]) -> None:
    """All scores are alike, so the error is the distance of score and accuracy."""
    metrics = evaluate(logits, TRUE, LABELS, temperature=4.0)
    at_1, at_4 = (np.exp(2 / t) / (np.exp(2 / t) + 2) for t in (1, 4))
    assert metrics["ece_uncalibrated"] == pytest.approx(at_1 - 0.5, abs=1e-6)
    assert metrics["ece"] == pytest.approx(abs(at_4 - 0.5), abs=1e-6)
    assert metrics["temperature"] == 4.0


def test_temperature_does_not_change_accuracy(logits: NDArray[np.float32]) -> None:
    """A temperature moves scores, never labels."""
    cold, hot = (evaluate(logits, TRUE, LABELS, t)["confusion_matrix"] for t in (0.1, 10))
    assert cold == hot


def test_pictures_are_png(tmp_path: Path, logits: NDArray[np.float32]) -> None:
    """Both pictures are drawn without a display."""
    metrics = evaluate(logits, TRUE, LABELS, temperature=2.0)
    draw_confusion_matrix(metrics, tmp_path / "matrix.png")
    draw_reliability(logits, TRUE, 2.0, tmp_path / "reliability.png")
    for name in ("matrix.png", "reliability.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG\r\n")


def test_baseline_counts_labels_scores_lengths_and_unknown_tokens(
    logits: NDArray[np.float32],
) -> None:
    """Shares and histograms add up to the rows they were taken from."""
    token_ids = [[7, 1, 8], [7, 8], [7, 1, 8], [7, 2, 2, 8]]
    figures = baseline(logits, token_ids, LABELS, temperature=1.0, unknown_id=1)
    assert figures["rows"] == 4
    assert figures["label_shares"] == {"negative": 0.5, "neutral": 0.25, "positive": 0.25}
    assert figures["length_histogram"] == {"2": 1, "3": 2, "4": 1}
    assert figures["unknown_token_share"] == pytest.approx(2 / 12)
    counts = figures["score_histogram"]["counts"]
    assert counts[15] == sum(counts) == 4  # all at 0.787, the bin from 0.75 to 0.80
    assert len(figures["score_histogram"]["edges"]) == len(counts) + 1


def test_baseline_of_a_tokenizer_without_unknown_token(logits: NDArray[np.float32]) -> None:
    """A byte-level tokenizer knows everything."""
    figures = baseline(logits, [[1]] * 4, LABELS, temperature=1.0, unknown_id=None)
    assert figures["unknown_token_share"] == 0
