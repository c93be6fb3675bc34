"""`tweetscore config`: the value of each option, and where it was set."""

import re
from collections.abc import Iterator

import click

from scorer.cli.common_options import CONTEXT, debug_option
from scorer.cli.config_file import SETTINGS, Keys, Settings, config_option, configurable, to_toml
from scorer.cli.invocation import complaint, variable, without_effect
from scorer.cli.log import Command
from scorer.errors import UsageError

_IN_HELP = re.compile(r"\[default: (.+)\]$")  # a default in the help that is no value


def _complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    return [name for name in configurable(ctx) if name.startswith(incomplete)]


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("command", required=False, metavar="[COMMAND]", shell_complete=_complete)
@config_option
@debug_option
@click.pass_context
def config(ctx: click.Context, *, command: str | None) -> None:
    """Show the value of each option, and where it was set.

    Shows all commands that tweetscore.toml can configure, or COMMAND alone. Options on the command
    line win over the environment, and that over the file. The whole file is checked: exits 78 if
    anything in it is wrong. What is printed is such a file itself, in which what nobody has set is
    commented out.

    \b
    tweetscore config
    tweetscore config run --config /etc/tweetscore.toml
    tweetscore config > tweetscore.toml    a first one
    """
    shown = configurable(ctx)
    if command is not None and command not in shown:
        raise UsageError(
            f"no command {command!r} has a configuration", f"there are {', '.join(shown)}"
        )
    settings: Settings = ctx.meta[SETTINGS]
    lines = [f"# configuration file: {settings.path or 'none'}"]
    for name, keys in shown.items():
        if command in {None, name}:
            lines += ["", f"[{name}]", *_lines(ctx, name, keys)]
    lines += [f"# {complaint(*each)}" for each in without_effect(ctx).items()]
    # As bytes: the locale may not have the letters of a path.
    click.echo("\n".join(lines).encode("utf-8", "backslashreplace"))


def _lines(ctx: click.Context, command: str, keys: Keys) -> Iterator[str]:
    """Yield a line for each option: as it would be set in the file, and where it was set."""
    words = [_words(ctx, command, key, param) for key, param in keys.items()]
    width = max(len(setting) for setting, _ in words)
    return (f"{setting:<{width}}  # {origin}" for setting, origin in words)


def _words(ctx: click.Context, command: str, key: str, param: click.Parameter) -> tuple[str, str]:
    """Return a setting and its origin, in the order in which click looks for them."""
    settings: Settings = ctx.meta[SETTINGS]
    from_environment = param.value_from_envvar(ctx)
    if from_environment is not None:
        try:
            value = param.type_cast_value(ctx, from_environment)
        except click.BadParameter as error:
            raise UsageError(f"{variable(param)}: {error.message.rstrip('.')}") from error
        return f"{key} = {to_toml(value)}", variable(param)
    if param.name in settings.of(command):
        return f"{key} = {to_toml(settings.of(command)[param.name])}", str(settings.path)
    return _default(key, param)


def _default(key: str, param: click.Parameter) -> tuple[str, str]:
    facts = param.to_info_dict()
    if facts["default"] is not None:
        return f"# {key} = {to_toml(facts['default'])}", "default"
    if facts.get("is_flag"):
        return f"# {key} = false", "default"
    in_help = _IN_HELP.search(facts["help"] or "")
    return f"# {key}", f"default: {in_help[1]}" if in_help else "not set"
