"""`tweetscore model`: the door to `export`, which is opened only when somebody knocks.

`export` is a common name and its libraries weigh gigabytes. So what is behind the door must
be the folder beside `scorer`, and a library that is missing is answered with the pip line.
"""

import importlib.util
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from scorer.errors import InvalidBundle
from scorer.extras import needed


class ModelDoor(click.Group):
    """The group `model` of `export.cli`, without importing it for `tweetscore --help`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of export's commands."""
        return _behind_the_door().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of export's commands."""
        return _behind_the_door().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it cannot import, the extra provides."""
        with needed("export", "training and exporting need"):
            return super().invoke(ctx)


@click.group(cls=ModelDoor)
def model() -> None:
    """Train, export, check and describe models."""


def _behind_the_door() -> click.Group:
    check_sibling()
    with needed("export", "training and exporting need"):
        group = import_module("export.cli").model
    if not isinstance(group, click.Group):
        raise TypeError("export.cli.model is not a group")
    return group


def check_sibling() -> None:
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
