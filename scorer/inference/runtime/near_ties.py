"""A fast session, and an exact session that decides the texts whose margin is low.

A precision that is admitted by the gate moves a probability by at most `MAX_DIFFERENCE`, so it can
turn a label only where the two best classes are less than twice that apart. Those texts are
scored again in fp32: the label is fp32's, for every text whose error is within the gate. On
tweets that is one text in thirty. They are collected over a window, because a batch has one or
two of them, and two rows take 1.6 times as long per row as a full batch: 5.6 % less time for
16,349 tweets on one core (medians of three, alternating).

Whether a text is one of them depends on its own answer alone, never on the rows around it.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.inference import labels
from scorer.inference.gate import MAX_DIFFERENCE
from scorer.inference.runtime.session import RuntimeInfo, Session

LOW_MARGIN = 2 * MAX_DIFFERENCE  # between the two best probabilities


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
        # A text of one token is the pooled one and no context: nothing to be fast about.
        return (self._fast if ids.shape[1] > 1 else self.exact).run(ids)


def low_margin(logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return for each row [rows, classes] whether its margin is low; False where one is NaN."""
    best = np.sort(labels.probabilities(logits), axis=1)
    low: NDArray[np.bool_] = best[:, -1] - best[:, -2] < LOW_MARGIN
    return low
