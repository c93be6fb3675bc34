"""`tweetscore run`: files in, the same files with scores out."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.errors import print_error
from scorer.cli.options import CONTEXT, Place, answer_options, debug_option, model_options
from scorer.cli.run_flags import file_options, output_options, process_options
from scorer.cli.teller import Teller

if TYPE_CHECKING:
    from pathlib import Path

    from scorer.piped import Files
    from scorer.remote import Hallway
    from scorer.remote.urls import Url
    from scorer.run_options import RunOptions

_ORIGINS = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "environment",
}


@click.command(context_settings=CONTEXT)
@click.argument("inputs", nargs=-1, required=True, type=Place(), metavar="INPUT...")
@file_options
@answer_options
@output_options
@model_options
@process_options
@debug_option
def run(*, quiet: bool, verbose: bool, inputs: tuple["Path | Url", ...], **options: Any) -> None:
    """Score tweets in CSV, TSV, NDJSON (.gz, .zst too), Parquet or Arrow IPC files.

    The rows come back unchanged and in order, with a label and a score column. A file appears
    under the output's name when it is complete, and OUTPUT.run.json tells its story. What is up
    to date is left alone; a run that was killed goes on where it was. A directory stands for all
    files below it, a quoted pattern for those that it matches.

    An INPUT and -o may be URLs: s3://, gs://, az://; to read also https:// and hf://datasets/.

    An INPUT of - is standard input; its scores go to standard output, unless -o names a file.

    \b
    tweetscore run tweets.csv
    tweetscore run tweets.parquet -o scored.parquet --scores all
    tweetscore run mon.csv tue.csv -o scored/ --text-column body
    tweetscore run lake/ 'archive/**/*.csv.gz' -o scored/
    tweetscore run s3://bucket/in/ -o s3://bucket/out/
    zcat tweets.ndjson.gz | tweetscore run - --format ndjson | head
    """
    from scorer.piped import piped
    from scorer.remote import hallway_for
    from scorer.run_options import RunOptions

    streams = (sys.stdin.buffer, sys.stdout.buffer)
    with piped(inputs, options.pop("output"), options.pop("format"), streams) as files:
        work = options.pop("work_dir")
        hallway, inputs, output = hallway_for(files.inputs, files.output, work)
        wanted = RunOptions(inputs, output=output, **options, options_from=_origins(options))
        code = _run(wanted, files, hallway, quiet=quiet, verbose=verbose)
    click.get_current_context().exit(code)


def _run(
    wanted: "RunOptions", files: "Files", hallway: "Hallway", *, quiet: bool, verbose: bool
) -> int:
    """Run, tell what becomes of each file, and return the exit code."""
    from tqdm import tqdm

    found = hallway.discover(wanted)
    teller = Teller(len(found.files), found.several, quiet=quiet, verbose=verbose)
    if found.ours:
        teller.say_skipped(found.ours)
    try:
        # disable=None: a bar on a terminal only.
        with tqdm(unit=" tweets", unit_scale=True, leave=False, disable=quiet or None) as bar:
            for outcome in hallway.run(wanted, found, progress=bar.update):
                bar.clear()
                teller.tell(files.deliver(outcome))
                bar.set_description_str(teller.progress(), refresh=False)  # with the next rows
        teller.say_total(found.passed_over)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if not teller.code:
            raise
        print_error(error)
    return teller.code


def _origins(options: Iterable[str]) -> dict[str, str]:
    """Return where each option was set: default, environment or command line."""
    context = click.get_current_context()
    sources = {name: context.get_parameter_source(name) for name in options}
    return {name: _ORIGINS.get(source, "default") for name, source in sources.items() if source}
