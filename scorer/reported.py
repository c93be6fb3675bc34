"""An output's run report, and how the report says that the output is read."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import DataError
from scorer.files.compare import InputOptions
from scorer.files.csv.options import CsvOptions
from scorer.files.discover import report_path
from scorer.files.own import read_own
from scorer.files.source import OutputColumns
from scorer.files.storage import reading
from scorer.monitor.report_check import malformed


def report_of(output: Path) -> dict[str, Any]:
    """Read an output's run report.

    Raises:
        InputMissing: The output or its report is not there.
        DataError: It is no report, or that of a run that failed.
    """
    with reading(output):
        if stat.S_ISDIR(output.stat().st_mode):
            raise IsADirectoryError
    path = report_path(output)
    with reading(path):
        content = read_own(path)
    try:
        report = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON", "run again") from error
    if problem := malformed(report):
        raise DataError(f"{path} is no run report: {problem}", "run again")
    if report["output"] is None:
        raise DataError(f"{path} tells of a run that failed", "run again")
    found: dict[str, Any] = report
    return found


def reading_options(report: Mapping[str, Any]) -> InputOptions:
    """Return how the run read its input, and so how its output is read."""
    options = report["options"]
    return InputOptions(
        options["text_column"],
        CsvOptions.recorded(report),
        options["limit"],
        options.get("format"),  # reports of older versions have none
    )


def appended_columns(report: Mapping[str, Any]) -> OutputColumns:
    """Return the columns that the run appended."""
    return OutputColumns.recorded(report)
