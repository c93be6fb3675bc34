"""`tweetscore report`: one page about one or more outputs."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from scorer.errors import DataError, OutputRefused, TweetscoreError, UsageError
from scorer.inference.bundle import open_bundle
from scorer.inference.bundle.metadata import Metrics, decoded
from scorer.installation import needed
from scorer.os_errors import writing
from scorer.report.changes import compare
from scorer.report.label_lists import LabelLists
from scorer.report.outputs import Examples, Opened, Rows, check_alike, open_output, open_outputs
from scorer.report.page import MARKER, render
from scorer.report.page_contents import LabelFindings, ValueFindings
from scorer.report.statistics import Statistics, days_of, ids_of
from scorer.report.value_changes import compare_values
from scorer.report.values import Agreement, Spread, ValueDays, numbers_of, rows_of
from scorer.run.preflight import check_place
from scorer.store.commit import fsync_directory, inodes, replace_bytes
from scorer.store.own_files import open_own
from scorer.store.paths import EarlierPlaces, rejects_path, there
from scorer.store.rejects import rejects_by_kind

_LIBRARIES = ("altair", "jinja2", "vl_convert")


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """One call of `tweetscore report`."""

    outputs: tuple[Path, ...]
    page: Path
    compare: Path | None = None  # the output of an earlier run
    date_column: str | None = None
    true_label_column: str | None = None
    id_column: str | None = None
    show_text: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """What became of it."""

    rows: int
    bytes: int


def make_page(options: ReportOptions) -> Made:
    """Write the page about outputs of `tweetscore run`.

    Raises:
        UsageError: The call contradicts itself.
        InputMissing: An output or its run report is not there.
        DataError: An output is not what its run report says, or has no such column.
        OutputRefused: The page cannot be written, or a file of that name is none of our pages.
        MissingExtra: The libraries of the extra `report` are not installed.
    """
    with needed("report", "the page needs"):  # before minutes of reading, not after
        for name in _LIBRARIES:
            import_module(name)
    if options.compare and len(options.outputs) > 1:
        raise UsageError("--compare is for one output", f"{len(options.outputs)} were named")
    _check_page(options)
    found = _findings(options)
    content = render(found).encode("utf-8", "replace")  # a name may be no Unicode
    replace_bytes(options.page, content)
    with suppress(OSError):  # it is there, whole, and may be lost only with the power
        fsync_directory(options.page.parent)
    return Made(sum(each.report.counters.rows for each in found.outputs), len(content))


def _check_page(options: ReportOptions) -> None:
    """Raise before any work where the page could not be written or would replace another's file."""
    read = [*options.outputs, *([options.compare] if options.compare else [])]
    check_place(options.page, inodes(read))
    with writing(options.page):
        if not options.page.exists():
            return
        with open_own(options.page) as file:
            ours = MARKER.encode() in file.read(1024)
    if not ours:
        raise OutputRefused(
            f"{options.page} exists and was not written by tweetscore report",
            "remove it or choose another name",
        )


def _findings(options: ReportOptions) -> LabelFindings | ValueFindings:
    outputs = open_outputs(options.outputs)
    earlier = open_output(options.compare) if options.compare else None
    if earlier:
        check_alike(earlier, outputs[0])
    found = _of_values if outputs[0].has_values else _of_labels
    return found(outputs, earlier, options)


def _of_labels(
    outputs: Sequence[Opened], earlier: Opened | None, options: ReportOptions
) -> LabelFindings:
    count = _Count(outputs, options)
    for number, output in enumerate(outputs):
        count.read(number, output)
    now, how = count.statistics, _pairing(outputs, options)
    return LabelFindings(
        **_common(outputs, options),
        statistics=now,
        lists=count.lists,
        metrics=_metrics(outputs),
        examples=count.examples,
        comparison=compare(earlier, outputs[0], now, **how) if earlier else None,
    )


def _of_values(
    outputs: Sequence[Opened], earlier: Opened | None, options: ReportOptions
) -> ValueFindings:
    count = _ValueCount(options)
    for number, output in enumerate(outputs):
        count.read(number, output)
    how = _pairing(outputs, options)
    return ValueFindings(
        **_common(outputs, options),
        values=count.spread.distribution(rows_of(outputs)),
        truth=count.truth,
        days=count.days,
        examples=count.examples,
        comparison=compare_values(earlier, outputs[0], **how) if earlier else None,
    )


def _common(outputs: Sequence[Opened], options: ReportOptions) -> dict[str, Any]:
    """Return what every page tells."""
    rejects: Counter[str] = Counter()
    for output in outputs:
        log = there(rejects_path(output.path), EarlierPlaces.of(output.path).rejects)
        rejects.update(rejects_by_kind(log))
    return {
        "outputs": outputs,
        "rejects": rejects,
        "date_column": options.date_column,
        "true_column": options.true_label_column,
        "id_column": options.id_column,
    }


def _pairing(outputs: Sequence[Opened], options: ReportOptions) -> dict[str, str | None]:
    texts = outputs[0].report.options.text_column if options.show_text else None
    return {"id_column": options.id_column, "texts": texts}


def _rows(
    number: int, output: Opened, options: ReportOptions, held: Examples | None
) -> Iterator[Rows]:
    """Yield an output's rows with the columns that are named, and hold examples of them."""
    text = output.report.options.text_column if held else None
    named = (text, options.date_column, options.true_label_column, options.id_column)
    for rows in output.rows([*dict.fromkeys(name for name in named if name is not None)]):
        if held and text:
            ids = None if options.id_column is None else rows.column(options.id_column)
            held.add(number, rows, rows.column(text), ids)
        yield rows


class _ValueCount:
    """One pass over the rows of all outputs of a regression."""

    def __init__(self, options: ReportOptions) -> None:
        self._options = options
        self.spread = Spread()
        self.truth = Agreement()
        self.days = ValueDays()
        self.examples = Examples() if options.show_text else None

    def read(self, number: int, output: Opened) -> None:
        """Count an output's rows."""
        before, blank = self.spread.rows, self.spread.blank
        for rows in _rows(number, output, self._options, self.examples):
            self.spread.add(rows)
            if (name := self._options.date_column) is not None:
                self.days.add(rows, days_of(rows.column(name)))
            if (name := self._options.true_label_column) is not None:
                true = numbers_of(rows.column(name))
                both = (rows.ids >= 0) & ~np.isnan(true)
                self.truth.add(true[both], rows.scores[both])
        output.check_counts([self.spread.rows - before], self.spread.blank - blank)
        if self.spread.rows:
            _check_columns(
                self._options,
                output,
                dated=bool(self.days.days),
                compared=bool(self.truth.rows),
                true=("number", "the output has values: name a column of numbers, such as -4.5"),
            )


class _Count:
    """One pass over the rows of all outputs."""

    def __init__(self, outputs: Sequence[Opened], options: ReportOptions) -> None:
        self._options = options
        self._labels = outputs[0].labels
        self._known = _known_labels(outputs[0])
        self.statistics = Statistics(len(self._labels))
        self.lists = LabelLists(self._labels) if outputs[0].has_lists else None
        self.examples = Examples() if options.show_text else None

    def read(self, number: int, output: Opened) -> None:
        """Count an output's rows."""
        statistics = self.statistics
        before, blank = statistics.per_label, statistics.blank
        for rows in _rows(number, output, self._options, self.examples):
            statistics.add(rows.ids, rows.scores)
            self._add_columns(rows)
        output.check_counts((statistics.per_label - before).tolist(), statistics.blank - blank)
        if statistics.scored:
            _check_columns(
                self._options,
                output,
                dated=bool(statistics.days),
                compared=bool(self.lists.compared if self.lists else statistics.truth.rows),
                true=("label", f"the labels are {', '.join(self._labels)}"),
            )

    def _add_columns(self, rows: Rows) -> None:
        if (name := self._options.date_column) is not None:
            self.statistics.add_days(rows.ids, days_of(rows.column(name)))
        name = self._options.true_label_column
        true = None if name is None else rows.column(name).str.strip_chars().str.to_lowercase()
        if self.lists and (lists := rows.batch.lists) is not None:
            self.lists.add(rows.ids, lists, true, self._known)
        elif true is not None:
            self.statistics.add_truth(rows.ids, rows.scores, ids_of(true, self._known))


def _check_columns(
    options: ReportOptions, output: Opened, *, dated: bool, compared: bool, true: tuple[str, str]
) -> None:
    """Raise DataError where a column is not what it was named for.

    Args:
        options: What was asked for.
        output: The one that was read last.
        dated: Whether a date was found.
        compared: Whether something true was found.
        true: What that is, and how it is written.
    """
    if (name := options.date_column) is not None and not dated:
        raise DataError(
            f"column {name!r} of {output.path} holds no date",
            "dates are ISO 8601, such as 2026-11-24, or as Twitter spells them",
        )
    if (name := options.true_label_column) is not None and not compared:
        what, hint = true
        raise DataError(f"column {name!r} of {output.path} holds no {what}", hint)


def _known_labels(output: Opened) -> dict[str, int]:
    """Return the number of each label by its spellings in lower case, written and the model's."""
    numbers = {label: i for i, label in enumerate(output.labels)}
    classes = output.report.labels
    known = {each.name.lower(): numbers[each.written_as] for each in classes}
    return known | {label.lower(): i for label, i in numbers.items()}


def _metrics(outputs: Sequence[Opened]) -> Metrics | None:
    """Return what was measured of the model, if all outputs are of one that is still there."""
    models = {each.report.model.digest: each.report.options.model for each in outputs}
    if len(models) > 1:
        return None
    ((digest, recorded),) = models.items()
    try:
        bundle = open_bundle(Path(recorded) if recorded else None)
    except TweetscoreError:
        return None  # moved or gone: the page says that it is not known
    return decoded(bundle.metadata.metrics, Metrics) if bundle.digest == digest else None
