"""Drift of a run's answers from the model's baseline, as the population stability index."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scorer.monitor.report_types import ReportedComparison, ReportedDrift, Subject
from scorer.records import Baseline, Counters, Scores

#: Of fewer rows chance alone moves the index. Samples of the 27,481 training tweets, 2,000 of each
#: size, beside the embedded model's baseline of 2,748 others of that kind: the largest of the four
#: indices was 0.204 in the 99th percentile of samples of 100, 0.075 of 300, 0.048 of 500 (at most
#: 0.071), and 0.029 of 1,000.
MIN_ROWS = 500
#: The usual marks of the population stability index: below the first nothing has happened, from
#: the second on the distribution is another one (Siddiqi, Credit Risk Scorecards, 2006).
MODERATE, LARGE = 0.1, 0.25
NO_BASELINE = "the model has no baseline"

_LEAST_SHARE = 0.1  # of the baseline's rows in a bin: of fewer, chance would move the index


def psi(before: ArrayLike, now: ArrayLike) -> float:
    """Return the population stability index of two histograms over the same bins.

    Each bin gets half a row more than was counted, so that a bin that is empty on one side
    makes the index large, and not infinite.

    Both sides are rows per bin, shape [bins]. The index is 0 where nothing moved, or a side has
    no rows, and not bounded above.
    """
    counts = np.asarray([before, now], np.float64)  # [2, bins]
    if not counts.sum(axis=1).all():
        return 0.0
    counts += 0.5
    old, new = counts / counts.sum(axis=1, keepdims=True)
    return float(((new - old) * np.log(new / old)).sum())


class Drift:
    """Counts rows as the baseline, if there is one, counted its own; labels are in id order."""

    def __init__(self, baseline: Baseline | None, labels: Sequence[str]) -> None:
        self._baseline = baseline
        self._names = tuple(labels)
        self._labels = np.zeros(len(labels), np.int64)
        self._counters = Counters()
        if baseline is not None:
            self._scores = np.zeros_like(baseline.scores)
            self._lengths = np.zeros_like(baseline.lengths)

    def add(self, scores: Scores) -> None:
        """Count one window."""
        baseline = self._baseline
        if baseline is None:
            return
        ids, best = scores.answered()
        self._labels += np.bincount(ids, minlength=len(self._labels))
        self._scores += np.histogram(best, baseline.score_edges)[0]
        most = len(baseline.lengths)
        self._lengths[: len(scores.lengths)] += scores.lengths[:most]
        self._lengths[-1] += scores.lengths[most:].sum()
        self._counters += scores.counters

    def figures(self) -> ReportedDrift:
        """Return the report's section `drift`."""
        if (baseline := self._baseline) is None:
            return ReportedDrift(NO_BASELINE, min_rows=MIN_ROWS)
        judged = self._counters.scored >= MIN_ROWS
        return ReportedDrift(None, baseline.rows, MIN_ROWS, judged, self._subjects(baseline))

    def _subjects(self, baseline: Baseline) -> dict[Subject, ReportedComparison]:
        edges, lengths = baseline.score_edges, np.arange(len(baseline.lengths))
        tokens = np.array([int((lengths * baseline.lengths).sum()), self._counters.tokens])
        unknown = np.array(
            [round(float(tokens[0] * baseline.unknown_share)), self._counters.unknown]
        )
        return {
            "labels": _compared(self._names, baseline.labels, self._labels),
            "scores": _in_bins(edges[:-1], baseline.scores, self._scores),
            "lengths": _in_bins(lengths, baseline.lengths, self._lengths),
            "unknown_tokens": _compared(
                ("known", "unknown"), *np.stack((tokens - unknown, unknown), axis=1)
            ),
        }


def outside(drift: ReportedDrift | None, bound: float | None) -> dict[str, float]:
    """Return the subjects whose index is not below a bound, with their indices.

    None of them where the rows were too few, nothing was compared, or there is no bound.
    """
    if bound is None or not drift or not drift.judged:
        return {}
    return {name: found.psi for name, found in drift.subjects.items() if found.psi >= bound}


def _in_bins(
    starts: NDArray[Any], before: NDArray[np.int64], now: NDArray[np.int64]
) -> ReportedComparison:
    """Compare two histograms after neighbouring bins were joined until each holds its share."""
    first = _joined(before)
    return _compared(
        starts[first].tolist(), np.add.reduceat(before, first), np.add.reduceat(now, first)
    )


def _joined(counts: NDArray[np.int64]) -> list[int]:
    """Return where each bin begins: the first at 0, the last one with all that is left."""
    least = _LEAST_SHARE * counts.sum()
    first, held, left = [0], 0, int(counts.sum())
    for place, count in enumerate(counts.tolist()):
        if held >= least and left >= least:
            first.append(place)
            held = 0
        held += count
        left -= count
    return first


def _compared(
    bins: Sequence[Any], before: NDArray[np.int64], now: NDArray[np.int64]
) -> ReportedComparison:
    index = round(psi(before, now), 6)
    return ReportedComparison(index, list(bins), before.tolist(), now.tolist())
