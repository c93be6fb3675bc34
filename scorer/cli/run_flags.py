"""The options that only `tweetscore run` has, in the groups of its help."""

from typing import Literal, get_args

import click

from scorer.cli.common_options import (
    Delimiter,
    FilePath,
    Names,
    PathOrUrl,
    all_of,
    choice_option,
    column_options,
    number_option,
    text_column_option,
)
from scorer.errors import UsageError
from scorer.options import Escape, Kind, Quote, Resume
from scorer.threads import DRIFT, ROWS, SECONDS, SOME_ROWS, WINDOW

file_options = all_of(
    click.option(
        "-o",
        "--output",
        type=PathOrUrl(),
        metavar="PATH|URL",
        help="Write to this file, to this directory for several inputs, or to standard output "
        "(-).  [default: NAME.scored.EXT beside each file, DIR.scored beside a directory]",
    ),
    click.option(
        "--format",
        type=click.Choice(get_args(Kind)),
        help="Read the inputs as this format, whatever their names say.  [default: by extension; "
        "for standard input as -o is named, or csv]",
    ),
    text_column_option,
    click.option(
        "--id-column",
        metavar="NAME",
        help="Tell rows of a growing file apart by this column: rows that the output has already, "
        "with the same text and from the same model, are not scored again.",
    ),
)


def check_names(*, no_header: bool, columns: tuple[str, ...] | None) -> None:
    """Raise UsageError unless names of columns are given where, and only where, a file has none."""
    if no_header and columns is None:
        raise UsageError("--no-header leaves the columns without names", "add --columns A,B,...")
    if columns is not None and not no_header:
        problem = "--columns is for files without a header"
        raise UsageError(problem, "add --no-header, or leave --columns out")


csv_options = all_of(
    click.option(
        "--encoding",
        metavar="NAME",
        help="Read CSV in this encoding, such as cp1252.  [default: UTF-8]",
    ),
    click.option(
        "--delimiter",
        type=Delimiter(),
        metavar="CHAR",
        help="Split CSV cells at this character, or at comma, semicolon, tab, pipe.  [default: as "
        "the header shows, or by extension]",
    ),
    choice_option(
        "--quote",
        Quote,
        "double",
        "Read CSV quotes as quotes, or as data (none), as many TSV files have them.",
    ),
    choice_option(
        "--escape",
        Escape,
        "quote",
        "Choose what escapes a quote in a quoted CSV cell; Spark writes a backslash.",
    ),
    click.option(
        "--no-header",
        is_flag=True,
        help="Read the first line of a CSV file as a row; --columns names its cells.",
    ),
    click.option(
        "--columns",
        type=Names(),
        metavar="A,B,...",
        help="Name all columns of a CSV file without a header.",
    ),
)

output_options = all_of(
    *column_options,
    number_option("--limit", bounds=ROWS, metavar="N", help="Score only the first N rows."),
    click.option(
        "--overwrite", is_flag=True, help="Replace an output that tweetscore did not write."
    ),
    click.option(
        "--prune",
        is_flag=True,
        help="Remove, at the end, the outputs of inputs that are gone from a directory.",
    ),
    number_option(
        "--max-rejects",
        bounds=SOME_ROWS,
        default=0,
        show_default=True,
        metavar="N",
        help="Fail only after more than N unreadable records.",
    ),
    csv_options,
)

process_options = all_of(
    click.option(
        "--dry-run",
        is_flag=True,
        help="Say what would be done, and how long it would take; write nothing.",
    ),
    number_option(
        "--chunk-rows",
        bounds=WINDOW,
        metavar="N",
        help="Hold N rows in memory at a time.  [default: 16384; 262144 on CUDA]",
    ),
    click.option(
        "--incremental/--no-incremental",
        default=True,
        show_default=True,
        help="Skip outputs that are up to date; or score everything again.",
    ),
    choice_option(
        "--resume",
        Resume,
        "auto",
        "Go on with an interrupted run where it fits; require fails otherwise, never starts anew.",
    ),
    number_option(
        "--lock-wait",
        bounds=SECONDS,
        default=0,
        show_default=True,
        metavar="SECONDS",
        help="Wait so long while another run writes the output.",
    ),
    choice_option(
        "--engine",
        Literal["local", "ray"],
        "local",
        "Score here, or spread the files over a Ray cluster; -o is then a directory.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="Use the Ray cluster at this address, or the one on this box (auto).  [default: start "
        "one on this box for this run]",
    ),
    click.option(
        "--work-dir",
        type=FilePath(file_okay=False),
        metavar="DIR",
        help="Keep the local copies of URLs here while they are scored.  [default: "
        "~/.cache/tweetscore]",
    ),
    number_option(
        "--fail-on-drift",
        bounds=DRIFT,
        metavar="X",
        help="Exit with 3 where a file is done but its drift (PSI) is X or more, such as 0.25.",
    ),
    click.option(
        "--metrics-file",
        type=FilePath(),
        metavar="X.prom",
        help="Write the run's figures here for Prometheus' textfile collector.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print a line for each file, also of many files."
    ),
)
