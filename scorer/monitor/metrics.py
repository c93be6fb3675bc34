"""Figures of a run for Prometheus, as a file that node_exporter's textfile collector reads.

All are gauges, also what was counted: each run begins at 0, and a counter must never fall. The
label `run` is the file's name, because the collector takes each series from one file only.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from scorer.errors import OUTSIDE_BOUND, DataError, OutputRefused, UsageError, is_unicode
from scorer.installation import missing
from scorer.monitor.drift import MIN_ROWS, psi
from scorer.monitor.report_types import Outcome
from scorer.monitor.run_report import peak_memory
from scorer.monitor.versions import tweetscore_version
from scorer.store.commit import replace_bytes
from scorer.store.own_files import open_own

_COMPLETE = (0, OUTSIDE_BOUND)  # exit codes of runs whose outputs are all there
_LONGEST = 1 << 20  # bytes of a file of metrics that is still read

#: Each metric's name, its description, and its labels beside `run`.
METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType({
    "tweetscore_run_success": ("1 where every output is complete, else 0", ()),
    "tweetscore_run_exit_code": ("What the command exited with", ()),
    "tweetscore_run_end_timestamp_seconds": ("When the run ended", ()),
    "tweetscore_last_success_timestamp_seconds": ("When a run last ended with success 1", ()),
    "tweetscore_run_duration_seconds": ("From the start of the run to its end", ()),
    "tweetscore_run_files": ("Files by what became of them", ("fate",)),
    "tweetscore_run_drifted_files": ("Files whose drift is outside --fail-on-drift", ()),
    "tweetscore_run_rows": ("Rows by their label, or the likeliest of several", ("label",)),
    "tweetscore_run_mean_value": ("Mean of the values that a regression gave", ()),
    "tweetscore_run_blank_rows": ("Rows without text to score", ()),
    "tweetscore_run_truncated_rows": ("Rows whose text was longer than the model takes", ()),
    "tweetscore_run_rejected_records": ("Records that are no rows", ()),
    "tweetscore_run_tokens": ("Tokens of the scored rows", ()),
    "tweetscore_run_rows_per_second": ("Rows that this run scored itself, by its duration", ()),
    "tweetscore_run_stage_seconds": ("Seconds by stage; stages overlap", ("stage",)),
    "tweetscore_run_peak_memory_bytes": ("Most memory that the process held at once", ()),
    "tweetscore_run_drift_psi": ("How far all rows are from the model's baseline", ("subject",)),
    "tweetscore_run_canary_largest_difference": ("Of a probability from PyTorch's", ()),
    "tweetscore_run_info": (
        "Always 1; its labels tell what ran",
        ("version", "model", "model_version", "provider", "precision"),
    ),
})  # fmt: skip

_Samples = Iterator[tuple[str, tuple[str, ...], float]]  # name, values of its labels, value


class RunMetrics:
    """Sums over the files of one run; nothing grows with their number.

    Raises:
        MissingExtra: The library that writes it is not installed.
        OutputRefused: There is no such directory, or it is not ours to write in.
        UsageError: The name is not one that the collector reads.
    """

    def __init__(self, path: Path) -> None:
        if path.suffix != ".prom":
            raise UsageError(f"{path} is no name for --metrics-file", "let it end in .prom")
        if not is_unicode(str(path)):  # its name is a label in the file, which is UTF-8
            raise UsageError(
                f"{path} is no name for --metrics-file: it is not UTF-8", "choose another name"
            )
        if find_spec("prometheus_client") is None:
            raise missing("metrics", "--metrics-file needs", "prometheus-client")
        if not path.parent.is_dir():
            raise OutputRefused(f"{path.parent} is no directory to write in", "create it")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise OutputRefused(
                f"the directory {path.parent} cannot be written to", "check its permissions"
            )
        self._path = path
        self._start = time.monotonic()
        self._results = Counter[str]()
        self._outside = 0
        self._counters = Counter[str]()
        self._own_rows = 0
        self._labels = Counter[str]()
        self._value_sum: float | None = None  # of a regression alone
        self._seconds: dict[str, float] = {}
        self._drift: dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
        self._canary = 0.0
        self._info: dict[str, str] = {}

    def add(self, outcome: Outcome) -> None:
        """Count one file; of one that failed or was up to date, only that it did or was."""
        self._outside += bool(outcome.outside)
        fate = "failed" if outcome.error else "up_to_date" if outcome.up_to_date else "scored"
        self._results[fate] += 1
        if fate != "scored":
            return
        report = outcome.complete
        self._counters.update(report.counters.as_json())
        self._own_rows += report.counters.rows - (report.resumed.rows if report.resumed else 0)
        self._labels.update({label.name: label.rows for label in report.labels})
        for label in report.labels:
            if label.mean_value is not UNSET:
                self._value_sum = (self._value_sum or 0.0) + label.mean_value * label.rows
        for stage, seconds in report.seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
        for name, subject in report.drift.subjects.items():
            before, now = np.array([subject.baseline, subject.now])
            self._drift[name] = (before, now + (self._drift[name][1] if name in self._drift else 0))
        self._canary = max(self._canary, report.canary.largest_difference)
        self._info = {
            "version": tweetscore_version(),
            "model": report.model.name,
            "model_version": report.model.version,
            "provider": report.runtime.provider,
            "precision": report.runtime.precision,
        }

    def write(self, exit_code: int) -> None:
        """Replace the file, whole or not at all.

        Raises:
            OutputRefused: It cannot be replaced.
            StorageError: Writing it failed.
        """
        from prometheus_client import CollectorRegistry, Gauge, generate_latest

        registry, gauges = CollectorRegistry(), dict[str, Gauge]()
        for name, labels, value in self._samples(exit_code):
            if name not in gauges:
                description, others = METRICS[name]
                gauges[name] = Gauge(name, description, ("run", *others), registry=registry)
            gauges[name].labels(self._path.stem, *labels).set(value)
        replace_bytes(self._path, generate_latest(registry))

    def _samples(self, exit_code: int) -> _Samples:
        """Yield the samples."""
        now, duration = time.time(), time.monotonic() - self._start
        success = exit_code in _COMPLETE
        yield "tweetscore_run_success", (), success
        yield "tweetscore_run_exit_code", (), exit_code
        yield "tweetscore_run_end_timestamp_seconds", (), now
        last = now if success else _last_success(self._path)
        if last is not None:
            yield "tweetscore_last_success_timestamp_seconds", (), last
        yield "tweetscore_run_duration_seconds", (), duration
        for fate in ("scored", "up_to_date", "failed"):
            yield "tweetscore_run_files", (fate,), self._results[fate]
        yield "tweetscore_run_drifted_files", (), self._outside
        yield "tweetscore_run_peak_memory_bytes", (), peak_memory()
        yield "tweetscore_run_blank_rows", (), self._counters["blank"]
        yield "tweetscore_run_truncated_rows", (), self._counters["truncated"]
        yield "tweetscore_run_rejected_records", (), self._counters["rejected"]
        yield "tweetscore_run_tokens", (), self._counters["tokens"]
        yield "tweetscore_run_rows_per_second", (), self._own_rows / duration if duration else 0
        if self._info:
            yield from self._of_the_model()

    def _of_the_model(self) -> _Samples:
        """Yield the metrics that only a run that has scored a file has."""
        for label, rows in self._labels.items():
            yield "tweetscore_run_rows", (label,), rows
        if self._value_sum is not None:
            yield "tweetscore_run_mean_value", (), self._value_sum / self._labels.total()
        for stage, seconds in self._seconds.items():
            if stage != "total":
                yield "tweetscore_run_stage_seconds", (stage,), seconds
        if self._counters["scored"] >= MIN_ROWS:
            for subject, sides in self._drift.items():
                yield "tweetscore_run_drift_psi", (subject,), psi(*sides)
        yield "tweetscore_run_canary_largest_difference", (), self._canary
        yield "tweetscore_run_info", tuple(self._info.values()), 1


def _last_success(path: Path) -> float | None:
    """Return the time of the last success in the last run's file; None where it has none."""
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with open_own(path) as file:
            text = file.read(_LONGEST).decode("utf-8")
        return next(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "tweetscore_last_success_timestamp_seconds"
        )
    except (DataError, OSError, ValueError, StopIteration):
        return None
