"""`tweetscore verify`: is an output still what the run wrote, and right?"""

from pathlib import Path
from typing import Any

import click

from scorer.cli.common_options import CONTEXT, DEVICES, FilePath, debug_option, number_option
from scorer.cli.config_file import config_option
from scorer.cli.log import Command, log_message
from scorer.hints import counted
from scorer.threads import SOME_ROWS


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("output", type=FilePath(), metavar="OUTPUT")
@number_option(
    "--rescore",
    bounds=SOME_ROWS,
    default=0,
    show_default=True,
    metavar="N",
    help="Score N rows again, spread evenly.",
)
@click.option(
    "--model",
    type=FilePath(),
    metavar="DIR",
    help="Use the model in this directory.  [default: where the run found it]",
)
@click.option(
    "--device",
    type=DEVICES,
    help="Score again on this device.  [default: what the run was asked for]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print nothing unless something is wrong.")
@config_option
@debug_option
def verify(*, output: Path, quiet: bool, **how: Any) -> None:
    """Read an output of `tweetscore run`, its report and its input again, in full.

    Checks that the input's columns are unchanged, the labels and scores in range, and each field
    of the report right that anything else tells of; says in a line what cannot be checked. Exits 0
    when all is well, 65 when anything differs or the input has changed since, 66 when a file is
    missing.

    \b
    tweetscore verify tweets.scored.csv
    tweetscore verify scored.parquet --rescore 1000
    """
    from scorer.verify import verify as check

    verdict = check(output, **how)
    for line in verdict.findings:
        log_message("error", "finding", f"{output}: {line}")
    if not verdict.findings and not quiet:
        are = "is as it" if verdict.rows == 1 else "are as they"
        again = f", {verdict.rescored:,} of them scored again" if verdict.rescored else ""
        log_message(
            "info", "verify", f"{output}: {counted(verdict.rows, 'row')} {are} should be{again}"
        )
        log_message("info", "unchecked", f"{output}: {verdict.unchecked.line()}")
    click.get_current_context().exit(verdict.exit_code)
