"""The command line: each command parses, calls and reports; nothing else prints.

A command is imported when it is needed. `export` is a common name and its libraries weigh
gigabytes: `tweetscore model` imports only the folder beside `scorer`, and a missing library is
answered with the pip command.
"""

import difflib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scorer import hints
from scorer.cli.invocation import PREFIX
from scorer.cli.platforms import NOT_ON_WINDOWS
from scorer.cli.process import end, end_with, exit_codes, prepare_process
from scorer.errors import InvalidBundle
from scorer.installation import needed


class LazyGroup(click.Group):
    """A group that imports its commands when they are used, and turns errors into exit codes."""

    def __init__(self, *, commands_from: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._commands_from = commands_from  # name -> "module:attribute", in order of help

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return list(self._commands_from)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        if cmd_name not in self._commands_from:
            return None
        module, _, attribute = self._commands_from[cmd_name].partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is not a command")
        return command

    def main(self, *args: Any, **how: Any) -> Any:
        """Run the program; an error outside of parsing and running has an exit code too."""
        try:
            return super().main(*args, **how)
        except (OSError, KeyboardInterrupt) as error:  # such as a usage message on a full disk
            sys.exit(end_with(error))

    def make_context(self, *args: Any, **how: Any) -> click.Context:
        """Parse inside `exit_codes`: --help and --version print here."""
        with exit_codes():
            return super().make_context(*args, **how)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command inside `exit_codes`."""
        with exit_codes(), _nearest_option():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; an unknown name may be misspelt, or a file where `run` is left out."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            nearest = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            words = [hints.word(arg) for arg in args[1:]]
            if "run" in self._commands_from and os.path.lexists(args[0]):
                words = ["run", hints.path_word(args[0]), *words]
            elif nearest:
                words = [nearest[0], *words]
            else:
                raise
            hint = f"Try: {ctx.command_path} {' '.join(words)}"
            raise click.UsageError(f"{error.message} {hint}", ctx) from error


@contextmanager
def _nearest_option() -> Iterator[None]:
    """Let the error for a misspelt option name the nearest one, not all that resemble it."""
    try:
        yield
    except click.NoSuchOption as error:
        params = error.ctx.command.get_params(error.ctx) if error.ctx else []
        known = [name for param in params for name in param.opts if name.startswith("--")]
        longer = [name for name in known if name.startswith(error.option_name)]
        likely = longer or difflib.get_close_matches(error.option_name, known, n=1)
        message = None
        if not likely and any(param.name == "texts" for param in params):
            message = f"{error.message} What follows -- is a text, whatever it begins with."
        raise click.NoSuchOption(error.option_name, message, likely, error.ctx) from error


class ModelGroup(click.Group):
    """The group `model` of `export.commands`, without importing it for `tweetscore --help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of export's commands."""
        return _export_group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of export's commands."""
        return _export_group().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the error for a missing library names the extra."""
        with needed("export", "training and exporting need"):
            return super().invoke(ctx)


@click.group(cls=ModelGroup)
def model() -> None:
    """Train, export, check and describe models."""


def _export_group() -> click.Group:
    check_export_package()
    with needed("export", "training and exporting need"):
        group = import_module("export.commands").model
    if not isinstance(group, click.Group):
        raise TypeError("export.commands.model is not a group")
    return group


def check_export_package() -> None:
    """Raise InvalidBundle unless `import export` would find the folder beside `scorer`."""
    ours = Path(__file__).resolve().parents[2] / "export"
    spec = importlib.util.find_spec("export")
    if spec is None or spec.origin is None:
        raise InvalidBundle(f"the package export is not in {ours}", "install tweetscore again")
    found = Path(spec.origin).resolve().parent
    if found != ours:
        raise InvalidBundle(
            f"the package export that Python finds is {found}, not tweetscore's own {ours}",
            "install tweetscore in an environment of its own",
        )


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
        "model": "scorer.cli:model",
        "help": "scorer.cli.guidance:show_help",
        "completion": "scorer.cli.guidance:completion",
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
    if sys.platform == "win32":  # it has neither the locks nor the renames that all rests on
        click.echo(f"tweetscore: {NOT_ON_WINDOWS}", err=True)
        sys.exit(InvalidBundle.exit_code)
    prepare_process()
    try:
        tweetscore(prog_name="tweetscore")
    except SystemExit as ending:
        if ending.code is None or isinstance(ending.code, int):
            end(ending.code or 0)
        raise
