"""`tweetscore help` and `tweetscore completion`: what a user asks before a first run."""

import difflib

import click
from click.shell_completion import get_completion_class

from scorer.cli.common_options import CONTEXT
from scorer.cli.log import Command
from scorer.errors import UsageError

_SHELLS = ("bash", "zsh", "fish")


@click.command("help", cls=Command, context_settings=CONTEXT)
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def show_help(ctx: click.Context, *, words: tuple[str, ...]) -> None:
    """Show the help of a command.

    \b
    tweetscore help run
    tweetscore help model export
    """
    group = ctx.find_root()
    shown, command = group, group.command
    for word in words:
        known = command.list_commands(shown) if isinstance(command, click.Group) else []
        below = command.get_command(shown, word) if isinstance(command, click.Group) else None
        if below is None:
            there = _remedy(shown.command_path, word, known)
            raise UsageError(f"{shown.command_path} has no command {word!r}", there)
        settings = below.context_settings
        shown, command = click.Context(below, parent=shown, info_name=word, **settings), below
    click.echo(command.get_help(shown), color=ctx.color)


def _remedy(path: str, word: str, known: list[str]) -> str:
    """Return the help that was probably meant, or all commands that there are."""
    if not known:
        return f"try: {path} --help"
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"try: {path} {nearest[0]} --help" if nearest else f"there are {', '.join(known)}"


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(ctx: click.Context, *, shell: str) -> None:
    """Print the script that completes tweetscore's words by Tab.

    Write it where the shell looks for it, and start a new shell.

    \b
    bash: ~/.local/share/bash-completion/completions/tweetscore
    zsh:  a directory of $fpath, under the name _tweetscore
    fish: ~/.config/fish/completions/tweetscore.fish

    \b
    tweetscore completion fish > ~/.config/fish/completions/tweetscore.fish
    """
    scripts = get_completion_class(shell)
    assert scripts is not None  # noqa: S101 - click has all three
    click.echo(scripts(ctx.find_root().command, {}, "tweetscore", "_TWEETSCORE_COMPLETE").source())
