"""The messages of a command on standard error: text, or one JSON object per line."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Literal, TextIO

import click

from scorer.cli.grouped_help import GroupedHelp
from scorer.cli.invocation import PREFIX, complaint, remember_args, without_effect
from scorer.cli.platforms import not_tested
from scorer.errors import one_line
from scorer.os_errors import check_address_space
from scorer.threads import drop_wrong_pools

Level = Literal["info", "warning", "error"]

_FORMAT = "tweetscore.log_format"  # in the context's meta, which all commands share
_LIGHT = {"config", "info"}  # commands that load no heavy library
_SET_ASIDE = "tweetscore.set_aside"  # likewise
_FORMATS = click.Choice(["text", "json"])


def log_message(level: Level, event: str, message: str, **facts: Any) -> None:
    """Print one message; in JSON with its kind, a word that programs can rely on, and facts."""
    if in_json():
        line = _as_json(level, event, message, facts)
    else:
        line = f"{_prefix(level)} {one_line(message)}"
    try:
        click.echo(line, err=True)
    except OSError:  # its disk is full, or the pipe is closed: the run goes on
        forget_unwritten(sys.stderr)


def _prefix(level: Level) -> str:
    """Return what a line begins with: in colour on a terminal, where click leaves it in."""
    if level == "error" and wants_colours():
        return click.style("tweetscore:", fg="red", bold=True)
    if level != "warning":
        return "tweetscore:"
    word = "warning:"
    return f"tweetscore: {click.style(word, fg='yellow') if wants_colours() else word}"


def wants_colours() -> bool:
    """Tell whether colours are welcome, should the stream be a terminal: https://no-color.org."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def forget_unwritten(stream: TextIO) -> None:
    """Drop what a full disk or a closed pipe did not take: exit would flush it once more."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def in_json() -> bool:
    """Return whether --log-format json holds for the running command."""
    context = click.get_current_context(silent=True)  # none before the command line is parsed
    return context is not None and context.meta.get(_FORMAT) == "json"


def _as_json(level: Level, event: str, message: str, facts: dict[str, Any]) -> str:
    import json  # --help needs neither
    from datetime import UTC, datetime

    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    members = {"time": time, "level": level, "event": event, "message": message, **facts}
    return json.dumps({name: _unicode(value) for name, value in members.items()})


def _unicode(value: Any) -> Any:
    """Escape what is no UTF-8 in the name of a file: many readers of JSON refuse it."""
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _remember_format(ctx: click.Context, _: click.Parameter, value: str) -> None:
    ctx.meta[_FORMAT] = value


log_option = click.option(
    "--log-format",
    type=_FORMATS,
    default="text",
    show_default=True,
    expose_value=False,
    is_eager=True,  # errors in other options are printed in this format
    callback=_remember_format,
    help="How messages are written to standard error; json writes one object per line.",
)


class Command(GroupedHelp):
    """A command that warns of variables in the environment that have no effect."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Drop wrong sizes of thread pools: the options decide the sizes then."""
        ctx.meta[_SET_ASIDE] = drop_wrong_pools()
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Print the warnings, now that the log format is known."""
        if words := not_tested():
            log_message("warning", "warning", words)
        for name, nearest in without_effect(ctx).items():
            log_message(
                "warning", "warning", complaint(name, nearest), variable=name, nearest=nearest
            )
        for name, problem in ctx.meta[_SET_ASIDE].items():
            log_message(
                "warning", "warning", f"{name} is left out of account: {problem}", variable=name
            )
        if ctx.info_name not in _LIGHT:
            check_address_space()
        return super().invoke(ctx)


class LoggedCommand(Command):
    """A command with `log_option`, whose errors before that option is read have its format too."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Look for the format first: nothing else of a wrong call may be readable."""
        ctx.meta[_FORMAT] = _find_format(args)
        remember_args(ctx, args)
        return super().parse_args(ctx, args)


def _find_format(args: Sequence[str]) -> str | None:
    """Return the format that the call or the environment sets, whatever else is in the call."""
    option = click.Option(["--log-format"], type=_FORMATS)
    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    command = click.Command(None, params=[option], add_help_option=False, context_settings=settings)
    found = command.make_context(
        None, list(args), auto_envvar_prefix=PREFIX, resilient_parsing=True
    )
    log_format: str | None = found.params["log_format"]
    return log_format
