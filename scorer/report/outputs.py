"""Outputs of runs, opened for a page, and the examples that it shows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError, UsageError
from scorer.hints import path_word
from scorer.monitor.report_types import CompleteReport
from scorer.monitor.run_report import contradictions
from scorer.os_errors import reading
from scorer.readback import ScoredRows, scored_rows
from scorer.readback.output_report import input_spec, output_columns, report_of
from scorer.report.statistics import Ids, ids_of
from scorer.store.commit import FileIdentity
from scorer.store.paths import resolved


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """An output of ours that has not changed since it was written."""

    path: Path
    report: CompleteReport

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels as they are written, in class order, each once."""
        return tuple(dict.fromkeys(each.written_as for each in self.report.labels))

    @property
    def has_values(self) -> bool:
        """Whether rows have a value of a regression, and no label."""
        return self.report.model.task == "regression"

    @property
    def has_lists(self) -> bool:
        """Whether rows have a list of labels beside the best one."""
        return self.report.model.task == "multi_label"

    @property
    def threshold(self) -> float:
        """The probability from which on a label is in the list, where there are lists."""
        return output_columns(self.report).threshold

    def rows(self, columns: Sequence[str] = ()) -> Iterator["Rows"]:
        """Yield the rows in batches, with other columns that are wanted."""
        output_schema, spec = output_columns(self.report), input_spec(self.report)
        numbers = {label: i for i, label in enumerate(self.labels)}
        for batch in scored_rows(self.path, output_schema, spec, columns):
            if self.has_values:
                ids = np.where(batch.scores.is_null().to_numpy(), -1, 0)
                if not batch.scores.drop_nulls().is_finite().all():
                    raise self._contradicted("a value is not finite")
            else:
                ids = ids_of(batch.labels, numbers)
                self._check_labels(batch, ids)
            yield Rows(batch, ids, batch.scores.fill_null(0.0).to_numpy())

    def _check_labels(self, batch: ScoredRows, ids: Ids) -> None:
        if (ids < -1).any():
            row = batch.offset + int((ids < -1).argmax()) + 1
            raise self._contradicted(f"the label in row {row:,} is none of the report's")
        if not np.array_equal(batch.scores.is_null().to_numpy(), ids < 0):
            raise self._contradicted("labels and scores are not blank together")
        if not batch.scores.drop_nulls().is_between(0, 1).all():
            raise self._contradicted("a score is not from 0 to 1")
        if (
            batch.lists is not None
            and not batch.lists.explode().drop_nulls().is_in(self.labels).all()
        ):
            raise self._contradicted("a list has a label that is none of the report's")

    def check_counts(self, per_label: Sequence[int], blank: int) -> None:
        """Raise DataError unless the rows were as many as the report counts."""
        reported = dict.fromkeys(self.labels, 0)
        for each in self.report.labels:
            reported[each.written_as] += each.rows
        wanted = [*reported.values(), self.report.counters.blank]
        if [*map(int, per_label), blank] != wanted:
            raise self._contradicted("its rows are not as many as the report counts")

    def _contradicted(self, problem: str) -> DataError:
        hint = f"see: tweetscore verify {path_word(self.path)}"
        return DataError(f"{self.path}: {problem}", hint)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Consecutive rows of an output, their labels as numbers."""

    batch: ScoredRows
    ids: Ids  # [rows]; -1 where blank, and 0 where there is a value of a regression
    scores: NDArray[np.float32]  # [rows]; 0 where blank

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ids)

    def cut(self, start: int, stop: int) -> "Rows":
        """Return some of the rows."""
        return Rows(self.batch.rows(start, stop), self.ids[start:stop], self.scores[start:stop])

    def column(self, name: str) -> pl.Series:
        """Return a column that was asked for."""
        return self.batch.columns[name]


def open_output(output: Path) -> Opened:
    """Hold an output against its run report.

    Raises:
        InputMissing: The output or its report is not there.
        DataError: The report is none, or the output is another one than it tells of.
    """
    path = resolved(output)
    report = report_of(path)
    with reading(path):
        found = FileIdentity.of(path)
    if found.sha256 != report.output.sha256:
        raise DataError(
            f"{path} has changed since its run report was written", "score it again, or restore it"
        )
    for problem in contradictions(report):
        raise DataError(f"the report of {path} contradicts itself: {problem}", "score it again")
    return Opened(path, report)


def open_outputs(outputs: Sequence[Path]) -> list[Opened]:
    """Open outputs that belong on one page.

    Raises:
        UsageError: One is named twice, or they have different labels, or values.
    """
    opened: list[Opened] = []
    for output in outputs:
        each = open_output(output)
        if any(each.path.samefile(other.path) for other in opened):
            raise UsageError(f"{output} is named twice", "name each output once")
        opened.append(each)
        check_alike(each, opened[0])
        if each.has_lists != opened[0].has_lists:
            raise UsageError(
                "some outputs have lists of labels, and others have not", "make a page for each"
            )
        if each.labels != opened[0].labels:
            raise UsageError(
                f"{output} has the labels {', '.join(each.labels)}, "
                f"{opened[0].path} has {', '.join(opened[0].labels)}",
                "make a page for each",
            )
    return opened


def check_alike(one: Opened, other: Opened) -> None:
    """Raise UsageError where one has values and the other labels."""
    if one.has_values != other.has_values:
        valued, labelled = (one, other) if one.has_values else (other, one)
        raise UsageError(
            f"{valued.path} has values, {labelled.path} has labels", "make a page for each"
        )


EACH = 5  # rows at either end
LONGEST = 500  # characters of a text or an id on the page


@dataclass(frozen=True, slots=True)
class Example:
    """One row."""

    file: int  # number of the output
    row: int  # from 1
    score: float
    text: str
    id: str | None


class Examples:
    """Keeps few rows however many go by; of equal texts the first."""

    def __init__(self) -> None:
        self._sure: pl.DataFrame | None = None
        self._unsure: pl.DataFrame | None = None

    def add(self, file: int, rows: Rows, texts: pl.Series, row_ids: pl.Series | None) -> None:
        """Look at rows of an output, with their texts, and ids if there are; String [rows]."""
        found = pl.DataFrame(
            {
                "file": np.full(len(rows), file, np.int64),
                "row": rows.batch.offset + 1 + np.arange(len(rows)),
                "label": rows.ids,
                "score": rows.scores,
                "text": shortened(texts),
                "id": shortened(row_ids) if row_ids is not None else [None] * len(rows),
            },
            schema_overrides={"id": pl.String},
        ).filter(pl.col("label") >= 0)
        self._sure = _best(self._sure, found, descending=True)
        self._unsure = _best(self._unsure, found, descending=False)

    def of(self, label: int) -> tuple[Sequence[Example], Sequence[Example]]:
        """Return a label's surest rows, and its least sure ones that are none of them."""
        sure, unsure = _examples(self._sure, label), _examples(self._unsure, label)
        return sure, [each for each in unsure if each not in sure]


def shortened(texts: pl.Series) -> pl.Series:
    """Cut what would fill the page."""
    text = pl.col("text")
    long = text.str.len_chars() > LONGEST
    cut = pl.when(long).then(text.str.head(LONGEST) + " …").otherwise(text)
    return texts.alias("text").to_frame().select(cut).to_series()


def _best(held: pl.DataFrame | None, rows: pl.DataFrame, *, descending: bool) -> pl.DataFrame:
    both = rows if held is None else pl.concat([held, rows])
    return (
        both.sort(["score", "file", "row"], descending=[descending, False, False])
        .unique(["label", "text"], keep="first", maintain_order=True)
        .group_by("label", maintain_order=True)
        .head(EACH)
        .select(rows.columns)
    )


def _examples(held: pl.DataFrame | None, label: int) -> list[Example]:
    if held is None:
        return []
    columns = held.filter(pl.col("label") == label).select("file", "row", "score", "text", "id")
    return [Example(*row) for row in columns.iter_rows()]
