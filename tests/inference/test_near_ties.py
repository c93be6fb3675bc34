"""A fast session whose near ties an exact one decides."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.inference import labels
from scorer.inference.runtime.near_ties import NEAR, NearTies
from scorer.inference.runtime.session import RuntimeInfo

FAST = RuntimeInfo("StubProvider", "builtin", "int8", "stub", 3, "a stub")
EXACT = RuntimeInfo("StubProvider", "builtin", "fp32", "stub", 3, "a stub")


class StubSession:
    """Answers each text by its first token, from a table of leads, and keeps what it was asked."""

    token_budget, callers = 64, 3
    warnings: tuple[str, ...] = ()

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


def texts(*first: int, length: int = 2) -> NDArray[np.int64]:
    return np.array([[token] * length for token in first])


def test_only_near_ties_are_scored_again() -> None:
    """A lead of just under the bound is near, one of just over is not, whoever is ahead."""
    near, far = NEAR - 1e-3, NEAR + 1e-3
    fast = StubSession(FAST, {1: far, 2: near, 3: -near, 4: -far, 5: 0.9})
    exact = StubSession(EXACT, {2: -0.5, 3: 0.5})
    answers = NearTies(fast, exact).run(texts(1, 2, 3, 4, 5))
    assert exact.asked == [[2, 3]]
    leads = labels.probabilities(answers) @ np.array([1, -1])
    np.testing.assert_allclose(leads, [far, -0.5, 0.5, -far, 0.9], atol=1e-6)


def test_without_near_ties_the_exact_session_rests() -> None:
    """No text, no call: an empty batch is nothing that a session can be given."""
    exact = StubSession(EXACT, {})
    NearTies(StubSession(FAST, {1: 0.8}), exact).run(texts(1, 1))
    assert exact.asked == []


def test_a_text_of_one_token_is_exact() -> None:
    """The pooled token without a context: there is nothing that int8 could be used for."""
    fast = StubSession(FAST, {})
    NearTies(fast, StubSession(EXACT, {7: 0.9})).run(texts(7, length=1))
    assert fast.asked == []


def test_an_answer_that_is_no_number_is_left_for_the_classifier_to_refuse() -> None:
    """It is no near tie: scoring it again would hide a broken session."""
    exact = StubSession(EXACT, {})
    answers = NearTies(StubSession(FAST, {1: np.nan}), exact).run(texts(1))
    assert np.isnan(answers).all()
    assert exact.asked == []


@pytest.mark.parametrize("attribute", ["info", "token_budget", "callers"])
def test_it_is_the_fast_session_to_the_rest(attribute: str) -> None:
    """What is reported, and how batches are planned, is the fast session's."""
    fast = StubSession(FAST, {})
    joined = NearTies(fast, StubSession(EXACT, {}))
    assert getattr(joined, attribute) == getattr(fast, attribute)
