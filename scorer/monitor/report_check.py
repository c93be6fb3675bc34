"""Do the numbers of a run report add up?"""

from collections.abc import Iterator, Sequence

from scorer.errors import OUTSIDE_BOUND
from scorer.hints import counted
from scorer.monitor.drift import outside, psi
from scorer.monitor.report_types import CompleteReport, ReportedLabel

ROUNDED = 1e-6  # how far a mean in a report may lie from the true one


def contradictions(report: CompleteReport) -> Iterator[str]:
    """Yield what types cannot say: which numbers of a report do not add up."""
    counters = report.counters.as_json()
    for whole, *parts in (
        ("read", "rows", "rejected"),
        ("rows", "scored", "blank"),
    ):
        if counters[whole] != sum(counters[part] for part in parts):
            yield f"{whole} is {counters[whole]:,}, but not the sum of {' and '.join(parts)}"
    for part, whole in (
        ("equal", "scored"),
        ("truncated", "scored"),
        ("unknown", "tokens"),
        ("not_finite", "rows"),
    ):
        found = counters.get(part, 0)  # an earlier version counted less
        if found > counters[whole]:
            yield f"{part} is {found:,}, more than the {counters[whole]:,} {whole}"
    once = counters["scored"] - counters["equal"]
    if report.remembered > once:
        yield f"remembered are {counted(report.remembered, 'text')} of {once:,}"
    yield from _drift_contradictions(report)
    if report.labels:
        yield from _label_contradictions(report.labels, counters["scored"])
    if (taken := report.taken_over) and taken.rows > counters["scored"]:
        yield f"taken over are {counted(taken.rows, 'row')} of {counters['scored']:,} scored"
    yield from _story_contradictions(report, counters["rows"])


def _story_contradictions(report: CompleteReport, rows: int) -> Iterator[str]:
    if (resumed := report.resumed) and resumed.rows > rows:
        yield f"resumed are {counted(resumed.rows, 'row')} of {rows:,}"
    if (found := report.output.rows) != rows:
        yield f"the output has {counted(found, 'row')}, {rows:,} are counted"
    if report.finished < report.started:
        yield "it finished before it started"


def _label_contradictions(labels: Sequence[ReportedLabel], scored: int) -> Iterator[str]:
    rows = sum(label.rows for label in labels)
    if rows != scored:
        yield f"the labels have {rows:,} rows together, {scored:,} are scored"
    for label in labels:
        name, mean = label.name, label.mean_probability
        if (mean is None) != (label.rows == 0):
            yield f"{name!r} has a mean probability without rows, or rows without one"
        elif mean is not None and mean < 1 / len(labels) - ROUNDED:
            yield f"the mean probability of {name!r} is {mean}, too low for the best of a row"


def _drift_contradictions(report: CompleteReport) -> Iterator[str]:
    counters = report.counters
    for name, subject in report.drift.subjects.items():
        whole = counters.tokens if name == "unknown_tokens" else counters.scored
        found = sum(subject.now)
        if found != whole:
            yield f"the drift of {name} is of {found:,}, not of {whole:,}"
        if len({len(side) for side in (subject.bins, subject.baseline, subject.now)}) > 1:
            yield f"the drift of {name} has sides of different lengths"
        elif abs(psi(subject.baseline, subject.now) - subject.psi) > ROUNDED:
            yield f"the drift of {name} is not {subject.psi}"
    bound = report.options.fail_on_drift
    if bool(outside(report.drift, bound)) != (report.exit_code == OUTSIDE_BOUND):
        yield f"the exit code is {report.exit_code}, which the drift contradicts"
