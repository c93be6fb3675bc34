"""What `verify` sums up: rows compared, answers in range, rejects as the report counts them."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from scorer.formats.added_columns import label_lists
from scorer.formats.base import Source
from scorer.hints import counted
from scorer.monitor.report_types import CompleteReport
from scorer.monitor.run_report import ROUNDED
from scorer.os_errors import reading
from scorer.readback.findings import Compared, Finding
from scorer.readback.output_report import output_columns
from scorer.records import Answers
from scorer.store.own_files import open_own
from scorer.store.rejects import to_line

_SUMMED = 1e-5  # how far the probabilities of a row may add up to something else than 1
_ROWS = 16_384  # of a window that is read for its rejects
_LONGEST = 1 << 23  # bytes of a line that is read: a record of 1 MiB is at most six times as long

Flags = NDArray[np.bool_]


class AnswerCheck:
    """The appended columns as they go by."""

    def __init__(self, report: CompleteReport) -> None:
        self.rows = 0
        self._task = report.model.task
        self._threshold = output_columns(report).threshold
        self._classes = report.labels
        self._counters = report.counters
        self._names = [each.written_as for each in self._classes]
        self._blank = 0
        self._rows_per_label: dict[str, int] = dict.fromkeys(self._names, 0)
        self._sums = dict.fromkeys(self._names, 0.0)
        self._largest = 0.0  # size of a value of a regression
        self._odd = False  # a score was found that no mean can be taken of
        self._drift = ScoreDrift(report)

    def add(self, block: Compared) -> Iterator[Finding]:
        """Count a block, and yield what is wrong in it."""
        labels, (score, *per_class) = block.labels, block.scores
        if self._task == "regression":  # every value counts as the one class's
            name = pl.lit(self._names[0], dtype=pl.String)
            there = pl.when(score.is_not_null()).then(name)
            labels = pl.select(there.alias("label")).to_series()
            largest = score.drop_nulls().abs().max()
            self._largest = max(self._largest, largest if isinstance(largest, float) else 0.0)
        blank = labels.is_null().to_numpy()
        values = score.fill_null(np.nan).to_numpy()
        self.rows += len(block)
        self._blank += int(blank.sum())
        self._drift.add(values)
        sums = pl.col("score").cast(pl.Float64).sum()
        by_label = pl.DataFrame({"label": labels, "score": score}).drop_nulls("label")
        for name, count, total in by_label.group_by("label").agg(pl.len(), sums).iter_rows():
            self._rows_per_label[name] = self._rows_per_label.get(name, 0) + count
            self._sums[name] = self._sums.get(name, 0.0) + total
        unknown = ~blank & ~labels.is_in(self._names).fill_null(value=False).to_numpy()
        yield from _found(block, "the label is none of the report's", unknown)
        for column in block.scores:
            halves = blank != column.is_null().to_numpy()
            yield from _found(block, "label and scores are not blank together", halves)
            odd, words = self._out_of_range(column)
            self._odd |= bool(odd.any())
            yield from _found(block, words, odd)
        matrix = None
        if per_class:
            matrix = np.stack([c.fill_null(np.nan).to_numpy() for c in per_class], axis=1)
            yield from self._all_classes(block, values, matrix, ~blank)
        if block.lists is not None:
            yield from self._lists(block, block.lists, matrix, ~blank)

    def _out_of_range(self, score: pl.Series) -> tuple[Flags, str]:
        """Tell which scores are NaN, infinite, or not as the task has them."""
        if self._task == "regression":
            return (~score.is_finite()).fill_null(value=False).to_numpy(), "a score is no number"
        odd = ~score.is_between(0, 1) | score.is_nan()
        return odd.fill_null(value=False).to_numpy(), "a score is not from 0 to 1"

    def _lists(
        self, block: Compared, lists: pl.Series, matrix: NDArray[np.float32] | None, there: Flags
    ) -> Iterator[Finding]:
        """Hold the lists of labels against the threshold, as far as scores were written."""
        halves = there == lists.is_null().to_numpy()
        yield from _found(block, "label and labels are not blank together", halves)
        if matrix is not None:
            part = Answers(np.where(there, 0, -1).astype(np.int16), matrix)
            wanted = label_lists(part, self._names, self._threshold)
            other = there & ~lists.eq_missing(wanted).to_numpy()
            yield from _found(block, "the labels are not those from the threshold on", other)
            return
        # The label has the highest score: it is in the list, or nothing is.
        columns = pl.DataFrame({"l": lists, "label": block.labels, "score": block.scores[0]})
        listed = pl.when(pl.col("score") >= pl.lit(self._threshold, pl.Float32))
        holds = pl.col("l").list.contains(pl.col("label"))
        fits = listed.then(holds).otherwise(pl.col("l").list.len() == 0)
        known = pl.col("l").list.set_difference(pl.lit(self._names)).list.len() == 0
        right = columns.select((fits & known).fill_null(value=True)).to_series().to_numpy()
        yield from _found(block, "the labels do not fit label and score", there & ~right)

    def _all_classes(
        self, block: Compared, score: NDArray[np.float32], matrix: NDArray[np.float32], there: Flags
    ) -> Iterator[Finding]:
        """Hold label and score against the columns per class."""
        there = there & np.isfinite(matrix).all(axis=1)
        if self._task == "single_label":
            off = np.abs(matrix.sum(axis=1, dtype=np.float64) - 1) > _SUMMED
            yield from _found(block, "the scores per class do not add up to 1", there & off)
        best = np.where(there[:, None], matrix, 0).argmax(axis=1)  # a tie goes to the lowest
        named = pl.Series(self._names, dtype=pl.String).gather(best)
        other = there & (named != block.labels).fill_null(value=False).to_numpy()
        yield from _found(block, "the label is not the most probable class", other)
        differs = there & (matrix[np.arange(len(best)), best] != score)
        yield from _found(block, "the score is not that of the most probable class", differs)

    def totals(self) -> Iterator[Finding]:
        """Yield which of the report's counts and means are not those of the rows."""
        counters = self._counters
        for reported, words, found in (
            (counters.rows, "rows in the output", self.rows),
            (counters.scored, "rows with a label", self.rows - self._blank),
            (counters.blank, "blank rows", self._blank),
        ):
            if found != reported:
                yield _total(f"{found:,} {words}", reported)
        for name in dict.fromkeys(self._names):  # two classes may be written as one
            classes = [each for each in self._classes if each.written_as == name]
            rows = sum(each.rows for each in classes)
            if (found := self._rows_per_label[name]) != rows:
                yield _total(f"{counted(found, 'row')} labelled {name!r}", rows)
            elif rows and not self._odd and self._task == "regression":
                yield from self._value_findings(classes[0].mean_value, self._sums[name] / rows)
            elif rows and not self._odd:
                mean = sum(e.rows * (e.mean_probability or 0) for e in classes) / rows
                yield from self._mean_findings(name, self._sums[name] / rows, mean)
        if not self._odd:
            yield from self._drift.findings()

    def _value_findings(self, reported: float | UnsetType, mean: float) -> Iterator[Finding]:
        """Hold the mean of values against the report's, if its version wrote one."""
        if reported is UNSET:
            return
        near = abs(mean - reported) <= ROUNDED * max(self._largest, 1.0)
        if not near:  # which NaN is not either
            text = f"the mean value is {mean:.9g}"
            yield Finding(text, f"{text}, the report says {reported:.9g}")

    def _mean_findings(self, name: str, mean: float, reported: float) -> Iterator[Finding]:
        if abs(mean - reported) > ROUNDED:
            text = f"the mean probability of {name!r} is {mean:.6f}"
            yield Finding(text, f"{text}, the report says {reported:.6f}")


def _total(found: str, reported: int) -> Finding:
    return Finding(found, f"{found}, the report says {reported:,}")


def _found(block: Compared, what: str, wrong: Flags) -> Iterator[Finding]:
    if wrong.any():
        row = block.offset + int(wrong.argmax()) + 1
        yield Finding(what, f"row {row:,}: {what}", int(wrong.sum()))


class ScoreDrift:
    """The scores in the bins of the report's drift."""

    def __init__(self, report: CompleteReport) -> None:
        found = report.drift.subjects.get("scores")
        self._reported = found.now if found else []
        self._edges = np.array([*(found.bins if found else ()), np.inf], np.float64)
        self._rising = bool((np.diff(self._edges) > 0).all())
        self._counts = np.zeros(max(len(self._edges) - 1, 1), np.int64)

    def add(self, scores: NDArray[np.float32]) -> None:
        """Count scores, NaN where a row has none."""
        if self._reported and self._rising:
            self._counts += np.histogram(scores[np.isfinite(scores)], self._edges)[0]

    def findings(self) -> Iterator[Finding]:
        """Yield whether they are not as reported."""
        if self._reported and (not self._rising or self._counts.tolist() != self._reported):
            kind = "the drift of scores is not that of the output's"
            yield Finding(kind, f"the report: {kind}")


def reject_findings(path: Path, source: Source | None, reported: int) -> Iterator[Finding]:
    """Yield where a file of rejects is not what the report and the input say.

    Args:
        path: The file, which is there when there are any.
        source: The input; it is read for its rejects where there are some. None: only counted.
        reported: How many the report counts.
    """
    wanted = _wanted(source) if source and (reported or path.exists()) else iter(())
    count = different = 0
    for line in _lines(path):
        count += 1
        expected = next(wanted, None)
        if source and expected != line and not different:
            different = count
    if count != reported:
        text = f"{count:,} lines in {path}, the report says {reported:,} rejected"
        yield Finding("rejects", text)
    elif different:
        text = f"line {different:,} of {path} is not what the input holds"
        yield Finding("rejects", text)


def _wanted(source: Source) -> Iterator[bytes]:
    rejects = chain.from_iterable(window.rejects for window in source.windows(_ROWS))
    return (to_line(reject, source.encoding) for reject in rejects)


def _lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with reading(path), open_own(path) as file:
        yield from iter(lambda: file.readline(_LONGEST), b"")
