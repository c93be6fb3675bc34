"""A fast session whose near ties an exact one decides."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.inference.gate import LOW_MARGIN, LowMarginFallback, low_margin
from scorer.inference.session import RuntimeInfo

FAST = RuntimeInfo("StubProvider", "builtin", "int8", "stub", 3, "a stub")
EXACT = RuntimeInfo("StubProvider", "builtin", "fp32", "stub", 3, "a stub")


class StubSession:
    """Answers each text by its first token, from a table of leads, and keeps what it was asked."""

    token_budget, callers = 64, 3
    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(self, info: RuntimeInfo, leads: dict[int, float]) -> None:
        self.info = info
        self.asked: list[list[int]] = []
        self._leads = leads

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return logits whose first class is ahead by the lead of the row's first token."""
        self.asked.append(ids[:, 0].tolist())
        leads = np.array([self._leads[first] for first in ids[:, 0]])
        # Of two classes with probabilities (1 + lead) / 2 and (1 - lead) / 2.
        logits: NDArray[np.float32] = np.log([1 + leads, 1 - leads]).T.astype(np.float32)
        return logits


def logits(*leads: float) -> NDArray[np.float32]:
    """Return answers whose first class is ahead by the leads."""
    return StubSession(FAST, dict(enumerate(leads))).run(np.arange(len(leads))[:, np.newaxis])


def test_near_is_what_the_gate_cannot_keep_from_turning() -> None:
    """A lead of just under the bound is near, one of just over is not, whoever is ahead."""
    near, far = LOW_MARGIN - 1e-3, LOW_MARGIN + 1e-3
    assert low_margin(logits(far, near, -near, -far, 0.9)).tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_an_answer_that_is_no_number_is_left_for_the_classifier_to_refuse() -> None:
    """It is no near tie: scoring it again would hide a broken session."""
    assert not low_margin(logits(np.nan)).any()


def test_a_text_of_one_token_is_exact() -> None:
    """The pooled token without a context: there is nothing that int8 could be used for."""
    fast, exact = StubSession(FAST, {}), StubSession(EXACT, {7: 0.9})
    LowMarginFallback(fast, exact).run(np.array([[7]]))
    assert (fast.asked, exact.asked) == ([], [[7]])


def test_other_texts_are_asked_of_the_fast_session() -> None:
    """Whoever collects the near ties of a window gets the exact one with it."""
    fast, exact = StubSession(FAST, {7: 0.0}), StubSession(EXACT, {})
    joined = LowMarginFallback(fast, exact)
    joined.run(np.array([[7, 8]]))
    assert (fast.asked, exact.asked) == ([[7]], [])
    assert joined.exact is exact


@pytest.mark.parametrize("attribute", ["info", "token_budget", "callers"])
def test_it_is_the_fast_session_to_the_rest(attribute: str) -> None:
    """What is reported, and how batches are planned, is the fast session's."""
    fast = StubSession(FAST, {})
    joined = LowMarginFallback(fast, StubSession(EXACT, {}))
    assert getattr(joined, attribute) == getattr(fast, attribute)
