"""An output's run report, read again, and what it says of how the output is read."""

import json
import stat
from contextlib import suppress
from pathlib import Path
from typing import Literal

from msgspec import UNSET

from scorer.errors import DataError, InputMissing, UsageError
from scorer.formats.output_columns import OutputColumns
from scorer.formats.written import SchemaKeys, Written
from scorer.hints import path_word
from scorer.inference.bundle.untrusted import no_key_twice
from scorer.monitor.report_types import CompleteReport, strictly_decoded
from scorer.options import LABELS_COLUMN, THRESHOLD, CsvOptions, InputSpec, OutputSpec
from scorer.os_errors import reading
from scorer.store.commit import report_there
from scorer.store.own_files import read_own
from scorer.store.paths import EarlierPlaces, default_output, failed_report_path, there

_FATES: tuple[Literal["extended", "dropped"], ...] = ("extended", "dropped")  # of keys


def report_of(output: Path) -> CompleteReport:
    """Read an output's run report.

    Raises:
        InputMissing: The output or its report is not there.
        DataError: It is no report, or that of a run that failed.
    """
    with reading(output):
        if stat.S_ISDIR(output.stat().st_mode):
            raise InputMissing(f"{output} is a directory", _an_output_in(output))
    path = report_there(output)
    try:
        with reading(path):
            content = read_own(path)
    except InputMissing as error:
        if path.exists():
            raise
        raise InputMissing(error.problem, _its_output(output)) from error
    try:
        found = json.loads(content, object_pairs_hook=no_key_twice)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON", "run again") from error
    try:
        report = strictly_decoded(found)
    except ValueError as error:
        raise DataError(f"{path} is no run report: {error}", "run again") from error
    if not isinstance(report, CompleteReport):
        raise DataError(f"{path} tells of a run that failed", "run again")
    return report


def input_spec(report: CompleteReport) -> InputSpec:
    """Return how a run read its input, and so how its output is read."""
    options, found = report.options, report.input.delimiter
    csv = CsvOptions(
        options.encoding,
        options.delimiter or (found.character if found else None),
        options.quote or "double",
        options.escape or "quote",
        tuple(options.columns) if options.columns else None,
    )
    return InputSpec(options.text_column, csv, options.limit, options.format)


def output_columns(report: CompleteReport) -> OutputColumns:
    """Return the columns that a run appended."""
    options, labels = report.options, report.labels
    spec = OutputSpec(
        options.scores,
        label_column=options.label_column,
        score_column=options.score_column,
        labels_column=options.labels_column or LABELS_COLUMN,
        threshold=THRESHOLD if options.threshold is UNSET else options.threshold,
    )
    names = [label.name for label in labels]
    return OutputColumns.of(spec, names, (each.written_as for each in labels), report.model.task)


def written_by(report: CompleteReport) -> Written:
    """Return what a run says of how it wrote its output."""
    output, keys = report.output, report.output.schema_keys
    found = SchemaKeys(*(tuple(keys.get(each, ())) for each in _FATES)) if keys else None
    return Written(output.rows, output.copied_bytes or None, found)


def _an_output_in(directory: Path) -> str:
    """Return what to name instead of a directory."""
    with suppress(OSError):
        for path in sorted(directory.iterdir()):
            if path.is_file() and report_there(path).exists():
                return f"name one of its outputs, such as {path_word(path)}"
    return "name an output of tweetscore run"


def _its_output(path: Path) -> str:
    """Return what to name instead of a file that has no report beside it."""
    failed = there(failed_report_path(path), EarlierPlaces.of(path).failed_report)
    if failed.exists():
        return f"its run failed, as {path_word(failed)} tells: run it again"
    with suppress(UsageError):  # a name that no input has
        output = default_output(path)
        if report_there(output).exists():
            return f"that is an input: its output is {path_word(output)}"
    return "name an output of tweetscore run, which has its report in .tweetscore/"
