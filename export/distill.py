"""Targets that doubt: labels mixed with the answers of models that have not seen the text.

A tweet's label is one person's opinion. A model that learnt from other tweets knows which
labels are likely to be disputed; to learn from both gives better scores than from the label.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.inference.labels import probabilities


def one_hot(label_ids: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """Return targets that are certain, [rows, classes]."""
    return np.eye(classes, dtype=np.float32)[label_ids]


def blend(
    label_ids: NDArray[np.int64], logits: NDArray[np.float32], weight: float
) -> NDArray[np.float32]:
    """Return targets of which `weight` is a model's answer and the rest the label."""
    certain = one_hot(label_ids, logits.shape[1])
    return (1 - weight) * certain + weight * probabilities(logits)
