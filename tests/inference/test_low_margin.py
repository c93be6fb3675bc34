"""A fast session, and an exact one that decides its texts of low margin."""

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.inference.gate import LOW_MARGIN, LowMarginFallback, low_margin
from scorer.inference.session import RuntimeInfo

FAST = RuntimeInfo("StubProvider", "builtin", "int8", "stub", 3, "a stub")
EXACT = RuntimeInfo("StubProvider", "builtin", "fp32", "stub", 3, "a stub")


class StubSession:
    """Answers each text by its first token, from a table of margins, and records its batches."""

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


def test_a_margin_is_low_where_the_gate_admits_another_label() -> None:
    """A margin just under the bound is low, one just over it is not, whichever class leads."""
    low, high = LOW_MARGIN - 1e-3, LOW_MARGIN + 1e-3
    assert low_margin(logits(high, low, -low, -high, 0.9)).tolist() == [
        False,
        True,
        True,
        False,
        False,
    ]


def test_an_answer_that_is_no_number_is_left_to_the_classifier() -> None:
    """Its margin is not low: scoring it again would hide a broken session."""
    assert not low_margin(logits(np.nan)).any()


def test_a_margin_of_several_labels_is_to_the_next_class_and_to_the_threshold() -> None:
    """Each as if it were between two classes; a text that is clearly of none keeps its answer."""
    near, far = (2 * np.arctanh(LOW_MARGIN + each) for each in (-1e-3, 1e-3))
    answers = np.array(
        [[-5, -5 - far, -9], [-5, -5 - near, -9], [5, far, -9], [5, near, -9], [5, -near, -9]],
        np.float32,
    )
    assert low_margin(answers, "multi_label").tolist() == [False, True, False, True, True]
    assert not low_margin(np.full((1, 3), np.nan, np.float32), "multi_label").any()
    assert not low_margin(answers[:, :1], "regression").any()


def test_a_text_of_one_token_is_exact() -> None:
    """The pooled token has no context, which is all that int8 computes."""
    fast, exact = StubSession(FAST, {}), StubSession(EXACT, {7: 0.9})
    LowMarginFallback(fast, exact).run(np.array([[7]]))
    assert (fast.asked, exact.asked) == ([], [[7]])


def test_other_texts_go_to_the_fast_session() -> None:
    """The exact session is there for the texts of low margin."""
    fast, exact = StubSession(FAST, {7: 0.0}), StubSession(EXACT, {})
    joined = LowMarginFallback(fast, exact)
    joined.run(np.array([[7, 8]]))
    assert (fast.asked, exact.asked) == ([[7]], [])
    assert joined.exact is exact


@pytest.mark.parametrize("attribute", ["info", "token_budget", "callers"])
def test_its_attributes_are_those_of_the_fast_session(attribute: str) -> None:
    """What is reported, and how batches are planned, is the fast session's."""
    fast = StubSession(FAST, {})
    joined = LowMarginFallback(fast, StubSession(EXACT, {}))
    assert getattr(joined, attribute) == getattr(fast, attribute)
