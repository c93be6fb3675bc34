"""Options that several commands share, and how they are spelled."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from scorer.cli.errors import DEBUG
from scorer.errors import UsageError
from scorer.files.csv.options import delimiter_of
from scorer.remote.urls import parse_url
from scorer.threads import limit_pools

# Each option is TWEETSCORE_NAME in the environment, whichever command it belongs to.
CONTEXT = {"auto_envvar_prefix": "TWEETSCORE"}

DEVICES = click.Choice(["auto", "cuda", "cpu", "openvino", "builtin"])

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Place(click.Path):
    """A path, or the URL of an object."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a `Path` or a `Url`."""
        url = parse_url(value) if isinstance(value, str) else None
        return url or super().convert(value, param, ctx)


class Names(click.ParamType[tuple[str, ...]]):
    """Comma-separated names."""

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


class FiniteRange(click.FloatRange):
    """A number within bounds; what Python calls inf and nan is none."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number; nan would pass each bound, and nothing is above or below it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def _limit_pools(_: click.Context, __: click.Parameter, value: int | None) -> int | None:
    limit_pools(value)
    return value


def _remember_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[DEBUG] = value


_MODEL = (
    click.option(
        "--model",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Model bundle.  [default: the embedded one]",
    ),
    click.option(
        "--device",
        type=DEVICES,
        default="auto",
        show_default=True,
        help="cpu takes the better of the two CPU providers.",
    ),
    click.option(
        "--precision",
        type=click.Choice(["auto", "fp32", "bf16", "fp16", "int8"]),
        default="auto",
        show_default=True,
        help="auto takes the fastest that passes the canary.",
    ),
    click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        callback=_limit_pools,  # while options are read no heavy library has been loaded
        help="CPU threads.  [default: all that this process may use]",
    ),
)

_ANSWER = (
    click.option(
        "--scores",
        type=click.Choice(["label", "all"]),
        default="label",
        show_default=True,
        help="all adds one column per class.",
    ),
    click.option(
        "--label-names",
        type=Names(),
        metavar="A,B,C",
        help="Other names for the labels, in the model's order.",
    ),
)

_DEBUG = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_remember_debug,
    help="Show tracebacks.",
)


def all_of(*options: Decorator) -> Decorator:
    """Return one decorator for several options, in the order of the help."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


model_options = all_of(*_MODEL)
answer_options = all_of(*_ANSWER)
debug_option = _DEBUG
