"""`tweetscore run`: score files here, at URLs, or on Ray."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.common_options import (
    CONTEXT,
    PathOrUrl,
    answer_options,
    debug_option,
    model_options,
)
from scorer.cli.config_file import config_option
from scorer.cli.console import ConsoleReporter, collect_metrics
from scorer.cli.log import LoggedCommand, in_json, log_option
from scorer.cli.process import keep_until_exit, print_error, stdout_for_data
from scorer.cli.run_flags import check_names, file_options, output_options, process_options
from scorer.errors import UsageError

if TYPE_CHECKING:
    from scorer.cli.stdio import Files
    from scorer.monitor.report_types import Outcome
    from scorer.options import RunOptions
    from scorer.remote.urls import Url
    from scorer.run.prune import Departed


@dataclass(frozen=True, slots=True)
class Engine:
    """How the inputs of a run are found, and how they are scored."""

    discover: "Callable[[RunOptions], Any]"
    run: "Callable[..., Iterator[Outcome]]"  # takes options, found inputs, model and progress
    finish: "Callable[..., Iterator[Departed]]"  # takes options, found inputs and prune


def check_call(engine: str, places: tuple[object, ...], *, dry_run: bool) -> None:
    """Raise UsageError where an engine cannot do what the call asks for.

    `places` are all inputs and the output, as the call names them.
    """
    if engine == "ray":
        if dry_run:
            raise UsageError("--dry-run looks at this box only", "leave --engine out")
        if Path("-") in places or not all(isinstance(each, Path | None) for each in places):
            raise UsageError(
                "--engine ray reads and writes files, no streams and no URLs",
                "name files on a file system that all nodes see",
            )
        return
    source = click.get_current_context().get_parameter_source("ray_address")
    if source is ParameterSource.COMMANDLINE:
        raise UsageError("--ray-address is for --engine ray", "give both or neither")


def choose_engine(
    engine: str,
    ray_address: str | None,
    inputs: "tuple[Path | Url, ...]",
    output: "Path | Url | None",
    work_dir: Path | None,
) -> tuple[Engine, tuple[Path, ...], Path | None]:
    """Return the engine, and the inputs and the output that are files.

    The libraries for URLs and for Ray are loaded only where the call needs them.
    """
    from scorer.run import pipeline
    from scorer.run.prune import finish

    paths = tuple(each for each in inputs if isinstance(each, Path))
    if len(paths) < len(inputs) or not isinstance(output, Path | None):
        from scorer.remote.remote_run import Remote

        remote = Remote(inputs, output, work_dir)
        return Engine(remote.discover, remote.run, remote.finish), (), None
    if engine == "local":
        return Engine(pipeline.discover, pipeline.run, finish), paths, output
    from scorer.engines import ray

    def run(*what: Any, model: object, **how: Any) -> "Iterator[Outcome]":
        return ray.run(*what, address=ray_address, **how)  # its actors have models of their own

    return Engine(pipeline.discover, run, finish), paths, output


_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "configuration file",
}


# One place decides what a newcomer is shown; --help-all shows the rest.
_EVERYDAY = (
    "output", "text_column", "delimiter", "encoding", "scores", "label_names", "model", "overwrite",
    "dry_run", "quiet",
)  # fmt: skip


@click.command(cls=LoggedCommand, context_settings=CONTEXT, everyday=_EVERYDAY)
@click.argument("inputs", nargs=-1, required=True, type=PathOrUrl(), metavar="INPUT...")
@file_options
@answer_options
@output_options
@model_options
@process_options
@config_option
@log_option
@debug_option
def run(
    *,
    quiet: bool,
    verbose: bool,
    dry_run: bool,
    engine: str,
    metrics_file: Path | None,
    work_dir: Path | None,
    inputs: "tuple[Path | Url, ...]",
    **options: Any,
) -> None:
    """Score tweets in CSV, TSV, NDJSON, Parquet or Arrow files.

    The same rows come back, in the same order, with a label and a score (from other models: with
    lists of labels, or a value). The output appears when it is complete. Run the command again
    after an interruption: it goes on where it was.

    An INPUT is a file (.gz and .zst too), a directory, a quoted pattern, a Delta table, a URL
    (s3://, gs://, az://, https://, hf://datasets/), or - for standard input.

    \b
    tweetscore run tweets.csv
    tweetscore run tweets.parquet -o scored.parquet --scores all
    tweetscore run lake/ 'archive/**/*.csv.gz' -o scored/ --text-column body
    zcat tweets.ndjson.gz | tweetscore run - --format ndjson | head
    """
    from scorer.cli.stdio import piped
    from scorer.options import RunOptions

    ray_address, prune = options.pop("ray_address"), options.pop("prune")
    check_names(no_header=options.pop("no_header"), columns=options["columns"])
    check_call(engine, (*inputs, options["output"]), dry_run=dry_run)
    if dry_run:
        click.get_current_context().exit(_dry_run(inputs, options, prune=prune))
    streams = (sys.stdin.buffer, stdout_for_data())
    with collect_metrics(metrics_file) as on_outcome:
        output, kind, text_column = options.pop("output"), options["format"], options["text_column"]
        with piped(inputs, output, kind, text_column, streams) as files:
            computing, paths, output = choose_engine(
                engine, ray_address, files.inputs, files.output, work_dir
            )
            origins = _origins(options)
            wanted = RunOptions.of(
                paths, output, **options, options_from=origins, names=files.names
            )
            how = {"quiet": quiet, "verbose": verbose, "prune": prune}
            code = _run(wanted, files, computing, on_outcome, **how)
        click.get_current_context().exit(code)


def _dry_run(inputs: "tuple[Path | Url, ...]", options: dict[str, Any], *, prune: bool) -> int:
    """Print what a run would do, and return its exit code as far as it is known."""
    from scorer.cli.show_preview import show
    from scorer.cli.stdio import DASH
    from scorer.options import RunOptions
    from scorer.run.dry_run import preview

    if DASH in (*inputs, options["output"]):
        raise UsageError("a stream cannot be looked at without being read", "name files")
    paths = tuple(each for each in inputs if isinstance(each, Path))
    if len(paths) < len(inputs) or not isinstance(options["output"], Path | None):
        raise UsageError("a URL cannot be looked at without being fetched", "name files")
    return show(preview(RunOptions.of(paths, **options), prune=prune))


def _run(
    wanted: "RunOptions",
    files: "Files",
    engine: Engine,
    on_outcome: "Callable[[Outcome], object]",
    *,
    quiet: bool,
    verbose: bool,
    prune: bool,
) -> int:
    """Run, report each file, and return the exit code."""
    from scorer.cli.progress import progress
    from scorer.inference.loading import ModelHandle
    from scorer.run.prune import check_searched

    model = ModelHandle.of(wanted.model_spec)
    keep_until_exit(model)  # OpenVINO needs 70 ms to free it, and the process ends without
    found = engine.discover(wanted)
    if prune:
        check_searched(found.searched)
    reporter = ConsoleReporter(len(found.files), found.several, quiet=quiet, verbose=verbose)
    reporter.report_skipped(found.ours, found.warnings)
    try:
        with progress(wanted, found.files, hidden=quiet or in_json()) as bar:
            for outcome in engine.run(wanted, found, model=model, progress=bar.take):
                on_outcome(outcome)
                with bar.finished(outcome.input):
                    reporter.report_file(files.deliver(outcome))
        if not reporter.failed:
            reporter.report_removed(engine.finish(wanted, found, prune=prune))
        reporter.report_total(found.passed_over)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not reporter.failed:
            raise
        print_error(error)
    return reporter.code


def _origins(options: Iterable[str]) -> dict[str, str]:
    """Return where each option was set: default, file, environment or command line."""
    context = click.get_current_context()
    sources = {name: context.get_parameter_source(name) for name in options}
    return {name: _ORIGINS.get(source, "default") for name, source in sources.items() if source}
