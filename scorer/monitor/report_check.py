"""Is a run report one that we could have written, and do its numbers add up?"""

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from scorer.errors import OUTSIDE_BOUND
from scorer.hints import counted
from scorer.monitor.drift import outside, psi

ROUNDED = 1e-6  # how far a mean in a report may lie from the true one
_LONGEST = 200  # characters of a message of the library


def schema() -> dict[str, Any]:
    """Return the published JSON Schema of run reports."""
    text = resources.files(__package__).joinpath("run_report.schema.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def malformed(report: Any) -> str:
    """Return a clause for the worst place where it is not what the schema says; '' if it is."""
    from jsonschema import Draft202012Validator  # slow to load, and needed by verify alone
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema()).iter_errors(report))
    return f"{error.json_path} {_shortened(error.message)}" if error else ""


def _shortened(words: str) -> str:
    """Cut what quotes half a report."""
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} ..."


def contradictions(report: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a schema cannot say: which numbers of a well-formed report do not add up."""
    counters = report["counters"]
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
    if report["remembered"] > once:
        yield f"remembered are {counted(report['remembered'], 'text')} of {once:,}"
    yield from _drift_contradictions(report)
    if report["labels"]:
        yield from _label_contradictions(report["labels"], counters["scored"])
    if (taken := report["taken_over"]) and taken["rows"] > counters["scored"]:
        yield f"taken over are {counted(taken['rows'], 'row')} of {counters['scored']:,} scored"
    yield from _story_contradictions(report, counters["rows"])


def _story_contradictions(report: Mapping[str, Any], rows: int) -> Iterator[str]:
    if (resumed := report["resumed"]) and resumed["rows"] > rows:
        yield f"resumed are {counted(resumed['rows'], 'row')} of {rows:,}"
    if (output := report["output"]) and output["rows"] != rows:
        yield f"the output has {counted(output['rows'], 'row')}, {rows:,} are counted"
    if report["finished"] < report["started"]:
        yield "it finished before it started"


def _label_contradictions(labels: list[dict[str, Any]], scored: int) -> Iterator[str]:
    rows = sum(label["rows"] for label in labels)
    if rows != scored:
        yield f"the labels have {rows:,} rows together, {scored:,} are scored"
    for label in labels:
        name, mean = label["name"], label["mean_probability"]
        if (mean is None) != (label["rows"] == 0):
            yield f"{name!r} has a mean probability without rows, or rows without one"
        elif mean is not None and mean < 1 / len(labels) - ROUNDED:
            yield f"the mean probability of {name!r} is {mean}, too low for the best of a row"


def _drift_contradictions(report: Mapping[str, Any]) -> Iterator[str]:
    counters, drift = report["counters"], report["drift"] or {"subjects": {}}
    counted = {"unknown_tokens": counters["tokens"]}
    for name, subject in drift["subjects"].items():
        whole, found = counted.get(name, counters["scored"]), sum(subject["now"])
        if found != whole:
            yield f"the drift of {name} is of {found:,}, not of {whole:,}"
        if len({len(subject[side]) for side in ("bins", "baseline", "now")}) > 1:
            yield f"the drift of {name} has sides of different lengths"
        elif abs(psi(subject["baseline"], subject["now"]) - subject["psi"]) > ROUNDED:
            yield f"the drift of {name} is not {subject['psi']}"
    bound = report["options"]["fail_on_drift"]
    failed = bound is not None and bool(outside(report, bound))
    if failed != (report["exit_code"] == OUTSIDE_BOUND):
        yield f"the exit code is {report['exit_code']}, which the drift contradicts"
