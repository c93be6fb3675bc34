"""The canary goes through the model in the batches of the window that is scored first."""

import numpy as np
import pytest

from scorer.errors import DeviceUnavailable, GateFailed
from scorer.inference import classifier, loading
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.preparation import Preparation
from scorer.options import ModelSpec
from tests.inference.test_classifier import TWEETS, StubSession, column, stub_sessions

WINDOW = column([*TWEETS, None, TWEETS[0], "", *reversed(TWEETS)])


@pytest.fixture(scope="module", params=["tiny_bert_bundle", "tiny_gpt2_bundle"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def preparation(bundle: Bundle) -> Preparation:
    return Preparation(bundle)


class FailingStub(StubSession):
    """A stub that has no memory for more rows than the canary has."""

    most = 1 << 30

    def run(self, ids: np.ndarray) -> np.ndarray:
        """Answer, or fail."""
        if len(ids) > self.most:
            raise DeviceUnavailable("out of memory", "use smaller batches")
        return super().run(ids)


def test_a_first_window_is_answered_with_the_canary(
    bundle: Bundle, preparation: Preparation
) -> None:
    """Its own turn asks the model nothing more, and all that it says is as ever."""
    session, alone = StubSession(bundle), Classifier(bundle, StubSession(bundle))
    first = preparation(WINDOW)
    together = Classifier(bundle, session, (), preparation, first)
    assert together.canary == alone.canary
    session.shapes.clear()
    found, expected = together.score(first), alone.score(alone.prepare(WINDOW))
    assert session.shapes == []
    assert found.label_ids.tolist() == expected.label_ids.tolist()
    assert found.probabilities.tobytes() == expected.probabilities.tobytes()
    assert found.counters == expected.counters
    assert found.remembered == 0


def test_a_first_windows_answers_are_for_its_own_turn(
    bundle: Bundle, preparation: Preparation
) -> None:
    """If another window comes, they are kept no longer; after it they are remembered."""
    session, first = StubSession(bundle), preparation(WINDOW)
    opened = Classifier(bundle, session, (), preparation, first)
    opened.score(first)
    session.shapes.clear()
    assert opened.classify(WINDOW).remembered == len(first.scorable)
    assert session.shapes == []
    opened = Classifier(bundle, session, (), preparation, first)
    opened.classify(column(["somebody else's tweet"]))
    session.shapes.clear()
    assert opened.score(first).remembered == 0
    assert session.shapes != []


def test_the_canary_shares_the_windows_batches(bundle: Bundle, preparation: Preparation) -> None:
    """Together they are fewer batches than one after the other."""
    first, shared, alone = preparation(WINDOW), StubSession(bundle), StubSession(bundle)
    shared.token_budget = alone.token_budget = 4096
    Classifier(bundle, shared, (), preparation, first)
    opened = Classifier(bundle, alone, (), preparation)
    opened.score(first)
    assert len(shared.shapes) < len(alone.shapes)


def test_a_large_window_is_not_scored_before_the_canary(
    bundle: Bundle, preparation: Preparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that fails the gate is not to have scored it for nothing."""
    first, session = preparation(WINDOW), StubSession(bundle)
    monkeypatch.setattr(classifier, "_MOST_WITH_CANARY", len(first.tokens.ids) - 1)
    opened = Classifier(bundle, session, (), preparation, first)
    before = len(session.shapes)
    opened.score(first)
    assert len(session.shapes) > before


def test_on_a_gpu_the_canary_stays_alone(bundle: Bundle, preparation: Preparation) -> None:
    """There an answer may depend on its batch."""
    session, first = StubSession(bundle, device="cuda"), preparation(WINDOW)
    opened = Classifier(bundle, session, (), preparation, first)
    before = len(session.shapes)
    opened.score(first)
    assert len(session.shapes) > before


def test_what_a_window_breaks_is_not_the_models_fault(
    bundle: Bundle, preparation: Preparation
) -> None:
    """A session that fails with it is proven on the canary alone; then its own turn fails."""
    session, first = FailingStub(bundle), preparation(column([f"no {i}" for i in range(100)]))
    session.token_budget = 4096
    session.most = len(preparation.canary.texts)
    opened = Classifier(bundle, session, (), preparation, first)
    assert opened.canary.label_agreement == 1
    with pytest.raises(DeviceUnavailable, match="out of memory"):
        opened.score(first)


def test_a_canary_outside_the_gate_fails_with_a_window_as_it_does_alone(
    bundle: Bundle, preparation: Preparation
) -> None:
    """No score of such a session is ever seen."""
    with pytest.raises(GateFailed, match="differs from PyTorch"):
        Classifier(bundle, StubSession(bundle, 1e-3), (), preparation, preparation(WINDOW))


def test_the_window_is_scored_by_the_session_that_passes(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the one that was passed over had answered is gone with it."""
    shifts: dict[str, float | None] = {
        "openvino bf16": 1.0,
        "openvino fp32": 0.0,
        "builtin fp32": 0.0,
    }
    stub_sessions(bundle, monkeypatch, shifts)
    candidate = loading.load(bundle, ModelSpec())
    assert candidate.device == "openvino"
    first = candidate.prepare(WINDOW)
    opened = candidate.prove(first)
    assert opened.runtime.precision == "fp32"
    exact = Classifier(bundle, StubSession(bundle)).classify(WINDOW)
    assert opened.score(first).probabilities.tobytes() == exact.probabilities.tobytes()


def test_a_window_of_blanks_and_one_without_rows(bundle: Bundle, preparation: Preparation) -> None:
    """There is nothing to score, and the canary is scored all the same."""
    for texts in (column([None, "", " "]), column([])):
        first = preparation(texts)
        opened = Classifier(bundle, StubSession(bundle), (), preparation, first)
        assert opened.canary.label_agreement == 1
        assert opened.score(first).label_ids.tolist() == [-1] * len(texts)
