"""`tweetscore run`: files in, the same files with scores out."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.errors import print_error
from scorer.cli.options import CONTEXT, answer_options, debug_option, model_options

if TYPE_CHECKING:
    from scorer.piped import Files
    from scorer.run_options import Outcome, RunOptions

_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
}


@click.command(context_settings=CONTEXT)
@click.argument(
    "inputs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="INPUT..."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File, or directory for several inputs, or - for standard output.  [default: "
    "NAME.scored.EXT beside each]",
)
@click.option(
    "--format",
    type=click.Choice(["csv", "tsv", "parquet", "ndjson", "arrow"]),
    help="Of standard input.  [default: as -o is named, or csv]",
)
@click.option("--text-column", default="text", show_default=True, metavar="NAME")
@answer_options
@click.option("--label-column", default="label", show_default=True, metavar="NAME")
@click.option("--score-column", default="score", show_default=True, metavar="NAME")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Score the first N rows only."
)
@click.option("--overwrite", is_flag=True, help="Replace an output that is not ours.")
@click.option(
    "--max-rejects",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Records that may be unreadable before the run fails.",
)
@click.option("--encoding", metavar="NAME", help="Of CSV.  [default: UTF-8]")
@click.option("--delimiter", metavar="CHAR", help="Of CSV.  [default: by extension]")
@model_options
@click.option(
    "--chunk-rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="Rows held at a time.  [default: 16384; 262144 on CUDA]",
)
@click.option(
    "--resume",
    type=click.Choice(["auto", "require", "never"]),
    default="auto",
    show_default=True,
    help="Take up an unfinished run: if it fits, or fail; never starts afresh.",
)
@click.option(
    "--lock-wait",
    type=click.FloatRange(min=0),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Wait while another run writes the output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is wrong.")
@debug_option
def run(*, quiet: bool, inputs: tuple[Path, ...], **options: Any) -> None:
    """Score tweets in CSV, TSV, NDJSON (.gz, .zst too), Parquet or Arrow IPC files.

    The rows come back unchanged and in order, with a label and a score column. A file appears
    under the output's name when it is complete, and OUTPUT.run.json tells its story. What is up
    to date is left alone; a run that was killed goes on where it was.

    An INPUT of - is standard input; its scores go to standard output, unless -o names a file.

    \b
    tweetscore run tweets.csv
    tweetscore run tweets.parquet -o scored.parquet --scores all
    tweetscore run mon.csv tue.csv -o scored/ --text-column body
    zcat tweets.ndjson.gz | tweetscore run - --format ndjson | head
    """
    from scorer.piped import piped
    from scorer.run_options import RunOptions

    streams = (sys.stdin.buffer, sys.stdout.buffer)
    with piped(inputs, options.pop("output"), options.pop("format"), streams) as files:
        wanted = RunOptions(
            files.inputs, output=files.output, **options, options_from=_origins(options)
        )
        code = _run(wanted, files, quiet=quiet)
    click.get_current_context().exit(code)


def _run(wanted: "RunOptions", files: "Files", *, quiet: bool) -> int:
    """Run, tell what becomes of each file, and return the exit code."""
    from tqdm import tqdm

    from scorer import pipeline

    code = 0
    said: set[str] = set()
    if not quiet and (skipped := pipeline.skipped(wanted)):
        _warn(f"skipped, as tweetscore wrote them: {', '.join(map(str, skipped))}", said)
    try:
        # disable=None: a bar on a terminal only.
        with tqdm(unit=" tweets", unit_scale=True, leave=False, disable=quiet or None) as bar:
            for outcome in pipeline.run(wanted, progress=bar.update):
                bar.clear()
                failed_with = _tell(files.deliver(outcome), said, quiet=quiet)
                code = code or failed_with
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not code:
            raise
        print_error(error)
    return code


def _origins(options: Iterable[str]) -> dict[str, str]:
    """Return where each option was set: default, environment or command line."""
    context = click.get_current_context()
    sources = {name: context.get_parameter_source(name) for name in options}
    words = {
        ParameterSource.COMMANDLINE: "command line",
        ParameterSource.ENVIRONMENT: "environment",
    }
    return {name: words.get(source, "default") for name, source in sources.items() if source}


def _tell(outcome: "Outcome", said: set[str], *, quiet: bool) -> int:
    """Print what became of a file and return its exit code."""
    for warning in outcome.warnings:
        _warn(warning, said)
    if outcome.error:
        return print_error(outcome.error)
    if not quiet:
        click.echo(f"tweetscore: {_summary(outcome)}", err=True)
    return 0


def _warn(warning: str, said: set[str]) -> None:
    """Print a warning, unless an earlier file had the same."""
    if warning not in said:
        click.echo(f"tweetscore: warning: {warning}", err=True)
        said.add(warning)


def _summary(outcome: "Outcome") -> str:
    """Return one line: where the rows are, how many of which label, how fast and on what."""
    report = outcome.report
    if outcome.up_to_date:
        return f"{outcome.output} is up to date: {report['counters']['rows']:,} rows"
    counters, runtime = report["counters"], report["runtime"]
    counts = [f"{label['written_as']} {label['rows']:,}" for label in report["labels"]]
    counts += [f"{name} {counters[name]:,}" for name in ("blank", "rejected") if counters[name]]
    line = (
        f"{outcome.output}: {counters['rows']:,} rows ({', '.join(counts)}) in "
        f"{report['seconds']['total']:.1f} s on {runtime['device']} {runtime['precision']}"
    )
    taken_up = report["resumed"]
    return f"{line}; {taken_up['rows']:,} were done already" if taken_up else line
