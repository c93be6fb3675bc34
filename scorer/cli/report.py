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
    help="Write this HTML file; an earlier page is replaced.",
)
@click.option(
    "--compare",
    type=FilePath(),
    metavar="EARLIER",
    help="Compare with the output of an earlier run: what changed, and how far.",
)
@click.option(
    "--date-column", metavar="NAME", help="Add a trend by day (UTC) of the dates in this column."
)
@click.option(
    "--true-label-column",
    metavar="NAME",
    help="Compare with the true labels, or values, in this column.",
)
@click.option(
    "--id-column",
    metavar="NAME",
    help="Tell rows apart by this column: it is shown with examples, and pairs rows for --compare.",
)
@click.option("--no-text", is_flag=True, help="Show no texts of rows.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing when all is well.")
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
