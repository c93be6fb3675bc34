"""A fast session whose near ties an exact one decides.

A precision that is admitted by the gate moves a probability by at most `MAX_DIFFERENCE`, so it can
turn a label only where the two best classes are less than twice that apart. Those texts are
scored again in fp32: the label is fp32's, for every text whose error is within the gate. On
tweets that is one text in twenty, which costs a tenth of the speed.

Whether a text is one of them depends on its own answer alone, never on the rows around it.
"""

import numpy as np
from numpy.typing import NDArray

from scorer.inference import labels
from scorer.inference.gate import MAX_DIFFERENCE
from scorer.inference.runtime.session import RuntimeInfo, Session

NEAR = 2 * MAX_DIFFERENCE  # of probabilities


class NearTies:
    """Two sessions of one model, the fast one asked first."""

    warnings: tuple[str, ...] = ()  # sessions in host memory have none

    def __init__(self, fast: Session, exact: Session) -> None:
        self.info: RuntimeInfo = fast.info
        self.token_budget = fast.token_budget
        self.callers = fast.callers
        self._fast = fast
        self._exact = exact

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        if ids.shape[1] == 1:  # the pooled token and no context: nothing to be fast about
            return self._exact.run(ids)
        logits = self._fast.run(ids)
        (near,) = np.nonzero(_leads(logits) < NEAR)
        if len(near):
            logits[near] = self._exact.run(ids[near])
        return logits


def _leads(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far the best class of each row is ahead of the second; NaN where one is NaN."""
    best = np.sort(labels.probabilities(logits), axis=1)
    lead: NDArray[np.float32] = best[:, -1] - best[:, -2]
    return lead
