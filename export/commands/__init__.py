"""The commands of `tweetscore model`."""

import click

from export.commands.check import check
from export.commands.export import export
from export.commands.info import info
from export.commands.train import train


@click.group()
def model() -> None:
    """Train, export, check and describe models."""


for command in (train, export, check, info):
    model.add_command(command)
