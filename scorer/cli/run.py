"""`tweetscore run`: files in, the same files with scores out."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.errors import print_error
from scorer.cli.options import CONTEXT, answer_options, debug_option, model_options

if TYPE_CHECKING:
    from scorer.errors import TweetscoreError
    from scorer.piped import Files
    from scorer.run_options import Outcome, RunOptions

_FEW = 10  # files that have a line each
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
    "--incremental/--no-incremental",
    default=True,
    show_default=True,
    help="Leave what is up to date alone.",
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
@click.option("-v", "--verbose", is_flag=True, help="A line for each file, also of many.")
@debug_option
def run(*, quiet: bool, verbose: bool, inputs: tuple[Path, ...], **options: Any) -> None:
    """Score tweets in CSV, TSV, NDJSON (.gz, .zst too), Parquet or Arrow IPC files.

    The rows come back unchanged and in order, with a label and a score column. A file appears
    under the output's name when it is complete, and OUTPUT.run.json tells its story. What is up
    to date is left alone; a run that was killed goes on where it was. A directory stands for all
    files below it, a quoted pattern for those that it matches.

    An INPUT of - is standard input; its scores go to standard output, unless -o names a file.

    \b
    tweetscore run tweets.csv
    tweetscore run tweets.parquet -o scored.parquet --scores all
    tweetscore run mon.csv tue.csv -o scored/ --text-column body
    tweetscore run lake/ 'archive/**/*.csv.gz' -o scored/
    zcat tweets.ndjson.gz | tweetscore run - --format ndjson | head
    """
    from scorer.piped import piped
    from scorer.run_options import RunOptions

    streams = (sys.stdin.buffer, sys.stdout.buffer)
    with piped(inputs, options.pop("output"), options.pop("format"), streams) as files:
        wanted = RunOptions(
            files.inputs, output=files.output, **options, options_from=_origins(options)
        )
        code = _run(wanted, files, quiet=quiet, verbose=verbose)
    click.get_current_context().exit(code)


def _run(wanted: "RunOptions", files: "Files", *, quiet: bool, verbose: bool) -> int:
    """Run, tell what becomes of each file, and return the exit code."""
    from tqdm import tqdm

    from scorer import pipeline

    found = pipeline.discover(wanted)
    teller = _Teller(len(found.files), found.several, quiet=quiet, verbose=verbose)
    if found.ours:
        teller.say_skipped(found.ours)
    try:
        # disable=None: a bar on a terminal only.
        with tqdm(unit=" tweets", unit_scale=True, leave=False, disable=quiet or None) as bar:
            for outcome in pipeline.run(wanted, found, progress=bar.update):
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
    words = {
        ParameterSource.COMMANDLINE: "command line",
        ParameterSource.ENVIRONMENT: "environment",
    }
    return {name: words.get(source, "default") for name, source in sources.items() if source}


class _Teller:
    """Says what becomes of the files: a line for each of a few, one for all of many."""

    def __init__(self, files: int, several: bool, *, quiet: bool, verbose: bool) -> None:
        self.code = 0  # of the first file that failed
        self._files = files
        self._several = several
        self._quiet = quiet
        self._each = verbose or files <= _FEW
        self._said: set[str] = set()
        self._fates = Counter[str]()
        self._rows = 0

    def say_skipped(self, ours: Sequence[Path]) -> None:
        """Say which of the files that were named are passed over."""
        names = ", ".join(map(str, ours[:_FEW]))
        more = f" and {len(ours) - _FEW:,} more" if len(ours) > _FEW else ""
        if not self._quiet:
            self._warn(f"skipped, as tweetscore wrote them: {names}{more}")

    def tell(self, outcome: "Outcome") -> None:
        """Say what became of a file, and remember its exit code."""
        for warning in outcome.warnings:
            self._warn(warning)
        if outcome.error:
            self._fates["failed"] += 1
            code = self._say_error(outcome.error)
            self.code = self.code or code
            return
        if outcome.up_to_date:
            self._fates["up to date"] += 1
        else:
            self._fates["scored"] += 1
            self._rows += outcome.report["counters"]["rows"]
        if self._each and not self._quiet:
            click.echo(f"tweetscore: {_summary(outcome)}", err=True)

    def progress(self) -> str:
        """Return how many of several files are done."""
        return f"{self._fates.total():,} of {self._files:,} files" if self._several else ""

    def say_total(self, passed_over: Iterable[tuple[str, int]]) -> None:
        """Say what became of several files together."""
        if self._quiet or not self._several:
            return
        scored = self._fates["scored"]
        files = "file" if scored == 1 else "files"
        line = f"{scored:,} {files} scored ({self._rows:,} rows)"
        line += "".join(f", {self._fates[fate]:,} {fate}" for fate in ("up to date", "failed"))
        skipped = ", ".join(f"{count:,} {why}" for why, count in passed_over)
        click.echo(f"tweetscore: {line}{skipped and f'; skipped: {skipped}'}", err=True)

    def _say_error(self, error: "TweetscoreError") -> int:
        """Print an error, unless an earlier file had the very same, and return its exit code."""
        if str(error) in self._said:
            return error.exit_code
        self._said.add(str(error))
        return print_error(error)

    def _warn(self, warning: str) -> None:
        """Print a warning, unless an earlier file had the same."""
        if warning not in self._said:
            click.echo(f"tweetscore: warning: {warning}", err=True)
            self._said.add(warning)


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
