"""An output's run report, read and held against the schema."""

import json
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

from scorer.errors import DataError, InputMissing, UsageError
from scorer.hints import path_word
from scorer.monitor.report_check import malformed
from scorer.os_errors import reading
from scorer.store.own_files import read_own
from scorer.store.paths import default_output, failed_report_path, report_path

_REPORT = ".run.json"


def report_of(output: Path) -> dict[str, Any]:
    """Read an output's run report.

    Raises:
        InputMissing: The output or its report is not there.
        DataError: It is no report, or that of a run that failed.
    """
    with reading(output):
        if stat.S_ISDIR(output.stat().st_mode):
            raise InputMissing(f"{output} is a directory", _an_output_in(output))
    path = report_path(output)
    try:
        with reading(path):
            content = read_own(path)
    except InputMissing as error:
        if path.exists():
            raise
        raise InputMissing(error.problem, _its_output(output)) from error
    try:
        report = json.loads(content, object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON", "run again") from error
    if problem := malformed(report):
        raise DataError(f"{path} is no run report: {problem}", "run again")
    if report["output"] is None:
        raise DataError(f"{path} tells of a run that failed", "run again")
    found: dict[str, Any] = report
    return found


def _an_output_in(directory: Path) -> str:
    """Return what to name instead of a directory."""
    try:
        reports = sorted(path for path in directory.iterdir() if path.name.endswith(_REPORT))
    except OSError:
        reports = []
    for path in reports:
        output = path.with_name(path.name.removesuffix(_REPORT))
        if output.is_file():
            return f"name one of its outputs, such as {path_word(output)}"
    return "name an output of tweetscore run"


def _its_output(path: Path) -> str:
    """Return what to name instead of a file that has no report beside it."""
    if failed_report_path(path).exists():
        return f"its run failed, as {path_word(failed_report_path(path))} tells: run it again"
    with suppress(UsageError):  # a name that no input has
        output = default_output(path)
        if report_path(output).exists():
            return f"that is an input: its output is {path_word(output)}"
    return "name an output of tweetscore run, which has its report beside it"


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object's members; of a name that is there twice, nobody knows which one counts."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is there twice")
    return members
