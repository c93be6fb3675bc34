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
        help="File, or directory for several inputs, or - for standard output.  [default: "
        "NAME.scored.EXT beside each file, DIR.scored beside a directory]",
    ),
    click.option(
        "--format",
        type=click.Choice(get_args(Kind)),
        help="Of the inputs, whatever their names say.  [default: by extension; of standard input "
        "as -o is named, or csv]",
    ),
    text_column_option,
    click.option(
        "--id-column",
        metavar="NAME",
        help="Names the rows of a file that grows: those that the output has already, with the "
        "same text and from the same model, are not scored again.",
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
    click.option("--encoding", metavar="NAME", help="Of CSV.  [default: UTF-8]"),
    click.option(
        "--delimiter",
        type=Delimiter(),
        metavar="CHAR",
        help="Of CSV: a character, or comma, semicolon, tab, pipe.  [default: as the header shows, "
        "or by extension]",
    ),
    choice_option(
        "--quote", Quote, "double", "Of CSV; none: quotes are data, as in many TSV files."
    ),
    choice_option(
        "--escape",
        Escape,
        "quote",
        "Of CSV: what stands before a quote in a quoted cell; Spark writes a backslash.",
    ),
    click.option(
        "--no-header",
        is_flag=True,
        help="Of CSV: the first line is a row, and --columns names its cells.",
    ),
    click.option(
        "--columns", type=Names(), metavar="A,B,...", help="Of CSV without a header: all its names."
    ),
)

output_options = all_of(
    *column_options,
    number_option("--limit", bounds=ROWS, metavar="N", help="Score the first N rows only."),
    click.option("--overwrite", is_flag=True, help="Replace an output that is not ours."),
    click.option(
        "--prune",
        is_flag=True,
        help="At the end, remove outputs of ours whose input is gone from its directory.",
    ),
    number_option(
        "--max-rejects",
        bounds=SOME_ROWS,
        default=0,
        show_default=True,
        metavar="N",
        help="Records that may be unreadable before the run fails.",
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
        help="Rows held at a time.  [default: 16384; 262144 on CUDA]",
    ),
    click.option(
        "--incremental/--no-incremental",
        default=True,
        show_default=True,
        help="Leave what is up to date alone.",
    ),
    choice_option(
        "--resume",
        Resume,
        "auto",
        "Take up an unfinished run: if it fits, or fail; never starts afresh.",
    ),
    number_option(
        "--lock-wait",
        bounds=SECONDS,
        default=0,
        show_default=True,
        metavar="SECONDS",
        help="Wait while another run writes the output.",
    ),
    choice_option(
        "--engine",
        Literal["local", "ray"],
        "local",
        "ray spreads the files over a Ray cluster; -o is then a directory.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="Of the cluster, or auto for the one that runs on this box.  [default: one of its "
        "own on this box, for this run]",
    ),
    click.option(
        "--work-dir",
        type=FilePath(file_okay=False),
        metavar="DIR",
        help="Where what belongs to a URL lies while it is scored.  [default: ~/.cache/tweetscore]",
    ),
    number_option(
        "--fail-on-drift",
        bounds=DRIFT,
        metavar="X",
        help="Exit with 3 where a file is done but its drift (PSI) is X or more, say 0.25.",
    ),
    click.option(
        "--metrics-file",
        type=FilePath(),
        metavar="X.prom",
        help="Write figures for Prometheus' textfile collector there.",
    ),
    click.option("-q", "--quiet", is_flag=True, help="Say nothing unless something is wrong."),
    click.option("-v", "--verbose", is_flag=True, help="A line for each file, also of many."),
)
