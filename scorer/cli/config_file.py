"""`tweetscore.toml`: the values that a file gives to the options, and the errors in it.

Keys at the top hold for every command that has such an option, those in a table `[run]` for
`run` alone. The whole file is checked, whichever command reads it.
"""

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scorer.cli.common_options import FilePath, Names, Number
from scorer.errors import DataError, InvalidConfig
from scorer.inference.labels import LANGUAGES
from scorer.store.own_files import read_own

SETTINGS = "tweetscore.settings"  # in the context's meta

_DEFAULT = Path("tweetscore.toml")
_LARGEST = 1 << 20  # bytes
_FILE = "config"  # the parameter that names the file; a command that has it reads the file
_SHOWS_IT = "config"  # the command, which has nothing to set
_ARGUMENTS = {"inputs"}  # those that are the same every night; the others are typed

Keys = Mapping[str, click.Parameter]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a file."""

    path: Path | None  # None: there is no file
    values: Mapping[str, Mapping[str, Any]]  # command -> parameter's name -> value

    def of(self, command: str | None) -> Mapping[str, Any]:
        """Return what it sets for a command."""
        return self.values.get(command or "", {})


def configurable(ctx: click.Context) -> dict[str, Keys]:
    """Return the commands that read the file, each with its parameters by their keys."""
    root = ctx.find_root()
    group = root.command
    if not isinstance(group, click.Group):
        return {}
    commands = {name: group.get_command(root, name) for name in group.list_commands(root)}
    return {
        name: {_key(param): param for param in command.params if _may_be_set(param)}
        for name, command in commands.items()
        if command and name != _SHOWS_IT and any(param.name == _FILE for param in command.params)
    }


def read_settings(named: Path | None, ctx: click.Context) -> Settings:
    """Return what a file sets; if none is named, that of this directory, if there is one.

    Raises:
        InvalidConfig: It cannot be read, or something in it is no setting.
    """
    if named is None and not os.path.lexists(_DEFAULT):
        return Settings(None, {})
    path = named or _DEFAULT
    return Settings(path, _Reader(path, ctx).settings(_parse(path)))


def to_toml(value: object) -> str:
    """Return a value as one writes it into the file."""
    import json

    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _may_be_set(param: click.Parameter) -> bool:
    return param.name in _ARGUMENTS or (isinstance(param, click.Option) and param.name != _FILE)


def _key(param: click.Parameter) -> str:
    """Return an option's long name without its dashes, or an argument's name."""
    long = [name.removeprefix("--") for name in param.opts if name.startswith("--")]
    return long[0] if long else str(param.name)


def _parse(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        if path.is_char_device() and path.samefile(os.devnull):
            return {}  # an empty name: no file is read
        text = read_own(path, _LARGEST).decode("utf-8-sig")  # some editors begin a file with a mark
        return tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InvalidConfig(f"{path} is not UTF-8", "save it as UTF-8") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InvalidConfig(f"{path} is not TOML: {error}", "correct it") from error
    except DataError as error:
        remedy = f"name a file with --config, or none: --config {os.devnull}"
        raise InvalidConfig(error.problem, remedy) from error
    except OSError as error:
        problem = f"the configuration file {path} cannot be read: {error.strerror}"
        raise InvalidConfig(problem, "check its name and its permissions") from error


class _Reader:
    """Reads the values of a file one by one; an error names its place in the file."""

    def __init__(self, path: Path, ctx: click.Context) -> None:
        self._path = path
        self._ctx = ctx
        self._commands = configurable(ctx)

    def settings(self, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Return the values, checked; a table's win over those at the top."""
        values: dict[str, dict[str, Any]] = {name: {} for name in self._commands}
        tables = {key: value for key, value in document.items() if isinstance(value, dict)}
        for key, value in document.items():
            if key not in tables:
                for name, option in self._homes(key):
                    values[name][str(option.name)] = self._checked(key, value, option)
        for name, table in tables.items():
            keys = self._keys(name)
            for key, value in table.items():
                if key not in keys:
                    raise self._unknown(f"key {key!r} in [{name}]", key, keys)
                param = keys[key]
                values[name][str(param.name)] = self._checked(f"{key} in [{name}]", value, param)
        return values

    def _homes(self, key: str) -> list[tuple[str, click.Option]]:
        """Return the commands that have an option: arguments mean something else in each."""
        if key in self._commands:
            raise self._wrong(f"{key} is a table", f"write it as [{key}]")
        having = [(name, keys[key]) for name, keys in self._commands.items() if key in keys]
        homes = [(name, param) for name, param in having if isinstance(param, click.Option)]
        if having and not homes:
            raise self._wrong(f"{key} is not for all commands", f"put it under [{having[0][0]}]")
        if not homes:
            keys = [k for each in self._commands.values() for k in each]
            raise self._unknown(f"key {key!r}", key, keys)
        return homes

    def _keys(self, table: str) -> Keys:
        if table not in self._commands:
            raise self._unknown(f"table [{table}]", table, self._commands)
        return self._commands[table]

    def _checked(self, place: str, value: Any, param: click.Parameter) -> Any:
        """Return a value as click converts it; a relative path starts at the file's directory."""
        kind = _kind(param)
        if not kind.accepts(value):
            raise self._wrong(f"{place} is {to_toml(value)}", f"it has to be {kind.words}")
        if isinstance(param.type, click.Path):
            value = [self._path_of(v) for v in value] if param.nargs == -1 else self._path_of(value)
        try:
            return param.type_cast_value(self._ctx, value)
        except click.BadParameter as error:
            problem = f"{place}: {error.message.rstrip('.')}"
            raise self._wrong(problem, "correct it, or leave it out") from error

    def _path_of(self, value: str) -> str:
        return value if value == "-" or "://" in value else str(self._path.parent / value)

    def _unknown(self, what: str, name: str, known: Iterable[str]) -> InvalidConfig:
        names = sorted(set(known))
        (likeliest, *_) = [*difflib.get_close_matches(name, names, n=1, cutoff=0.5), None]
        meant = f"did you mean {likeliest}?" if likeliest else f"there are {', '.join(names)}"
        return self._wrong(f"unknown {what}", meant)

    def _wrong(self, problem: str, remedy: str) -> InvalidConfig:
        return InvalidConfig(f"{self._path}: {problem}", remedy)


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a value has to be; click would take "yes" for true, and true for 1."""

    words: str
    accepts: Callable[[object], bool]


_STRING = _Kind("a non-empty string", lambda v: isinstance(v, str) and v != "" and "\0" not in v)
_STRINGS = _Kind(
    "a list of non-empty strings",
    lambda v: isinstance(v, list) and v != [] and all(map(_STRING.accepts, v)),
)
_NAMES = _Kind(
    f"{_STRINGS.words}, or one of {', '.join(LANGUAGES)}",
    lambda v: _STRINGS.accepts(v) or (isinstance(v, str) and v in LANGUAGES),
)
_FLAG = _Kind("true or false", lambda v: isinstance(v, bool))
_COUNT = _Kind("a whole number", lambda v: type(v) is int)
_NUMBER = _Kind("a number", lambda v: type(v) in {int, float})


def _kind(param: click.Parameter) -> _Kind:
    """Return what a parameter has to be in the file."""
    if isinstance(param.type, Names):
        return _NAMES
    if param.nargs == -1:
        return _STRINGS
    if isinstance(param.type, click.types.BoolParamType):
        return _FLAG
    if isinstance(param.type, Number):
        return _COUNT if param.type.bounds.whole else _NUMBER
    return _STRING


def _apply(ctx: click.Context, _: click.Parameter, named: Path | None) -> None:
    """Let the file's values stand behind the command line's and the environment's."""
    if ctx.resilient_parsing:  # a shell asks how a word may go on
        return
    ctx.meta[SETTINGS] = settings = read_settings(named, ctx)
    ctx.default_map = dict(settings.of(ctx.info_name))


config_option = click.option(
    "--config",
    type=FilePath(),
    metavar="FILE",
    expose_value=False,
    is_eager=True,  # the other options look into it
    callback=_apply,
    help="Read options from this file.  [default: tweetscore.toml in this directory, if there "
    "is one]",
)
