"""The result key, the resume key and the score key of a file, and how they are compared. Pure.

An output whose result key is equal is up to date: the key holds what decides the answers and how
they are written. The resume key decides whether stored results may be used: it adds what may change
the last bits of a score, because no single run writes an output by two providers, or by two
versions of a library. The score key decides whether the answers of an earlier output may be reused.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scorer.monitor.versions import library_versions, tweetscore_version
from scorer.options import LABELS_COLUMN, THRESHOLD
from scorer.store.checkpoints import VERSION as CHECKPOINT_VERSION

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle
    from scorer.inference.session import RuntimeInfo
    from scorer.monitor.report_types import CompleteReport
    from scorer.options import RunOptions

# What an input is known by; its path is not among them: a file may move.
_INPUT = ("size", "mtime_ns", "ends_sha256", "format")
_OPTIONS = (
    *("text_column", "limit", "encoding", "delimiter"),
    *("scores", "label_names", "label_column", "score_column", "precision"),
)
# Options that came later: at their defaults they leave the keys of earlier reports as they are.
_ADDED = {
    "quote": "double",
    "escape": "quote",
    "columns": None,
    "labels_column": LABELS_COLUMN,
    "threshold": THRESHOLD,
}
_RUNTIME = ("provider", "device", "precision", "instruction_set")


def result_key(
    source: Mapping[str, Any], bundle: "Bundle", options: "RunOptions"
) -> dict[str, Any]:
    """Return what decides the output's rows, as plain JSON.

    Args:
        source: What `describe_input` found.
        bundle: The model; its digest covers the normaliser's version too.
        options: Threads, windows and limits on rejects are left out: they change no row.
    """
    return _result_key(source, bundle.digest, options.as_json())


def recorded_result_key(report: "CompleteReport") -> str:
    """Return the result key that a report's own words give, as 64 hexadecimal digits."""
    source, options = report.input.as_json(), report.options.as_json()
    return digest(_result_key(source, report.model.digest, options))


def _result_key(
    source: Mapping[str, Any], bundle: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    added = {name: options.get(name, usual) for name, usual in _ADDED.items()}
    return {
        "input": {name: source[name] for name in _INPUT},
        "bundle": bundle,
        "options": {name: options[name] for name in _OPTIONS}
        | {name: value for name, value in added.items() if value != _ADDED[name]},
    }


def is_up_to_date(report: "CompleteReport", key: str | None, options: "RunOptions") -> bool:
    """Return whether an output is what a run would write, by its report and the run's key."""
    if options.fail_on_drift is not None and not report.drift.subjects:
        return False  # an older version wrote it: its drift is not known
    return report.result_key == key and report.counters.rejected <= options.max_rejects


def resume_key(
    result: Mapping[str, Any],
    runtime: "RuntimeInfo",
    libraries: Mapping[str, str],
    window_rows: int,
    earlier: str | None = None,
) -> dict[str, Any]:
    """Return what decides every bit of the stored results, and where they were cut.

    `earlier` is the SHA-256 of the output whose answers are reused.
    """
    return {
        **result,
        **_computing(runtime, tweetscore_version(), libraries),
        "window_rows": window_rows,
        "parts": CHECKPOINT_VERSION,
        "earlier": earlier,
    }


def score_key(digest: str, runtime: "RuntimeInfo") -> dict[str, Any]:
    """Return what decides every bit of a text's answer."""
    return {"bundle": digest, **_computing(runtime, tweetscore_version(), library_versions())}


def recorded_score_key(report: "CompleteReport") -> dict[str, Any]:
    """Return what decided every bit of an output's answers, as its report has it."""
    computing = _computing(report.runtime, report.tool.version, report.libraries)
    return {"bundle": report.model.digest, **computing}


def _computing(
    runtime: "RuntimeInfo", version: str, libraries: Mapping[Any, str]
) -> dict[str, Any]:
    return {
        "runtime": {name: getattr(runtime, name) for name in _RUNTIME},
        "libraries": {"tweetscore": version, **libraries},
    }


def digest(key: Mapping[str, Any]) -> str:
    """Return a key as 64 hexadecimal digits."""
    content = json.dumps(key, sort_keys=True, separators=(",", ":")).encode("ascii")
    return hashlib.sha256(content).hexdigest()
