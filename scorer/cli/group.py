"""Groups whose commands are imported when they are needed, and `tweetscore model`.

`export` is a common name and its libraries weigh gigabytes. So `tweetscore model` imports only
the folder beside `scorer`, and a missing library is answered with the pip command.
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
from scorer.cli.exit_codes import end_with, exit_codes
from scorer.errors import InvalidBundle
from scorer.hints import needed


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
        params = error.ctx.command.params if error.ctx else []
        known = [name for param in params for name in param.opts if name.startswith("--")]
        longer = [name for name in known if name.startswith(error.option_name)]
        likely = longer or difflib.get_close_matches(error.option_name, known, n=1)
        raise click.NoSuchOption(error.option_name, None, likely, error.ctx) from error


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
