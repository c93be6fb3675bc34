"""Everything that is checked of an input and its output before the model works.

A run, a dry run and an actor of Ray check by the same functions, so none of them can refuse what
another would do. Of a file, `Preflight` holds all that was found.
"""

from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scorer import keys
from scorer.errors import UsageError
from scorer.files.discover import resolved
from scorer.files.opening import open_source
from scorer.files.patterns import partition_keys
from scorer.files.place import check_output
from scorer.files.publish import Inodes, inodes, report_on
from scorer.files.source import OutputColumns, Source
from scorer.files.storage import reading
from scorer.label_names import renamed
from scorer.monitor.run_report import describe_input
from scorer.run_options import OutputSpec, RunOptions

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle


@dataclass(frozen=True, slots=True, eq=False)
class Preflight:
    """An input that is in order, and what its output is to be."""

    source: Source
    target: Path  # the output; where that is a link, what it points to
    output_schema: OutputColumns
    described: Mapping[str, Any]  # what identifies the input, for the report
    key: dict[str, Any]  # what decides the output's rows: the result key
    current: dict[str, Any] | None  # the report of an output that is up to date


def preflight(source: Source, output: Path, options: RunOptions, bundle: "Bundle") -> Preflight:
    """Check a valid input, its output and the model against each other; return what was found.

    Args:
        source: What `validate` opened.
        output: As it was named.
        options: What is wanted.
        bundle: The model.

    Raises:
        UsageError: The input's format cannot hold the output's columns.
        InputMissing: The input is gone.
    """
    schema = resolve_schema(source, options, bundle)
    described = describe(source, options)
    key = keys.result_key(described, bundle, options)
    target = resolved(output)
    report = (report_on(target) if options.incremental else None) or {}
    current = report if keys.is_up_to_date(report, keys.digest(key), options) else None
    return Preflight(source, target, schema, described, key, current)


def validate(
    path: Path, output: Path, options: RunOptions, inputs: Inodes, *, dry_run: bool = False
) -> Source:
    """Open an input, and check all that can be checked without a model and a lock.

    Args:
        path: The input.
        output: As it was named.
        options: What is wanted.
        inputs: All inputs of the run, none of which may become an output.
        dry_run: Make no directory.

    Raises:
        UsageError: The call does not fit the input, or a column of its name is there already.
        InputMissing, DataError: The input cannot be read.
        OutputRefused: No output can be written there.
    """
    source = open_input(path, options)  # first: it may not be there
    target = resolved(output)
    is_one_of_many = options.output not in (None, output)
    if is_one_of_many and not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
    if not (is_one_of_many and dry_run) or target.parent.exists():
        check_output(target, ChainMap(inodes([path]), inputs))
    taken = (*source.columns, *partition_keys(path))
    try:
        output_columns(options.output_spec).check_against(taken)
    except UsageError as error:
        problem = f"{path}: {error.problem}"
        raise UsageError(problem, error.remedy, error.options) from error
    return source


def open_input(path: Path, options: RunOptions) -> Source:
    """Open an input as the options have it; raises what `open_source` and `values` raise."""
    source = open_source(path, options.input_spec)
    if options.id_column is not None:
        source.values(options.id_column)  # looks for the column at once
    return source


def resolve_schema(source: Source, options: RunOptions, bundle: "Bundle") -> OutputColumns:
    """Return the columns to append; raises UsageError where the input's format cannot hold them."""
    schema = output_columns(options.output_spec, bundle.labels)
    source.check_output_schema(schema)
    return schema


def output_columns(spec: OutputSpec, labels: tuple[str, ...] = ()) -> OutputColumns:
    """Return the columns to append; without labels, those that are known before the model is."""
    return OutputColumns.of(spec, labels, renamed(labels, spec.label_names) if labels else ())


def describe(source: Source, options: RunOptions) -> dict[str, Any]:
    """Return what identifies an input; what came from a stream has that one's name."""
    with reading(source.path):
        found = describe_input(source.path, format=source.format, **source.found)
    return found | {"path": options.names.get(source.path, found["path"])}
