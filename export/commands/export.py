"""`tweetscore model export`: a checkpoint in, a bundle out, or nothing."""

from pathlib import Path
from typing import Any

import click

from scorer.cli.common_options import CONTEXT, FilePath, Names, debug_option
from scorer.cli.log import Command

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("export", cls=Command, context_settings=CONTEXT)
@click.argument("checkpoint", type=FilePath(), metavar="CHECKPOINT")
@click.option("-o", "--output", required=True, type=FilePath(), metavar="BUNDLE")
@click.option("--name", metavar="NAME", help="Of the bundle.  [default: the checkpoint's]")
@click.option("--version", default="1", show_default=True, metavar="TEXT")
@click.option(
    "--label-names",
    type=Names(),
    default=(),
    metavar="A,B,C",
    help="Names of the classes in id order.  [default: the checkpoint's]",
)
@click.option(
    "--parity-data",
    type=_FILE,
    metavar="FILE",
    help="CSV, TSV or Parquet whose texts join the parity check.",
)
@click.option("--text-column", default="text", show_default=True, metavar="NAME")
@click.option(
    "--notes",
    type=_FILE,
    metavar="FILE",
    help="Markdown for the model card; a YAML block at its top (license, language, ...) joins "
    "the card's.",
)
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@debug_option
def export(
    checkpoint: Path,
    output: Path,
    *,
    parity_data: Path | None,
    text_column: str,
    notes: Path | None,
    **others: Any,
) -> None:
    """Export a fine-tuned checkpoint to a bundle that `tweetscore run` can serve.

    The bundle is published only if it answers as PyTorch does, on every provider of this box;
    otherwise the exit code is 76 and BUNDLE is untouched.

    \b
    tweetscore model export checkpoint/ -o bundle/
    tweetscore run tweets.parquet --model bundle/
    """
    from export.chain import ExportOptions, export_bundle
    from export.commands.check import figures, parity_texts

    options = ExportOptions(
        parity_texts=parity_texts(parity_data, text_column),
        notes=notes.read_text(encoding="utf-8") if notes else "",
        **others,
    )
    exported = export_bundle(checkpoint, output, options)
    for line in figures(exported.parity):
        click.echo(line, err=True)
    click.echo(f"{exported.metadata.name} {options.version} is in {output}", err=True)
