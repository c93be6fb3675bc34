"""Run reports as tests read them."""

from typing import Any

from scorer.monitor.report_types import CompleteReport, Outcome, strictly_decoded


def malformed(report: Any) -> str:
    """Return why a report is none; nothing where it is one."""
    try:
        strictly_decoded(report)
    except ValueError as error:
        return str(error)
    return ""


def complete(report: dict[str, Any]) -> CompleteReport:
    """Return the report of a complete output."""
    found = strictly_decoded(report)
    assert isinstance(found, CompleteReport)
    return found


def report_json(outcome: Outcome) -> dict[str, Any]:
    """Return the JSON of an outcome's report, of a success or of a failure."""
    assert outcome.report is not None
    return outcome.report.as_json()
