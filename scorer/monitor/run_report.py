"""OUTPUT.run.json: what a run did, in numbers that add up.

A record gathers facts while the run goes on; at its end it becomes the report of a success or
of a failure. The next run reads ``output`` to know the file as ours; `contradictions` tells which
numbers of a report that is read again do not add up.
"""

import hashlib
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET, convert

from scorer.errors import OUTSIDE_BOUND, exit_code
from scorer.hints import counted
from scorer.monitor.drift import Drift, outside, psi
from scorer.monitor.report_types import CompleteReport, FailedReport, ReportedLabel
from scorer.monitor.versions import library_versions, tweetscore_version
from scorer.records import Baseline, Counters, Scores, Task

_ENDS = 1 << 16  # bytes hashed at either end of the input


class RunRecord:
    """What is known of one file's run so far."""

    def __init__(
        self, options: Mapping[str, Any], options_from: Mapping[str, str] | None = None
    ) -> None:
        # Origins of what is not an option of the file, such as its name, say nothing here.
        origins = {name: where for name, where in (options_from or {}).items() if name in options}
        self.result_key: str | None = None
        self._resumed: dict[str, Any] | None = None
        self.counters = Counters()
        self.rejected = 0
        self.not_finite = 0
        self._remembered = 0
        self._own_rows = 0  # that no other run has scored
        self._taken_over: dict[str, Any] | None = None
        self.warnings: list[str] = []
        self.begin()
        self._seconds: dict[str, float] = {}
        self._facts: dict[str, Any] = {
            "input": None, "model": None, "runtime": None, "canary": None,
            "options": dict(options), "options_from": origins,
        }  # fmt: skip
        self.expect_labels((), ())

    def begin(self) -> None:
        """Start the clock of the total: the file's turn has come."""
        self._started = datetime.now(UTC)
        self._clock = time.monotonic()

    def note(self, **facts: object) -> None:
        """Keep facts under their names: input, model, runtime, canary."""
        self._facts |= facts

    def expect_labels(
        self,
        names: Sequence[str],
        written_as: Sequence[str],
        baseline: Baseline | None = None,
        task: Task = "single_label",
    ) -> None:
        """Name the classes, in id order, and what to compare with, before scores are added."""
        self._task = task
        self._drift = Drift(baseline, names)
        self._labels = tuple(zip(names, written_as, strict=True))
        self._rows_per_label = np.zeros(len(names), dtype=np.int64)
        self._probability_sums = np.zeros(len(names), dtype=np.float64)

    def take_over(self, why_none: str | None) -> None:
        """Note that answers of an earlier output are used, or why they are not."""
        self._taken_over = {"rows": 0, "why_none": why_none}

    def add(self, scores: Scores, *, resumed: str | None = None) -> None:
        """Count one window, scored now or by a resumed run that began at an ISO time."""
        if resumed:
            self._resumed = self._resumed or {"started": resumed, "windows": 0, "rows": 0}
            self._resumed["windows"] += 1
            self._resumed["rows"] += scores.counters.rows
        else:
            self._own_rows += scores.counters.rows - scores.cache_hits
        if self._taken_over:
            self._taken_over["rows"] += scores.cache_hits
        self.counters += scores.counters
        self._drift.add(scores)
        self._remembered += scores.remembered
        ids, best = scores.answered()
        self._rows_per_label += np.bincount(ids, minlength=len(self._labels))
        self._probability_sums += np.bincount(ids, best, minlength=len(self._labels))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time that the block takes to a stage's seconds.

        Stages of different threads overlap, so their sum may exceed the total.
        """
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start

    def succeeded(self, output: Mapping[str, Any]) -> CompleteReport:
        """Return the report of a run whose output has this path, size, mtime_ns and sha256."""
        drift = self._drift.figures()  # of all rows; after a failure of none
        code = OUTSIDE_BOUND if outside(drift, self._facts["options"].get("fail_on_drift")) else 0
        found = self._report(exit_code=code, error=None, output=dict(output), drift=drift)
        return convert(found, CompleteReport)

    def failed(self, error: BaseException) -> FailedReport:
        """Return the report of a run that ended with an error."""
        words = {"kind": type(error).__name__, "message": str(error)}
        return convert(self._report(exit_code=exit_code(error), error=words), FailedReport)

    def _report(self, **ending: Any) -> dict[str, Any]:
        total = time.monotonic() - self._clock
        return {
            "schema_version": 1,
            "tool": {"name": "tweetscore", "version": tweetscore_version()},
            "started": self._started.isoformat(timespec="milliseconds"),
            "finished": datetime.now(UTC).isoformat(timespec="milliseconds"),
            **ending,
            "warnings": list(self.warnings),
            **self._facts,
            "result_key": self.result_key,
            "resumed": self._resumed,
            "counters": {
                "read": self.counters.rows + self.rejected,  # == scored + blank + rejected
                **asdict(self.counters),
                "rejected": self.rejected,
                "not_finite": self.not_finite,
            },
            "remembered": self._remembered,
            "taken_over": self._taken_over,
            "labels": self._label_figures(),
            "seconds": {k: round(v, 3) for k, v in {**self._seconds, "total": total}.items()},
            "tweets_per_second": round(self._own_rows / total, 1) if total else None,
            "peak_memory_bytes": peak_memory(),
            "libraries": dict(library_versions()),
        }

    def _label_figures(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "written_as": written_as,
                "rows": int(rows),
                "mean_probability": self._mean(rows, total),
                **self._mean_value(rows, total),
            }
            for (name, written_as), rows, total in zip(
                self._labels, self._rows_per_label, self._probability_sums, strict=True
            )
        ]

    def _mean(self, rows: np.int64, total: np.float64) -> float | None:
        """Return the mean of a label's probabilities; None of a regression, which has values."""
        probable = rows and self._task != "regression"
        return round(float(total / rows), 6) if probable else None

    def _mean_value(self, rows: np.int64, total: np.float64) -> dict[str, float]:
        """Return the field that a regression with rows has; values may be of any size."""
        valued = rows and self._task == "regression"
        return {"mean_value": float(f"{total / rows:.9g}")} if valued else {}


def describe_input(path: Path, **also: Any) -> dict[str, Any]:
    """Return what identifies an input without reading all of it.

    The hash covers its first and last 64 KiB: with size and mtime that is enough to tell last
    night's file from tonight's, and costs nothing on a file of a terabyte.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        digest = hashlib.sha256(file.read(_ENDS))
        file.seek(max(file.tell(), status.st_size - _ENDS))
        digest.update(file.read(_ENDS))
    return {
        "path": str(path.absolute()),
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ends_sha256": digest.hexdigest(),
        **also,
    }


def peak_memory() -> int:
    """Return the most memory that this process has held at once, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


ROUNDED = 1e-6  # how far a mean in a report may lie from the true one


def contradictions(report: CompleteReport) -> Iterator[str]:
    """Yield what types cannot say: which numbers of a report do not add up."""
    counters = report.counters.as_json()
    for whole, *parts in (("read", "rows", "rejected"), ("rows", "scored", "blank")):
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
        yield from _label_contradictions(report.labels, counters["scored"], report.model.task)
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


def _label_contradictions(
    labels: Sequence[ReportedLabel], scored: int, task: Task
) -> Iterator[str]:
    rows = sum(label.rows for label in labels)
    if rows != scored:
        yield f"the labels have {rows:,} rows together, {scored:,} are scored"
    for label in labels:
        name, mean = label.name, label.mean_probability
        if (mean is None) != (label.rows == 0 or task == "regression"):
            yield f"{name!r} has a mean probability without rows, or rows without one"
        elif label.mean_value is not UNSET and (label.rows == 0 or task != "regression"):
            yield f"{name!r} has a mean value without values"
        elif task != "single_label" or mean is None:
            continue  # the probabilities of a row do not add up to 1
        elif mean < 1 / len(labels) - ROUNDED:
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
