"""`tweetscore table`: a query's rows in, a table of the same database out."""

from typing import TYPE_CHECKING, Any

import click

from scorer.cli.common_options import (
    CONTEXT,
    FilePath,
    all_of,
    answer_options,
    column_options,
    debug_option,
    model_options,
    number_option,
    text_column_option,
)
from scorer.cli.config_file import config_option
from scorer.cli.log import LoggedCommand, in_json, log_message, log_option
from scorer.cli.summary import answers_in_words
from scorer.hints import counted
from scorer.threads import SECONDS

if TYPE_CHECKING:
    from scorer.databases.address import Address
    from scorer.databases.checks import TableOptions
    from scorer.databases.table_run import TableOutcome

_source_options = all_of(
    click.option("--table", metavar="NAME", help="Score all rows of a table or view."),
    click.option("--query", metavar="SQL", help="Score the rows of a SELECT."),
    text_column_option,
)

_target_options = all_of(
    click.option(
        "--into", required=True, metavar="NAME", help="Write to this table of the same database."
    ),
    click.option(
        "--id-column",
        metavar="NAME",
        help="Tell rows apart by this unique column; rows that the table has already are replaced.",
    ),
    *column_options,
    click.option("--overwrite", is_flag=True, help="Replace the table as a whole."),
    click.option(
        "--incremental/--no-incremental",
        default=True,
        show_default=True,
        help="Score only texts that the table does not have under their ids.",
    ),
)

_process_options = all_of(
    number_option(
        "--lock-wait",
        bounds=SECONDS,
        default=10,
        show_default=True,
        metavar="SECONDS",
        help="Wait so long while others hold locks.",
    ),
    click.option(
        "--report", type=FilePath(), metavar="FILE", help="Write the run report to this file."
    ),
    click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong."),
)


_EVERYDAY = (
    "table", "query", "into", "id_column", "text_column", "scores", "label_names", "model",
    "overwrite", "quiet",
)  # fmt: skip


@click.command(cls=LoggedCommand, context_settings=CONTEXT, everyday=_EVERYDAY)
@click.argument("database")
@_source_options
@answer_options
@_target_options
@model_options
@_process_options
@config_option
@log_option
@debug_option
def table(*, database: str, quiet: bool, **options: Any) -> None:
    """Score rows of a DuckDB, SQLite or PostgreSQL database into a table of it.

    All columns of the rows come back unchanged, with a label and a score column (or, as the model
    gives them, lists of labels, or a value). The table changes in one transaction at the end: it
    is as it was before, or complete. With --id-column the same command can run every night:
    nothing is doubled, and only what is new is scored.

    \b
    tweetscore table duckdb:///tweets.duckdb --table tweets --into scored --id-column id
    tweetscore table sqlite:////data/tweets.db --query "SELECT * FROM tweets WHERE lang = 'en'" \\
        --into scored --id-column id
    tweetscore table postgresql://me@host/db --table tweets --into mart.scored --id-column id
    """
    from scorer.cli.progress import table_progress
    from scorer.databases.address import parse_address
    from scorer.databases.table_run import score_table

    address = parse_address(database)
    wanted = _wanted(address=address, **options)
    with table_progress(hidden=quiet or in_json()) as bar:
        done = score_table(wanted, progress=bar.take)
    _print_summary(done, f"{address.shown}: {options['into']}", quiet=quiet)


def _wanted(
    *, address: "Address", table: str | None, query: str | None, into: str, **options: Any
) -> "TableOptions":
    from scorer.databases.address import parse_table
    from scorer.databases.checks import TableOptions
    from scorer.errors import UsageError
    from scorer.options import ModelSpec, OutputSpec, pop_spec

    if (table is None) == (query is None):
        raise UsageError("what is to be scored is not clear", "give one of --table and --query")
    return TableOptions(
        address,
        parse_table(table) if table is not None else str(query),
        parse_table(into),
        model_spec=pop_spec(ModelSpec, options),
        output_spec=pop_spec(OutputSpec, options),
        **options,
    )


def _print_summary(done: "TableOutcome", where: str, *, quiet: bool) -> None:
    """Print the warnings, and how many rows were scored."""
    for warning in done.warnings:
        log_message("warning", "warning", warning)
    if quiet:
        return
    line = f"{where}: {counted(done.rows, 'row')}"
    if done.outcome:
        which = "all" if done.scored == done.rows else f"{done.scored:,}"
        line += f", {which} of them scored: {answers_in_words(done.outcome.complete)}"
    elif done.rows:
        line += ", none of them new"
    log_message("info", "table", line, rows=done.rows, scored=done.scored)
