"""`tweetscore model check`: a bundle against PyTorch, on this machine."""

from pathlib import Path
from typing import Any

import click

from scorer.cli.log import Command
from scorer.cli.options import CONTEXT, FilePath, debug_option


@click.command("check", cls=Command, context_settings=CONTEXT)
@click.argument("bundle", type=FilePath(), required=False, metavar="[BUNDLE]")
@click.option(
    "--parity-data",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="CSV, TSV or Parquet whose texts join the canary's.",
)
@click.option("--text-column", default="text", show_default=True, metavar="NAME")
@click.option("--json", "as_json", is_flag=True, help="Print the entries of tweetscore.json.")
@debug_option
def check(
    bundle: Path | None, *, parity_data: Path | None, text_column: str, as_json: bool
) -> None:
    """Measure a bundle's parity with PyTorch on every provider of this box.

    PyTorch loads the bundle's own model.safetensors. Without BUNDLE the embedded one is
    checked. Exits 76 where the fp32 promise does not hold.
    """
    from export import parity
    from export.commands.figures import figures, parity_texts
    from export.reference import Reference
    from scorer.inference.bundle import open_bundle

    opened = open_bundle(bundle)
    reference = Reference(opened.directory, opened.max_length)
    report = parity.check(opened, reference, parity_texts(parity_data, text_column))
    if as_json:
        _print_json([{**entry.record(), "measured": True} for entry in report.measured])
        return
    for line in figures(report):
        click.echo(line)


def _print_json(content: Any) -> None:
    import json

    click.echo(json.dumps(content, indent=1, sort_keys=True))
