"""What the options mean for one input: how it is opened, and what is appended to it."""

from pathlib import Path
from typing import Any

from scorer.errors import UsageError
from scorer.files.opening import open_source
from scorer.files.patterns import partition_keys
from scorer.files.source import OutputColumns, Source
from scorer.files.storage import reading
from scorer.label_names import renamed
from scorer.monitor.run_report import describe_input
from scorer.run_options import OutputSpec, RunOptions


def open_input(path: Path, options: RunOptions) -> Source:
    """Open an input as the options have it; raises what `open_source` and `values` raise."""
    source = open_source(path, options.input_spec)
    if options.id_column is not None:
        source.values(options.id_column)  # looks for the column at once
    return source


def check_names(source: Source, options: RunOptions) -> None:
    """Let no column be appended that the rows have, or that their directories stand for."""
    taken = (*source.columns, *partition_keys(source.path))
    try:
        output_columns(options.output_spec).check_against(taken)
    except UsageError as error:
        problem = f"{source.path}: {error.problem}"
        raise UsageError(problem, error.remedy, error.options) from error


def describe(source: Source, options: RunOptions) -> dict[str, Any]:
    """Return what identifies an input; what came from a stream has that one's name."""
    with reading(source.path):
        found = describe_input(source.path, format=source.format, **source.found)
    return found | {"path": options.names.get(source.path, found["path"])}


def output_columns(spec: OutputSpec, labels: tuple[str, ...] = ()) -> OutputColumns:
    """Return the columns to append; without labels, those that are known before the model is."""
    names = renamed(labels, spec.label_names) if labels else ()
    return OutputColumns.of(spec, labels, names)
