"""Batches that a device cannot hold are halved: whose memory is short is known only by trying."""

import threading

import numpy as np
from numpy.typing import NDArray

from scorer.errors import DeviceFull
from scorer.inference.runtime.session import RuntimeInfo, Session


class HalvingSession:
    """A session that goes on with smaller batches when its device's memory is used up.

    The rows of a batch are independent, so halves answer the same. On a GPU another number of
    rows may choose another kernel: that is within what is promised there (docs/guarantees.md).
    """

    exact = None

    def __init__(self, session: Session) -> None:
        self.info: RuntimeInfo = session.info
        self.token_budget: int = session.token_budget
        self.callers: int = session.callers
        self.warnings: tuple[str, ...] = ()
        self._session = session
        self._first_budget = session.token_budget
        self._change = threading.Lock()

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length].

        Raises:
            DeviceFull: The device cannot hold a single row.
        """
        budget = self.token_budget
        rows, length = ids.shape
        most = max(1, budget // length)
        if rows > most:  # planned when the budget was larger
            return np.concatenate([self.run(ids[i : i + most]) for i in range(0, rows, most)])
        try:
            return self._session.run(ids)
        except DeviceFull:
            if rows == 1:
                raise
        self._halve(budget)
        half = (rows + 1) // 2
        return np.concatenate([self.run(ids[:half]), self.run(ids[half:])])

    def _halve(self, tried: int) -> None:
        """Halve the budget for the rest of the run, once for all callers that tried with it."""
        with self._change:
            if self.token_budget == tried:
                self.token_budget = max(1, tried // 2)
                words = (
                    "the GPU's memory ran out: batches are now of at most "
                    f"{self.token_budget:,} tokens instead of {self._first_budget:,}"
                )
                self.warnings = (words,)
