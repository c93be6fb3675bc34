"""A stub for the model: what it answers can be read off the text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.inference.bundle import Bundle
from scorer.inference.gate import Figures
from scorer.inference.normalize import Normalizer
from scorer.inference.runtime.session import RuntimeInfo
from scorer.records import Answers, Counters, Scores
from tests.stub_metadata import stub_metadata

#: What the stub would have answered to 1,000 texts: a third of each label, all with 0.8.
BASELINE = {
    "rows": 999,
    "label_shares": {"negative": 1 / 3, "neutral": 1 / 3, "positive": 1 / 3},
    "score_histogram": {"edges": [0, 0.5, 1], "counts": [0, 999]},
    "length_histogram": {"3": 999},
    "unknown_token_share": 0.0,
}


def _stub_bundle() -> Bundle:
    return Bundle(
        directory=Path("/nowhere"),
        digest="d" * 64,
        metadata=stub_metadata(baseline=BASELINE),
        name="stub",
        version="1",
        model_type="bert",
        labels=("negative", "neutral", "positive"),
        max_length=128,
        pad_token_id=0,
        temperature=1.0,
        normalizer=Normalizer(),
    )


class StubClassifier:
    """Says positive to texts with a +, negative to those with a -, neutral to others."""

    def __init__(self) -> None:
        self.bundle = _stub_bundle()
        self.labels = self.bundle.labels
        self.runtime = RuntimeInfo("StubProvider", "builtin", "fp32", "none", 1, "a stub")
        self.canary = Figures(256, 1.0, 1e-7, 1e-8)
        self.warnings: tuple[str, ...] = ()
        self.loads = 0
        self.proven_with: list[pl.Series | None] = []
        self.windows: list[int] = []  # rows of each window, in the order of scoring
        self.before_scoring: Callable[[], None] = lambda: None

    @property
    def device(self) -> str:
        """What the runtime says."""
        return self.runtime.device

    def load(self) -> "StubClassifier":
        """Be the model and its classifier at once."""
        self.loads += 1
        return self

    def prove(self, first: pl.Series | None = None) -> "StubClassifier":
        """Keep what is said to come first."""
        self.proven_with.append(first)
        return self

    def prepare(self, texts: pl.Series) -> pl.Series:
        """Return the texts, blank ones empty."""
        return texts.fill_null("")

    def score(self, prepared: pl.Series, known: Answers | None = None) -> Scores:
        """Read the answers off the texts, and leave those that are known."""
        self.before_scoring()
        self.windows.append(len(prepared))
        blank = (prepared == "").to_numpy()
        ids = np.where(prepared.str.contains("+", literal=True).to_numpy(), 2, 1)
        ids = np.where(prepared.str.contains("-", literal=True).to_numpy(), 0, ids)
        probabilities = np.full((len(ids), 3), 0.1, np.float32)
        probabilities[np.arange(len(ids)), ids] = 0.8
        probabilities[blank] = np.nan
        if known is not None:
            old = known.label_ids >= 0
            ids[old], probabilities[old] = known.label_ids[old], known.probabilities[old]
        scored = int((~blank).sum())
        counters = Counters(len(ids), scored, len(ids) - scored, 0, 0, 3 * scored)
        lengths = np.array([0, 0, 0, scored])
        ids = np.where(blank, -1, ids).astype(np.int16)
        return Scores(ids, probabilities, counters, lengths)


@pytest.fixture
def stub() -> StubClassifier:
    return StubClassifier()
