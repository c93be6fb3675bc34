"""A sample of the rows scored again, by the same model on this box."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import structs
from numpy.typing import NDArray

from scorer.errors import InvalidBundle
from scorer.formats.base import Source
from scorer.inference import labels
from scorer.inference.bundle import Bundle, baseline_of
from scorer.inference.gate import Figures, bounds, unit
from scorer.inference.loading import ModelHandle
from scorer.inference.session import RuntimeInfo
from scorer.monitor.drift import Drift
from scorer.monitor.report_types import CompleteReport, Subject
from scorer.options import window_rows
from scorer.readback.findings import Compared, Finding
from scorer.readback.output_report import output_columns
from scorer.records import Answers, Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scorer.inference.classifier import Classifier

_SAME = 1e-6  # how far fp32 scores of one provider on two boxes may lie apart


class Sample:
    """Rows spread evenly over an output: the same ones each time."""

    def __init__(self, rows: int, size: int) -> None:
        size = min(rows, size)
        self.rows: NDArray[np.int64] = (2 * np.arange(size) + 1) * rows // (2 * max(size, 1))
        self._labels: list[pl.Series] = []
        self._scores: list[pl.DataFrame] = []
        self._lists: list[pl.Series] = []

    def add(self, block: Compared) -> None:
        """Keep what the output says about the rows of the sample."""
        which = self._within(block.offset, len(block))
        if len(which):
            self._labels.append(block.labels[which])
            columns = {str(i): column[which] for i, column in enumerate(block.scores)}
            self._scores.append(pl.DataFrame(columns))
            if block.lists is not None:
                self._lists.append(block.lists[which])

    def texts(self, source: Source, rows: int) -> "Iterator[pl.Series]":
        """Read the sample's texts, those of each window of so many rows together."""
        for window in source.windows(rows):
            which = self._within(window.offset, len(window.texts))
            if len(which):
                yield window.texts[which]

    @property
    def labels(self) -> pl.Series:
        """The labels that were written."""
        return pl.concat(self._labels)

    @property
    def lists(self) -> pl.Series | None:
        """The lists of labels that were written, by a multi-label model."""
        return pl.concat(self._lists) if self._lists else None

    @property
    def scores(self) -> NDArray[np.float32]:
        """The scores that were written: [rows, 1 or 1 + classes], NaN where blank."""
        return pl.concat(self._scores).fill_null(float("nan")).to_numpy()

    def _within(self, offset: int, rows: int) -> NDArray[np.int64]:
        first, last = np.searchsorted(self.rows, [offset, offset + rows])
        return self.rows[first:last] - offset


@dataclass(frozen=True, slots=True)
class _Bounds:
    agreement: float  # least share of equal labels
    difference: float  # of any score


def rescored(
    sample: Sample, source: Source, report: CompleteReport, model: ModelHandle
) -> "Iterator[Finding]":
    """Score the sample's texts and yield where the output says something else.

    Raises:
        InvalidBundle: the model is not the one that wrote the output.
    """
    bundle = model.bundle
    if bundle.digest != report.model.digest:
        raise InvalidBundle(
            f"{bundle.name} {bundle.version} in {bundle.directory} is not the model that wrote the "
            f"output, {report.model.name} {report.model.version}",
            "name that one with --model",
        )
    classifier = model.prove()
    limits = _bounds(classifier, report.runtime)
    options, runtime = report.options, report.runtime
    rows = options.chunk_rows or window_rows(runtime.device)  # as the run's: see `equal`
    windows = [classifier.score(classifier.prepare(texts)) for texts in sample.texts(source, rows)]
    found = Answers.concatenated(windows)
    yield from _blank_and_scores(sample, found, limits.difference * _unit(bundle))
    if bundle.task != "regression":
        yield from _other_labels(sample, found, report, limits)
    if sample.lists is not None:
        yield from _other_lists(sample, sample.lists, found, report, limits)
    yield from _canary(classifier, report.canary, exactly=limits.difference == _SAME)
    if len(sample.rows) == report.counters.rows:
        drift = Drift(baseline_of(bundle), bundle.labels)
        for window in windows:
            drift.add(window)
        yield from _counted(Counters.total(w.counters for w in windows), drift, report)


def _unit(bundle: Bundle) -> float:
    """Return what differences of scores are measured in."""
    if bundle.task != "regression":
        return 1.0
    canary = bundle.canary()
    return unit(labels.scores(canary.logits, canary.activation), bundle.task)


def _canary(classifier: "Classifier", reported: Figures, *, exactly: bool) -> "Iterator[Finding]":
    """Yield which figures of the canary are others now."""
    found = structs.asdict(classifier.canary)
    for name in found if exactly else ("texts",):
        if abs(found[name] - (said := getattr(reported, name))) > _SAME:
            text = f"the canary's {name} is {found[name]:.3g}, the report says {said:.3g}"
            yield Finding(text, text)


def _counted(counters: Counters, drift: Drift, report: CompleteReport) -> "Iterator[Finding]":
    """Yield what the model counts otherwise, now that it has seen all rows."""
    for name, found in asdict(counters).items():
        if found != (reported := getattr(report.counters, name)):
            text = f"the model counts {found:,} {name}, the report says {reported:,}"
            yield Finding(text, text)
    subjects = drift.figures().subjects
    names: tuple[Subject, ...] = ("lengths", "unknown_tokens")
    for name in names:
        if name in subjects and subjects[name] != report.drift.subjects.get(name):
            text = f"the drift of {name} is not that of the input"
            yield Finding(text, text)


def _bounds(classifier: "Classifier", runtime: RuntimeInfo) -> _Bounds:
    """Return what two runs promise each other: the weaker of their promises, twice its distance."""
    ours = classifier.runtime
    here, there = (ours.provider, ours.precision), (runtime.provider, runtime.precision)
    if here == there and ours.precision == "fp32" and ours.exact:
        return _Bounds(1.0, _SAME)
    agreement, difference = min(bounds(ours.precision), bounds(runtime.precision))
    return _Bounds(agreement, 2 * difference)


def _blank_and_scores(sample: Sample, found: Answers, difference: float) -> "Iterator[Finding]":
    """Yield rows that are blank in one of the two, or whose scores lie farther apart."""
    written = sample.scores
    blank, written_blank = found.label_ids < 0, np.isnan(written[:, 0])
    yield from _at(sample, "blank in one of the two", blank != written_blank)
    again = np.concatenate([_best(found)[:, None], found.probabilities], axis=1)
    distance = np.abs(again[:, : written.shape[1]] - written).max(axis=1, initial=0)
    differs = ~blank & ~written_blank & ~(distance <= difference)
    yield from _at(sample, "scored again, its score differs", differs)


def _best(found: Answers) -> NDArray[np.float32]:
    return found.probabilities[np.arange(len(found)), found.label_ids]


def _other_labels(
    sample: Sample, found: Answers, report: CompleteReport, bounds: _Bounds
) -> "Iterator[Finding]":
    names = pl.Series([each.written_as for each in report.labels], dtype=pl.String)
    again = names.gather(np.maximum(found.label_ids, 0))
    other = (found.label_ids >= 0) & (again != sample.labels).fill_null(value=False).to_numpy()
    # Two classes that are nearly equally probable may change places within the bound.
    close = np.sort(found.probabilities, axis=1)
    other &= ~(close[:, -1] - close[:, -2] <= 2 * bounds.difference)
    if _too_many(other, bounds):
        yield from _at(sample, "scored again, its label differs", other)


def _other_lists(
    sample: Sample, lists: pl.Series, found: Answers, report: CompleteReport, bounds: _Bounds
) -> "Iterator[Finding]":
    """Yield rows whose lists differ; a class that is near the threshold may be in it or not."""
    threshold = output_columns(report).threshold
    names = [each.written_as for each in report.labels]
    near = np.abs(found.probabilities - np.float32(threshold)) <= bounds.difference
    other = np.zeros(len(found), np.bool_)
    for number, name in enumerate(names):
        listed = lists.list.contains(name).fill_null(value=False).to_numpy()
        same = [i for i, each in enumerate(names) if each == name]  # two may be written as one
        again = found.at_least(threshold)[:, same].any(axis=1)
        other |= (listed != again) & ~near[:, number]
    if _too_many(other := other & (found.label_ids >= 0), bounds):
        yield from _at(sample, "scored again, its labels differ", other)


def _too_many(other: NDArray[np.bool_], bounds: _Bounds) -> bool:
    return bool(other.sum() > math.floor((1 - bounds.agreement) * len(other)))


def _at(sample: Sample, what: str, wrong: NDArray[np.bool_]) -> "Iterator[Finding]":
    if wrong.any():
        row = int(sample.rows[wrong.argmax()]) + 1
        yield Finding(what, f"row {row:,}: {what}", int(wrong.sum()))
