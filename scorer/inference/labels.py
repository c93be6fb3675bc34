"""From logits to labels: a calibrated softmax and its most probable class."""

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return softmax(logits / temperature) per row, [rows, classes].

    Computed in float64, each row by itself, so that the result is the float32 nearest to the
    true value whatever the other rows are.
    """
    scaled = logits.astype(np.float64) / temperature
    exponentials = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return result.astype(np.float32)


def label_ids(probabilities: NDArray[np.float32]) -> NDArray[np.int16]:
    """Return the most probable class per row; a tie goes to the lowest id.

    Decided on the probabilities as they are written, so that a reader of the score columns
    comes to the same label.
    """
    best: NDArray[np.intp] = probabilities.argmax(axis=1)
    return best.astype(np.int16)
