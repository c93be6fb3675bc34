"""`tweetscore model check`: parity of a bundle, measured on this box."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.common_options import CONTEXT, FilePath, debug_option
from scorer.cli.log import Command
from scorer.errors import DataError

if TYPE_CHECKING:
    from export.parity import ParityReport


def parity_texts(path: Path | None, column: str) -> tuple[str, ...]:
    """Return the texts of a table's column, without nulls."""
    from export.train.dataset import read_table

    if path is None:
        return ()
    frame = read_table(str(path), "test").frame
    if column not in frame.columns:
        raise DataError(
            f"{path} has no column {column!r}, only {', '.join(frame.columns)}",
            "name one with --text-column",
        )
    return tuple(frame[column].cast(str).drop_nulls())


def figures(report: "ParityReport") -> Iterator[str]:
    """Yield one line per session."""
    for entry in report.measured:
        where = f"{entry.runtime.provider} {entry.runtime.precision}"
        yield f"{where} on {entry.runtime.instruction_set}: {entry.figures}"
    if report.graph_check:
        yield f"fp16 graph, run on the CPU and not measured on a GPU: {report.graph_check.figures}"
    for reason in report.passed_over:
        yield f"not measured: {reason}"


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
    from export.parity.pytorch import Reference
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
