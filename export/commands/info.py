"""`tweetscore model info`: what a bundle is, for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.common_options import CONTEXT, FilePath, debug_option
from scorer.cli.log import Command
from scorer.hints import counted

if TYPE_CHECKING:
    from export.summary import Summary
    from scorer.inference.bundle import Bundle


@click.command("info", cls=Command, context_settings=CONTEXT)
@click.argument("bundle", type=FilePath(), required=False, metavar="[BUNDLE]")
@click.option("--json", "as_json", is_flag=True, help="Print tweetscore.json as it is.")
@debug_option
def info(bundle: Path | None, *, as_json: bool) -> None:
    """Verify a bundle and show what it is; without BUNDLE, the embedded one."""
    from export.summary import summary_of
    from scorer.inference.bundle import open_bundle
    from scorer.inference.bundle.metadata import METADATA_NAME

    opened = open_bundle(bundle)
    path = opened.directory / METADATA_NAME
    if as_json:
        click.echo(path.read_text(encoding="utf-8"), nl=False)
        return
    for topic, words in _facts(opened, summary_of(path, opened.metadata)):
        click.echo(f"{topic + ':':<13} {words}")


def _facts(bundle: "Bundle", summary: "Summary") -> Iterator[tuple[str, str]]:
    from scorer.inference.bundle.metadata import UNKNOWN

    yield "bundle", f"{bundle.name} {bundle.version}, all hashes right, in {bundle.directory}"
    below = summary.base_model.name
    yield "model", bundle.model_type + (f", fine-tuned from {below}" if below != UNKNOWN else "")
    if origin := summary.source:
        commit = f" at {origin.revision}" if origin.revision else ""
        below = f", merged into {origin.base}" if origin.base else ""
        yield "source", f"{origin.name}{commit}{below}"
    yield "licence", summary.license or "not known: the checkpoint does not say it"
    yield "task", summary.answers
    yield "labels", ", ".join(bundle.labels)
    yield "texts", _preparation(bundle)
    if summary.as_trained:
        from export.agreement import described

        yield "as trained", described(summary.as_trained)
    yield "temperature", f"{bundle.temperature:.4g}"
    for source in summary.training.data:
        yield "trained on", f"{counted(source.rows, 'row')} of {source.name}"
    if metrics := summary.metrics:
        words = f"accuracy {metrics.accuracy:.4f}, macro F1 {metrics.macro_f1:.4f}, "
        words += f"ECE {metrics.ece:.4f} on "
        yield "quality", f"{words}{counted(metrics.data.rows, 'row')} of {metrics.data.name}"
    for entry in summary.parity:
        words = f"{entry.provider} {entry.precision} on {entry.architecture}: label agreement "
        words += f"{entry.label_agreement:.2%}, largest difference {entry.largest_difference:.1e}"
        yield "parity", words


def _preparation(bundle: "Bundle") -> str:
    rules = bundle.normalizer
    words = f"{bundle.max_length} tokens, normalizer: {rules.name} {rules.version}"
    words += f", emoji: {rules.emoji}"
    if bundle.metadata.truncation_side == "left":
        words += ", cut at their beginning"
    if bundle.metadata.pad_to is not None:
        words += f", as if padded to {counted(bundle.metadata.pad_to, 'token')}"
    return words if bundle.metadata.split_special_tokens else f"{words}, control tokens obeyed"
