"""All that a page tells, of labels or of values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scorer.inference.bundle.metadata import Metrics
from scorer.report.changes import Comparison
from scorer.report.label_lists import LabelLists
from scorer.report.outputs import Examples, Opened
from scorer.report.statistics import Statistics
from scorer.report.value_changes import ValueComparison
from scorer.report.values import Agreement, Distribution, ValueDays


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Findings:
    """What every page tells."""

    outputs: Sequence[Opened]
    rejects: Mapping[str, int]  # rows by kind
    date_column: str | None
    true_column: str | None
    id_column: str | None
    examples: Examples | None  # None: texts are not to be shown


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LabelFindings(Findings):
    """What a page of labels tells."""

    statistics: Statistics  # of the best class, where a text may have several
    lists: LabelLists | None  # of a multi-label model
    metrics: Metrics | None  # what the model's export measured, where it is known
    comparison: Comparison | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ValueFindings(Findings):
    """What a page of a regression's values tells."""

    values: Distribution
    truth: Agreement  # of the values with true ones
    days: ValueDays
    comparison: ValueComparison | None
