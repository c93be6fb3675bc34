import numpy as np
import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from numpy.typing import NDArray

from scorer.inference.bundle import baseline_of, open_bundle
from scorer.monitor.drift import MIN_ROWS, MODERATE, Drift, outside
from scorer.monitor.report_types import ReportedDrift
from scorer.records import Baseline, Counters, Scores

LABELS = ("bad", "good")
SUBJECTS = ["labels", "scores", "lengths", "unknown_tokens"]
BASELINE = Baseline(
    rows=1000,
    labels=np.array([400, 600]),
    score_edges=np.linspace(0, 1, 21),
    scores=np.array([0] * 10 + [100] * 10),
    lengths=np.array([0, 0, 0, *[50] * 20]),
    unknown_share=0.01,
)


def scored(
    labels: NDArray[np.int64],
    best: NDArray[np.floating],
    lengths: NDArray[np.int64],
    unknown: int = 0,
) -> Scores:
    """Return scores of rows with these labels (-1 where blank), probabilities and tokens."""
    probabilities = np.stack((1 - best, 1 - best), axis=1).astype(np.float32)
    probabilities[np.arange(len(labels)), labels] = best
    probabilities[labels < 0] = np.nan
    rows = int((labels >= 0).sum())
    counters = Counters(
        len(labels), rows, len(labels) - rows, tokens=int(lengths.sum()), unknown=unknown
    )
    return Scores(labels.astype(np.int16), probabilities, counters, np.bincount(lengths))


def like_the_baseline(rows: int = 1000) -> Scores:
    row = np.arange(rows)
    labels = (row % 10 >= 4).astype(np.int64)
    best = 0.525 + row % 10 * 0.05
    lengths = 3 + row // 7 % 20
    return scored(labels, best, lengths, unknown=round(int(lengths.sum()) * 0.01))


def figures(*windows: Scores, baseline: Baseline | None = BASELINE) -> ReportedDrift:
    drift = Drift(baseline, LABELS)
    for window in windows:
        drift.add(window)
    return drift.figures()


def index(drift: ReportedDrift) -> dict[str, float]:
    return outside(replace(drift, judged=True), 0)


def test_rows_like_the_baseline_have_not_drifted() -> None:
    """All four are compared, and each index is next to nothing."""
    found = figures(like_the_baseline())
    assert list(index(found)) == SUBJECTS
    assert max(index(found).values()) < 0.01


@pytest.mark.parametrize(
    ("subject", "rows"),
    [
        ("labels", scored(np.zeros(600, np.int64), np.tile(0.525 + np.arange(10) * 0.05, 60),
                          np.tile(3 + np.arange(20), 30), 75)),
        ("scores", scored(np.tile([0, 0, 1, 1, 1], 120), np.full(600, 0.99),
                          np.tile(3 + np.arange(20), 30), 75)),
        ("lengths", scored(np.tile([0, 0, 1, 1, 1], 120), np.tile(0.525 + np.arange(10) * 0.05, 60),
                           np.full(600, 500), 3_000)),
        ("unknown_tokens", scored(np.tile([0, 0, 1, 1, 1], 120),
                                  np.tile(0.525 + np.arange(10) * 0.05, 60),
                                  np.tile(3 + np.arange(20), 30), 3_000)),
    ],
)  # fmt: skip
def test_only_the_subject_that_moved_has_a_large_index(subject: str, rows: Scores) -> None:
    """Other labels, other scores, longer texts, tokens that the tokenizer does not know."""
    assert list(outside(figures(rows), 0.25)) == [subject]


def test_windows_add_up() -> None:
    """However the rows were cut, and blank ones count for nothing."""
    blank = scored(np.array([-1, -1]), np.array([0.5, 0.5]), np.zeros(0, np.int64))
    one, other = like_the_baseline(500), like_the_baseline(300)
    found = figures(one, blank, other)
    assert found == figures(other, one)
    assert sum(found.subjects["lengths"].now) == 800


def test_a_score_of_one_and_a_very_long_text_are_counted() -> None:
    """The last bins take all that lies beyond."""
    one = scored(np.array([1]), np.array([1.0]), np.array([4_000]))
    subjects = figures(one).subjects
    assert subjects["scores"].now[-1] == subjects["lengths"].now[-1] == 1


def test_each_bin_holds_a_share_of_the_baseline() -> None:
    """Bins of a few rows would make noise of chance."""
    baseline = baseline_of(open_bundle())
    assert baseline is not None
    subjects = Drift(baseline, ("negative", "neutral", "positive")).figures().subjects
    for each in (subjects["scores"], subjects["lengths"]):
        assert min(each.baseline) >= baseline.rows / 10
        assert sum(each.baseline) == baseline.rows
        assert len(each.bins) >= 5


def test_without_a_baseline_the_report_has_the_reason() -> None:
    found = figures(like_the_baseline(), baseline=None)
    assert to_builtins(found) == {
        "reason": "the model has no baseline", "baseline_rows": None,
        "min_rows": MIN_ROWS, "judged": False, "subjects": {},
    }  # fmt: skip
    assert outside(found, 0.001) == {}


def test_few_rows_are_compared_and_never_judged() -> None:
    few = scored(np.zeros(499, np.int64), np.full(499, 0.99), np.full(499, 500))
    found = figures(few)
    assert found.subjects
    assert outside(found, 0.25) == {}
    assert len(outside(figures(few, few), 0.25)) == 3


def test_the_least_rows_keep_chance_below_the_first_mark() -> None:
    """Of 500 samples of so many rows, drawn from the embedded baseline, none reaches 0.1."""
    baseline = baseline_of(open_bundle())
    assert baseline is not None
    chance = np.random.default_rng(7)
    middles = (baseline.score_edges[1:] + baseline.score_edges[:-1]) / 2

    def draw(counts: NDArray[np.int64]) -> NDArray[np.int64]:
        drawn: NDArray[np.int64] = chance.choice(len(counts), MIN_ROWS, p=counts / counts.sum())
        return drawn

    for _ in range(500):
        labels, lengths = draw(baseline.labels) % 2, draw(baseline.lengths)
        drift = Drift(baseline, ("negative", "neutral", "positive"))
        drift.add(scored(labels, middles[draw(baseline.scores)], lengths))
        subjects = drift.figures().subjects
        assert max(subjects["scores"].psi, subjects["lengths"].psi) < MODERATE


def test_a_report_of_an_older_version_tells_nothing() -> None:
    assert outside(None, 0.1) == {}
    assert outside(ReportedDrift(), 0.1) == {}
