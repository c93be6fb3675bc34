"""The same text, the same bits: whatever stands beside it, through the whole of a run."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer.inference.answer_cache import AnswerCache
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.loading import Candidate
from scorer.inference.preparation import Prepared
from scorer.inference.runtime import Choice, choices
from scorer.inference.runtime.machine import inspect
from scorer.options import RunOptions
from scorer.records import OnShare, Scores
from scorer.run import pipeline
from tests.handles import handle_of, open_classifier
from tests.reports import report_json

ROOT = Path(__file__).parents[2]
MACHINE = inspect()
WAYS = {
    f"{choice.device} {choice.precision}": choice
    for precision in ("auto", "fp32")
    for choice in choices("cpu", precision, MACHINE)
}
TEXTS = [
    *pl.read_parquet(ROOT / "samples" / "tweets.parquet")["text"].unique(maintain_order=True)[:30],
    "ok",
    "so so sad",
    "one two three four five six seven eight nine ten " * 15,
    "one two three four five six seven eight nine ten " * 14,
    "\U0001f602\U0001f602 @someone &amp; https://example.com/a",
    "مرحبا بالعالم",
]


class Opened:
    """The embedded model, opened once for a number of threads.

    Args:
        memory: May answers of earlier windows be used? Those of earlier runs never are.
        anew: Is it proven once more, with the run's first window? Then it has a memory.
    """

    def __init__(self, classifier: Classifier, *, memory: bool, anew: bool = False) -> None:
        self.bundle: Bundle = classifier.bundle
        self._classifier = classifier
        self.device = classifier.runtime.device
        self.prepare = classifier._prepare
        self._anew = anew
        classifier._cache = AnswerCache(len(classifier.labels)) if memory else None

    def load(self) -> "Opened":
        """Be what prepares texts, and proves the session once more where that is wanted."""
        return self

    def _candidate(self) -> Candidate:
        session, preparation = self._classifier._session, self._classifier._prepare
        alone = (Choice("builtin", "fp32", "what the session really is does not matter"),)
        return Candidate(self.bundle, alone, lambda _: session, preparation)

    def prove(
        self, first: Prepared | None = None, on_share: OnShare = lambda _: None
    ) -> Classifier:
        """Return the classifier, which has proven itself."""
        if not self._anew:
            return self._classifier
        proven = self._candidate().prove(first, on_share)
        assert proven._first_window is not None  # the window went with the canary
        return proven


@cache
def opened(way: str, threads: int) -> Classifier:
    choice: Choice = WAYS[way]
    return open_classifier(
        open_bundle(), device=choice.device, precision=choice.precision, threads=threads
    )


def run(
    way: str,
    texts: Sequence[str],
    *,
    chunk_rows: int,
    threads: int,
    memory: bool,
    anew: bool = False,
) -> list[tuple[str, bytes]]:
    """Return each row's label, and all its probabilities down to the last bit."""
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tweets.parquet"
        pl.DataFrame({"text": texts}, schema={"text": pl.String}).write_parquet(path)
        model = Opened(opened(way, threads), memory=memory, anew=anew)
        options = RunOptions.of((path,), scores="all", chunk_rows=chunk_rows)
        (outcome,) = pipeline.run(options, model=handle_of(model))
        assert outcome.error is None
        scored = pl.read_parquet(outcome.output)
    assert scored["text"].to_list() == list(texts)
    rows = scored.drop("text", "label").to_numpy()
    return [(label, row.tobytes()) for label, row in zip(scored["label"], rows, strict=True)]


@cache
def alone(way: str) -> list[tuple[str, bytes]]:
    """Return the answers for TEXTS, each the only row of its window."""
    return run(way, TEXTS, chunk_rows=1, threads=1, memory=False)


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(st.integers(0, len(TEXTS) - 1), min_size=1, max_size=60),
    chunk_rows=st.integers(1, 70),
    threads=st.sampled_from([1, 2, 3]),
    memory=st.booleans(),
)
def test_a_texts_answer_is_its_own(
    way: str, rows: list[int], chunk_rows: int, threads: int, memory: bool
) -> None:
    """In any order, with any repeats, window and number of threads: the bits that it has alone."""
    texts = [TEXTS[row] for row in rows]
    answers = run(way, texts, chunk_rows=chunk_rows, threads=threads, memory=memory)
    assert answers == [alone(way)[row] for row in rows]


@pytest.mark.parametrize("way", WAYS)
def test_all_texts_together_get_what_they_get_alone(way: str) -> None:
    """One window of all of them, and the reverse order in small ones."""
    together = run(way, TEXTS, chunk_rows=100, threads=2, memory=True)
    backwards = run(way, TEXTS[::-1], chunk_rows=7, threads=1, memory=True)
    assert together == backwards[::-1] == alone(way)
    assert len(set(together)) > len(TEXTS) / 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("chunk_rows", [7, 100])
def test_texts_that_go_through_with_the_canary_get_what_they_get_alone(
    way: str, chunk_rows: int
) -> None:
    """The first window of a run shares the canary's batches, the later ones do not."""
    shared = run(way, TEXTS, chunk_rows=chunk_rows, threads=2, memory=True, anew=True)
    assert shared == alone(way)


def test_what_was_remembered_shows_in_no_counter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed between repeats and run again: same bytes, same counters."""
    path, (way, *_) = tmp_path / "tweets.parquet", WAYS
    pl.DataFrame({"text": [*TEXTS[:6], *TEXTS[:3], *TEXTS[:3]] * 3}).write_parquet(path)

    def report(name: str) -> dict[str, Any]:
        model = Opened(opened(way, 1), memory=True)
        options = RunOptions.of((path,), output=tmp_path / name, chunk_rows=12)
        (outcome,) = pipeline.run(options, model=handle_of(model))
        return report_json(outcome)

    whole = report("whole.parquet")
    with monkeypatch.context() as patch:
        score, calls = Classifier.score, iter("ab")

        def killed(self: Classifier, prepared: Prepared, *rest: Any) -> Scores:
            if next(calls) == "b":
                raise KeyboardInterrupt
            return score(self, prepared, *rest)

        patch.setattr(Classifier, "score", killed)
        with pytest.raises(KeyboardInterrupt):
            report("again.parquet")
    again = report("again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert again["resumed"]["windows"] == 1
    assert again["counters"] == whole["counters"]
    assert whole["counters"]["equal"] == 18
    assert (whole["remembered"], again["remembered"]) == (12, 6)


def test_what_this_box_cannot_show_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Both CPU providers are tested, or the reason is printed."""
    tested = {way.partition(" ")[0] for way in WAYS}
    reason = MACHINE.no_openvino_reason
    assert tested == ({"builtin"} if reason else {"builtin", "openvino"})
    if reason:
        with capsys.disabled():
            print(f"\nOpenVINO's invariance is not tested here: {reason}")  # noqa: T201 - for a person
