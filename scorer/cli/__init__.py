"""The command line: each command parses, calls and reports; nothing else prints."""

import click

from scorer.cli.group import LazyGroup
from scorer.cli.invocation import PREFIX
from scorer.cli.process import end, prepare_process

CONTEXT = {"help_option_names": ["-h", "--help"], "auto_envvar_prefix": PREFIX}


@click.group(
    cls=LazyGroup,
    commands_from={
        "run": "scorer.cli.run:run",
        "table": "scorer.cli.table:table",
        "text": "scorer.cli.text:text",
        "verify": "scorer.cli.verify:verify",
        "report": "scorer.cli.report:report",
        "doctor": "scorer.cli.doctor:doctor",
        "config": "scorer.cli.config:config",
        "model": "scorer.cli.group:model",
    },
    context_settings=CONTEXT,
    epilog="Every option can also be set as TWEETSCORE_NAME in the environment, such as "
    "TWEETSCORE_DEVICE=cpu, or, those of model aside, in a file tweetscore.toml. "
    "Exit codes: 0 done, 2 usage, 3 done, but drifted, 65 bad data, 66 input missing, "
    "69 no such device, 70 a bug of ours, 71 out of memory, 73 output refused, 74 I/O error, "
    "75 another run writes the output, 76 outside the parity gate, "
    "78 bad model, configuration or installation, 130/143 interrupted.",
)
@click.version_option(
    None,
    "-V",
    "--version",
    package_name="tweetscore",  # asked for only when it is to be shown
    message="%(prog)s %(version)s",
    allow_from_autoenv=False,  # TWEETSCORE_VERSION is what `model export` calls a bundle's
)
def tweetscore() -> None:
    """Score tweets for sentiment: the same rows come back with a label and a score.

    \b
    tweetscore run tweets.csv                 writes tweets.scored.csv
    tweetscore text "What a lovely morning"   scores one text
    tweetscore doctor                         shows what this box offers
    """


def main() -> None:
    """Run the `tweetscore` program; never returns."""
    prepare_process()
    try:
        tweetscore(prog_name="tweetscore")
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            end(ending.code or 0)
        raise
