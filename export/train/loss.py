"""The loss against targets that are distributions."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional


def soft_cross_entropy(smoothing: float, weights: torch.Tensor | None = None) -> Any:
    """Return the loss in the form the Trainer calls.

    Args:
        smoothing: Of a target, spread over all classes.
        weights: Of the classes; None: all weigh 1.
    """

    def loss(
        outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | None = None
    ) -> torch.Tensor:
        logits = outputs.logits.float()
        total = functional.cross_entropy(
            logits,
            labels.to(logits.dtype),
            weight=None if weights is None else weights.to(logits.device),
            reduction="sum",
            label_smoothing=smoothing,
        )
        # The Trainer counts the numbers in `labels` over all batches of an accumulated step.
        items = labels.numel() if num_items_in_batch is None else num_items_in_batch
        return total * labels.shape[1] / items

    return loss


def balanced_weights(targets: NDArray[np.float32]) -> torch.Tensor:
    """Return a weight per class with which each class that occurs weighs as much as another.

    Args:
        targets: [rows, classes]. Their weighted sum is that of the rows.
    """
    shares = targets.mean(axis=0, dtype=np.float64)
    weights = np.divide(1, shares, out=np.zeros_like(shares), where=shares > 0)
    return torch.tensor(weights / (shares > 0).sum(), dtype=torch.float32)
