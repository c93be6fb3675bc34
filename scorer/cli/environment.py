"""What the environment says: variables that stand for options, and those that stand for nothing."""

import difflib
import os
import re
from collections.abc import Iterator
from contextlib import suppress

import click

from scorer.errors import TweetscoreError

PREFIX = "TWEETSCORE"

_OURS = re.compile(r"TWEETSCORE_", re.IGNORECASE)
_ALMOST_OURS = re.compile(r"TWEET_?SCORES?_?", re.IGNORECASE)


def variable(param: click.Parameter) -> str:
    """Return the variable that stands for an option, whichever command it belongs to."""
    return f"{PREFIX}_{param.name}".upper()


def without_effect(ctx: click.Context) -> dict[str, str]:
    """Return the variables that look as if they were ours and are not, each with the nearest.

    No other command is imported where all of them belong to the command that runs.
    """
    set_here = [name for name in os.environ if _ALMOST_OURS.match(name)]
    known = {variable(param) for param in ctx.command.params}
    if all(name in known for name in set_here):
        return {}
    known |= {variable(param) for param in _options(ctx.find_root().command, ctx)}
    return {
        name: nearest
        for name in sorted(set_here)
        if name not in known and ((nearest := _nearest(name, known)) or _OURS.match(name))
    }


def complaint(name: str, nearest: str) -> str:
    """Return what is to be said of such a variable."""
    meant = f"did you mean {nearest}?" if nearest else "no option has that name"
    return f"{name} in the environment has no effect; {meant}"


def _options(command: click.Command, ctx: click.Context) -> Iterator[click.Parameter]:
    """Yield what can be set of a command and of all below it."""
    yield from (param for param in command.params if isinstance(param, click.Option))
    if isinstance(command, click.Group):
        with suppress(TweetscoreError):  # the folder export is not there: its options neither
            for name in command.list_commands(ctx):
                if below := command.get_command(ctx, name):
                    yield from _options(below, ctx)


def _nearest(name: str, known: set[str]) -> str:
    """Return the variable that is meant, as far as that can be told; nothing otherwise."""
    by_letters = {_letters(each): each for each in sorted(known)}
    close = difflib.get_close_matches(_letters(name), by_letters, n=1, cutoff=0.75)
    return by_letters[close[0]] if close else ""


def _letters(name: str) -> str:
    return _ALMOST_OURS.sub("", name, count=1).upper().replace("_", "")
