"""What a run found, in words: rows by label, time and device, and how the rows have drifted."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from scorer.hints import counted, path_word

if TYPE_CHECKING:
    from scorer.inference.session import RuntimeInfo
    from scorer.monitor.report_types import CompleteReport, Outcome, ReportedComparison

_MOST = 12  # labels that are all shown
_SHOWN = 5  # of more: those with the most rows
_DEVICES = {"builtin": "CPU", "openvino": "CPU", "cuda": "GPU"}


def answers_in_words(report: "CompleteReport") -> str:
    """Return rows by label, those without one, and the run's time, speed and device."""
    counters = report.counters
    parts = [", ".join(label_counts(report))]
    parts += [f"{counters.blank:,} blank"] if counters.blank else []
    parts += [f"{counters.rejected:,} rejected"] if counters.rejected else []
    speed = report.tweets_per_second
    rate = f" ({speed:,.0f} rows/s)" if speed else ""
    took = f"in {report.seconds['total']:.1f} s{rate} on {device_in_words(report.runtime)}"
    return "; ".join((*parts, took))


def device_in_words(runtime: "RuntimeInfo") -> str:
    """Return what kind of device it is, and the precision; of several devices how many."""
    device = _DEVICES[runtime.device]
    several = f"{runtime.devices} {device}s" if runtime.devices > 1 else device
    return f"{several} {runtime.precision}"


def label_counts(report: "CompleteReport") -> list[str]:
    """Return the rows of each label and their share, in id order; of many, the most frequent ones.

    A label of a multi-label model is the best one of a row. Of a regression, which has no labels,
    it is how many values there are, and their mean.
    """
    if report.model.task == "regression":
        mean = report.labels[0].mean_value
        shown = f", mean {mean:.4g}" if isinstance(mean, float) else ""
        return [counted(report.counters.scored, "value") + shown]
    return rows_by_label((label.written_as, label.rows) for label in report.labels)


def rows_by_label(counts: Iterable[tuple[str, int]]) -> list[str]:
    """Return labels with their rows and shares; of many, the most frequent ones."""
    labels = list(counts)
    total = sum(rows for _, rows in labels)
    hidden = len(labels) - _SHOWN if len(labels) > _MOST else 0
    if hidden:
        labels = sorted(labels, key=lambda label: -label[1])[:_SHOWN]
    found = [
        f"{rows:,} {_name(label)}" + (f" ({100 * rows / total:.1f} %)" if total else "")
        for label, rows in labels
    ]
    return [*found, f"{hidden:,} other labels"] if hidden else found


def _name(label: str) -> str:
    """Return a label so that it is not read as part of its number."""
    return label if label[:1].isalpha() else f'"{label}"'


def drift_in_words(outcome: "Outcome", moved: Mapping[str, float], verdict: str = "") -> str:
    """Return what is unlike the model's own texts, the indices, and what to look at."""
    report = outcome.complete
    subjects = report.drift.subjects
    words = ", ".join(_moved(name, subjects[name]) for name in subjects if name in moved)
    indices = ", ".join(f"{name.replace('_', ' ')} {index:.2f}" for name, index in moved.items())
    line = (
        f"{outcome.named_output} is complete, but these texts look unlike the model's own: {words} "
        f"(drift as PSI: {indices}{verdict}). Is it another language, or another kind of text?"
    )
    if report.options.model is None:
        line += " The model reads English."
    if outcome.url:
        return line
    return f"{line} To see more: tweetscore report {path_word(outcome.output)} -o page.html"


def _moved(name: str, subject: "ReportedComparison") -> str:
    """Return what has changed in one subject, before and now."""
    before, now = (_shares(side) for side in (subject.baseline, subject.now))
    if name == "labels":
        most = max(range(len(now)), key=lambda place: abs(now[place] - before[place]))
        share, usual = 100 * now[most], 100 * before[most]
        return f"{share:.0f} % are {subject.bins[most]} instead of {usual:.0f} %"
    if name == "unknown_tokens":
        return (
            f"{100 * now[1]:.1f} % of the words are unknown to the model instead of "
            f"{100 * before[1]:.1f} %"
        )
    higher = _middle(now) > _middle(before)
    if name == "scores":
        return f"the model is {'more' if higher else 'less'} sure of its answers"
    return f"the texts are {'longer' if higher else 'shorter'}"


def _shares(counts: "list[int]") -> list[float]:
    total = sum(counts) or 1
    return [count / total for count in counts]


def _middle(shares: list[float]) -> float:
    """Return the mean number of the bin, which rises with what the bins are of."""
    return sum(place * share for place, share in enumerate(shares))
