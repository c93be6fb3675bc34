"""The gate: how far answers may differ from PyTorch's, and low margins decided by fp32."""

from typing import Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from scorer.errors import GateFailed
from scorer.hints import counted
from scorer.inference import labels
from scorer.inference.bundle import Bundle, Canary
from scorer.inference.bundle.metadata import Metadata, Parity, Share, decoded
from scorer.inference.session import RuntimeInfo, Session
from scorer.options import THRESHOLD
from scorer.records import Task

MIN_LABEL_AGREEMENT = 0.998
MAX_DIFFERENCE = 0.05
FP32_MIN_LABEL_AGREEMENT = 1.0
FP32_MAX_DIFFERENCE = 1e-5


class Figures(Struct, frozen=True, forbid_unknown_fields=True):
    """How two sets of answers for the same texts compare."""

    texts: Annotated[int, Meta(ge=0)]
    label_agreement: Share  # of texts whose labels are the same
    largest_difference: Share  # of any probability of any text; NaN if one is NaN
    mean_difference: Share

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
    entries = decoded(metadata.parity, list[Parity]) or ()
    return precision in metadata.graphs and any(each.precision == precision for each in entries)


def was_outside(metadata: Metadata, device: str, precision: str, architecture: str) -> bool:
    """Tell whether a bundle's export measured a precision outside the gate on such a device."""
    met = {"device": device, "precision": precision, "architecture": architecture}
    return met in (decoded(metadata.outside_gate, list[dict[str, str]]) or ())


def compare(
    scores: NDArray[np.floating], reference: NDArray[np.floating], task: Task = "single_label"
) -> Figures:
    """Compare [texts, classes] scores with the reference's, of the same shape.

    The labels of a text are its best class and, of a multi-label model, all from the default
    threshold on. A regression has no label, and its values may be of any size: their differences
    are shares of the range of the reference's values.
    """
    if scores.shape != reference.shape or len(reference) == 0:
        raise ValueError(f"cannot compare shapes {scores.shape} and {reference.shape}")
    difference = np.abs(scores.astype(np.float64) - reference.astype(np.float64))
    difference /= unit(reference, task)
    agreement = scores.argmax(axis=1) == reference.argmax(axis=1)
    if task == "multi_label":
        same = (scores >= THRESHOLD) == (reference >= THRESHOLD)
        # Of some hundred classes one may lie on the threshold itself, where either side is right.
        same |= np.abs(reference - THRESHOLD) <= FP32_MAX_DIFFERENCE
        agreement &= same.all(axis=1)
    return Figures(
        texts=len(reference),
        label_agreement=float(agreement.mean()),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
    )


def unit(reference: NDArray[np.floating], task: Task) -> float:
    """Return what differences from a reference's scores are measured in.

    Probabilities have one of their own; of values, which may be of any size, it is the range.
    """
    return float(np.ptp(reference.astype(np.float64))) or 1.0 if task == "regression" else 1.0


def check_token_ids(token_ids: list[list[int]], canary: Canary, bundle: Bundle) -> None:
    """Compare the tokenizer's ids with those of the training.

    Raises:
        GateFailed: They differ for some text.
    """
    pairs = zip(token_ids, canary.token_ids, strict=True)
    differing = sum(tuple(mine) != theirs for mine, theirs in pairs)
    if differing:
        trained = bundle.metadata.libraries.get("tokenizers", "another version")
        raise GateFailed(
            f"{differing} of {len(canary.texts)} canary texts of {bundle.name} get other token ids "
            "than in training",
            f"install the tokenizers it was exported with ({trained})",
        )


def measure(logits: NDArray[np.float32], canary: Canary, runtime: RuntimeInfo) -> Figures:
    """Compare a session's logits with PyTorch's, at temperature 1.

    Raises:
        GateFailed: They lie outside the gate of the session's precision.
    """
    answers, wanted = (labels.scores(each, canary.activation) for each in (logits, canary.logits))
    figures = compare(answers, wanted, canary.task)
    if not figures.within_gate(runtime.precision):
        agreement, difference = bounds(runtime.precision)
        raise GateFailed(
            f"the canary on {runtime.provider} in {runtime.precision} differs from PyTorch: "
            f"{figures} (the gate: {agreement:.1%}, {difference:.0e})",
            "choose another --precision or --device",
        )
    return figures


LOW_MARGIN = 2 * MAX_DIFFERENCE  # between two probabilities that add up to 1


class LowMarginFallback:
    """A fast session; `exact` decides the texts for which its margin is low."""

    warnings: tuple[str, ...] = ()  # sessions in host memory have none

    def __init__(self, fast: Session, exact: Session) -> None:
        self.info: RuntimeInfo = fast.info
        self.token_budget = fast.token_budget
        self.callers = fast.callers
        self.exact: Session = exact
        self._fast = fast

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes]; a text of low margin is undecided."""
        # A text of one token has no context, which is all that int8 computes.
        return (self._fast if ids.shape[1] > 1 else self.exact).run(ids)


def low_margin(logits: NDArray[np.float32], task: Task = "single_label") -> NDArray[np.bool_]:
    """Return for each row [rows, classes] whether its margin is low; False where one is NaN.

    A multi-label model's margin is that between the two best classes, as if a text were of one of
    the two, and between each class and its absence, which is where the default threshold lies. A
    regression has no label that could change, and so no margin.
    """
    if task == "regression":
        return np.zeros(len(logits), np.bool_)
    low: NDArray[np.bool_]
    if task == "single_label":
        best = np.sort(labels.probabilities(logits), axis=1)
        low = best[:, -1] - best[:, -2] < LOW_MARGIN
        return low
    wide = np.sort(logits.astype(np.float64), axis=1)
    margins = np.column_stack((wide[:, -1] - wide[:, -2], np.abs(wide)))
    low = np.tanh(margins / 2).min(axis=1) < LOW_MARGIN  # of the probabilities of such a pair
    return low
