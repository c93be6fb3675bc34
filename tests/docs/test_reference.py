"""The reference page knows every command."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from scorer.cli import tweetscore

ROOT = Path(__file__).parents[2]


def command_paths(command: click.Command, path: str) -> Iterator[str]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from command_paths(child, f"{path} {name}")


def test_every_command_is_documented() -> None:
    """docs/cli.md shows the help of every command, and of nothing else."""
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    shown = re.findall(r"^\$ (tweetscore.*) --help$", page, re.MULTILINE)
    assert sorted(shown) == sorted(command_paths(tweetscore, "tweetscore"))
