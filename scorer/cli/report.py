"""`tweetscore report`: outputs as one page to look at and to mail."""

from typing import Any

import click

from scorer.cli.common_options import CONTEXT, FilePath, debug_option
from scorer.cli.config_file import config_option
from scorer.cli.log import Command, log_message
from scorer.hints import counted


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("outputs", nargs=-1, required=True, type=FilePath(), metavar="OUTPUT...")
@click.option(
    "-o",
    "--page",
    required=True,
    type=FilePath(),
    metavar="PAGE",
    help="HTML file to write; an earlier page is replaced.",
)
@click.option(
    "--compare",
    type=FilePath(),
    metavar="EARLIER",
    help="Output of an earlier run: what changed, how far all moved.",
)
@click.option("--date-column", metavar="NAME", help="Dates: adds a trend by day (UTC).")
@click.option(
    "--true-label-column", metavar="NAME", help="True labels, or values: adds how right they are."
)
@click.option(
    "--id-column",
    metavar="NAME",
    help="What tells rows apart: shown with examples, pairs rows for --compare.",
)
@click.option("--no-text", is_flag=True, help="Show no texts of rows.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
@config_option
@debug_option
def report(*, no_text: bool, quiet: bool, **how: Any) -> None:
    """Make one HTML page of what a run wrote.

    The page needs no network. An OUTPUT is read with its run report; 65 when it has
    changed since. It needs the extra `report`.

    \b
    tweetscore report tweets.scored.csv -o page.html
    tweetscore report tonight.scored.csv -o page.html --compare yesterday.scored.csv
    """
    from scorer.report import ReportOptions, make_page

    options = ReportOptions(**how, show_text=not no_text)
    made = make_page(options)
    if not quiet:
        size = f"{made.bytes / 1000:,.0f} kB"
        log_message(
            "info", "report", f"{options.page}: {counted(made.rows, 'row')} on a page of {size}"
        )
