"""Rows by label, as the lines about a run show them."""

from typing import TYPE_CHECKING

from scorer.hints import counted

if TYPE_CHECKING:
    from scorer.monitor.report_types import CompleteReport

_MOST = 12  # labels that are all shown
_SHOWN = 5  # of more: those with the most rows


def label_counts(report: "CompleteReport") -> list[str]:
    """Return each label with its rows, in id order; of many, the most frequent ones.

    Of a regression, which has no labels, it is how many values there are.
    """
    if report.model.task == "regression":
        return [counted(report.counters.scored, "value")]
    labels = report.labels
    hidden = len(labels) - _SHOWN if len(labels) > _MOST else 0
    if hidden:
        labels = sorted(labels, key=lambda label: -label.rows)[:_SHOWN]
    counts = [f"{label.written_as} {label.rows:,}" for label in labels]
    return [*counts, f"{hidden:,} other labels"] if hidden else counts
