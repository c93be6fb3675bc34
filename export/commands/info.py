"""`tweetscore model info`: what a bundle says about itself; needs no PyTorch."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.log import Command
from scorer.cli.options import CONTEXT, FilePath, debug_option
from scorer.counts import counted

if TYPE_CHECKING:
    from scorer.inference.bundle import Bundle


@click.command("info", cls=Command, context_settings=CONTEXT)
@click.argument("bundle", type=FilePath(), required=False, metavar="[BUNDLE]")
@click.option("--json", "as_json", is_flag=True, help="Print tweetscore.json as it is.")
@debug_option
def info(bundle: Path | None, *, as_json: bool) -> None:
    """Verify a bundle and show what it is; without BUNDLE, the embedded one."""
    from scorer.inference.bundle import METADATA_NAME, open_bundle
    from scorer.inference.untrusted import invalid

    opened = open_bundle(bundle)
    if as_json:
        text = (opened.directory / METADATA_NAME).read_text(encoding="utf-8")
        click.echo(text, nl=False)
        return
    try:
        facts = list(_facts(opened))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # Scoring does not read these fields, so opening the bundle has not checked them.
        path = opened.directory / METADATA_NAME
        raise invalid(path, f"does not say what a bundle says of itself ({error!r})") from error
    for topic, words in facts:
        click.echo(f"{topic + ':':<13} {words}")


def _facts(bundle: "Bundle") -> Iterator[tuple[str, str]]:
    metadata = bundle.metadata
    yield "bundle", f"{bundle.name} {bundle.version}, all hashes right, in {bundle.directory}"
    yield "model", f"{bundle.model_type}, fine-tuned from {metadata['base_model']['name']}"
    yield "labels", ", ".join(bundle.labels)
    yield "texts", f"{bundle.max_length} tokens, emoji: {bundle.normalizer.emoji}"
    yield "temperature", f"{bundle.temperature:.4g}"
    for source in metadata["training"].get("data", ()):
        yield "trained on", f"{counted(source['rows'], 'row')} of {source['name']}"
    if metadata["metrics"]:
        yield "quality", _quality(metadata["metrics"])
    for entry in metadata["parity"]:
        yield "parity", _parity(entry)


def _quality(metrics: Any) -> str:
    return (
        f"accuracy {metrics['accuracy']:.4f}, macro F1 {metrics['macro_f1']:.4f}, "
        f"ECE {metrics['ece']:.4f} on {counted(metrics['data']['rows'], 'row')} of "
        f"{metrics['data']['name']}"
    )


def _parity(entry: Any) -> str:
    return (
        f"{entry['provider']} {entry['precision']} on {entry['architecture']}: label agreement "
        f"{entry['label_agreement']:.2%}, largest difference {entry['largest_difference']:.1e}"
    )
