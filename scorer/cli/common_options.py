"""Options that several commands share, and the types of their values."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import click

from scorer.cli.invocation import PREFIX
from scorer.cli.process import DEBUG
from scorer.errors import UsageError
from scorer.formats.text.dialects import delimiter_of
from scorer.options import (
    LABEL_COLUMN,
    LABELS_COLUMN,
    SCORE_COLUMN,
    TEXT_COLUMN,
    THRESHOLD,
    Device,
    Precision,
    WhichScores,
)
from scorer.remote.urls import parse_url
from scorer.threads import SHARE, THREADS, Bounds, limit_pools

# Each option is TWEETSCORE_NAME in the environment, whichever command it belongs to.
CONTEXT = {"auto_envvar_prefix": PREFIX}

DEVICES = click.Choice(get_args(Device))

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class FilePath(click.Path):
    """A path that is not empty; the command checks whether it can be read or written."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(path_type=Path, file_okay=file_okay, readable=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Path`; of an empty one pathlib would make the current directory."""
        path = os.fspath(value)
        if not path or "\0" in path:
            self.fail(f"{path!r} is no path; leave it out, or name one", param, ctx)
        return super().convert(value, param, ctx)


class PathOrUrl(FilePath):
    """A path, or the URL of an object."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Path` or a `Url`."""
        url = parse_url(value) if isinstance(value, str) else None
        return url or super().convert(value, param, ctx)


class Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names, or a language that has names."""

    name = "names"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Split; every name must have a character."""
        parts = value if isinstance(value, (list, tuple)) else str(value).split(",")
        names = tuple(name.strip() for name in parts)
        if not all(names):
            self.fail(f"{value!r} has an empty name", param, ctx)
        return names


class Delimiter(click.ParamType[str]):
    """The character between cells: itself, or by its name."""

    name = "delimiter"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the character."""
        try:
            return delimiter_of(str(value))
        except UsageError as error:
            self.fail(f"{value!r} is no delimiter; {error.remedy}", param, ctx)


class Number(click.ParamType[int | float]):
    """A finite number within bounds."""

    name = "number"

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | float:
        """Return a number as it was typed, or as a file or a default has it already."""
        number = self.bounds.parse(value) if isinstance(value, str) else value
        if number is None or not self.bounds.holds(number):
            self.fail(self.bounds.complaint(value), param, ctx)
        return number


class NumberOption(click.Option):
    """An option for a number, whose help ends with the bounds."""

    def __init__(self, names: Sequence[str], *, bounds: Bounds, **attributes: Any) -> None:
        super().__init__(names, type=Number(bounds), **attributes)
        self._bounds = bounds

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Add the bounds to click's own facts."""
        return {**super().get_help_extra(ctx), "range": self._bounds.anywhere}


number_option = partial(click.option, cls=NumberOption)


def choice_option(name: str, kind: Any, default: str, words: str) -> Decorator:
    """Return the decorator of an option that takes one of a literal type's values."""
    values = click.Choice(get_args(kind))
    return click.option(name, type=values, default=default, show_default=True, help=words)


def _limit_pools(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    limit_pools(value)
    return value


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


def all_of(*options: Decorator) -> Decorator:
    """Return one decorator for several options, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


model_options = all_of(
    click.option(
        "--model",
        type=FilePath(),
        metavar="DIR",
        help="Score with the bundle in this directory.  [default: the embedded English model]",
    ),
    choice_option(
        "--device",
        Device,
        "auto",
        "Choose what computes; cpu takes the faster of openvino and builtin.",
    ),
    choice_option(
        "--precision",
        Precision,
        "auto",
        "Choose the type of number; auto takes the fastest that agrees with the model.",
    ),
    number_option(
        "--threads",
        bounds=THREADS,
        metavar="N",
        callback=_limit_pools,  # while options are read no heavy library has been loaded
        help="Use this many CPU threads.  [default: all that this process may use]",
    ),
)

answer_options = all_of(
    choice_option(
        "--scores",
        WhichScores,
        "label",
        "Choose the columns of scores; all adds one for each class.",
    ),
    click.option(
        "--label-names",
        type=Names(),
        metavar="A,B,C",
        help="Write these names for the labels, in the order of the model; es and en stand for "
        "Spanish and English names.",
    ),
)

debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_debug,
    help="Show the traceback of an error.",
)


_column = partial(click.option, show_default=True, metavar="NAME")
text_column_option = _column(
    "--text-column", default=TEXT_COLUMN, help="Read the texts of this column."
)
column_options = (
    _column("--label-column", default=LABEL_COLUMN, help="Name the column of labels."),
    _column("--score-column", default=SCORE_COLUMN, help="Name the column of scores."),
    _column(
        "--labels-column",
        default=LABELS_COLUMN,
        help="Name the column of lists that a multi-label model writes.",
    ),
    number_option(
        "--threshold",
        bounds=SHARE,
        default=THRESHOLD,
        show_default=True,
        metavar="P",
        help="List the labels of a multi-label model that are at least this probable.",
    ),
)
