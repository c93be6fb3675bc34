"""The gate: how far the served answers may lie from PyTorch's.

The export's parity check and the canary of every run measure with the same function and
judge by the same bounds. Probabilities are softmax at temperature 1: the fitted temperature
would hide or magnify differences that belong to the arithmetic.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.counts import counted
from scorer.inference.metadata import Metadata, Parity, told

MIN_LABEL_AGREEMENT = 0.998
MAX_DIFFERENCE = 0.05
FP32_MIN_LABEL_AGREEMENT = 1.0
FP32_MAX_DIFFERENCE = 1e-5


@dataclass(frozen=True, slots=True)
class Figures:
    """How two sets of probabilities for the same texts compare."""

    texts: int
    label_agreement: float  # share of texts whose most probable class is the same
    largest_difference: float  # of any probability of any text; NaN if one is NaN
    mean_difference: float

    def within_gate(self, precision: str) -> bool:
        """Return whether the figures keep the promise of that precision."""
        agreement, difference = bounds(precision)
        # NaN compares false, so a broken session is outside.
        return self.label_agreement >= agreement and self.largest_difference <= difference

    def __str__(self) -> str:
        """Return the figures as one clause for messages."""
        return (
            f"label agreement {self.label_agreement:.2%}, largest probability difference "
            f"{self.largest_difference:.1e} on {counted(self.texts, 'text')}"
        )


def bounds(precision: str) -> tuple[float, float]:
    """Return the least label agreement and the largest difference that the gate admits."""
    if precision == "fp32":
        return FP32_MIN_LABEL_AGREEMENT, FP32_MAX_DIFFERENCE
    return MIN_LABEL_AGREEMENT, MAX_DIFFERENCE


def is_proven(metadata: Metadata, precision: str) -> bool:
    """Tell whether a bundle has a graph for a precision that its export found within the gate.

    An export publishes figures of nothing else.
    """
    entries = told(metadata.parity, list[Parity]) or ()
    return precision in metadata.graphs and any(each.precision == precision for each in entries)


def was_outside(metadata: Metadata, device: str, precision: str, architecture: str) -> bool:
    """Tell whether a bundle's export met a precision outside the gate on such a device."""
    met = {"device": device, "precision": precision, "architecture": architecture}
    return met in (told(metadata.outside_gate, list[dict[str, str]]) or ())


def compare(probabilities: NDArray[np.floating], reference: NDArray[np.floating]) -> Figures:
    """Compare [texts, classes] probabilities with the reference's, of the same shape."""
    if probabilities.shape != reference.shape or len(reference) == 0:
        raise ValueError(f"cannot compare shapes {probabilities.shape} and {reference.shape}")
    difference = np.abs(probabilities.astype(np.float64) - reference.astype(np.float64))
    agreement = probabilities.argmax(axis=1) == reference.argmax(axis=1)
    return Figures(
        texts=len(reference),
        label_agreement=float(agreement.mean()),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
    )
