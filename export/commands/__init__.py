"""The commands of `tweetscore model`; `train` and `info` have files of their own."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from export.commands.info import info
from export.commands.train import train
from scorer import threads
from scorer.cli.common_options import (
    CONTEXT,
    FilePath,
    Names,
    all_of,
    debug_option,
    number_option,
    text_column_option,
)
from scorer.cli.log import Command, log_message

if TYPE_CHECKING:
    from export.conversion import LimitsOf
    from export.source.padding import PadTo

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


class PadLength(click.ParamType["PadTo"]):
    """A number of tokens, or none."""

    name = "TOKENS|none"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> "PadTo":
        """Return the number; whether it fits the model is decided where that is known."""
        if value == "none":
            return "none"
        if not str(value).isdecimal():
            self.fail(f"{value!r} is neither a number of tokens nor none", param, ctx)
        return int(value)


_limit_options = all_of(
    number_option(
        "--memory",
        bounds=threads.MEMORY,
        metavar="GIB",
        help="Limit the memory of the process that opens the model.  [default: by the weights]",
    ),
    number_option(
        "--timeout",
        bounds=threads.TIMEOUT,
        metavar="SECONDS",
        help="End that process after so long.  [default: by the weights, 2 hours or more]",
    ),
)


@click.group()
def model() -> None:
    """Train, export, check and describe models."""


model.add_command(train)
model.add_command(info)


@model.command("export", cls=Command, context_settings=CONTEXT)
@click.argument("checkpoint", type=FilePath(), metavar="CHECKPOINT|hf:OWNER/NAME[@REVISION]")
@click.option(
    "-o",
    "--output",
    required=True,
    type=FilePath(),
    metavar="BUNDLE",
    help="Write the bundle here.",
)
@click.option("--name", metavar="NAME", help="Name the bundle.  [default: as the checkpoint]")
@click.option("--version", default="1", show_default=True, metavar="TEXT", help="Name the version.")
@click.option(
    "--label-names",
    type=Names(),
    default=(),
    metavar="A,B,C",
    help="Name the classes in the order of their ids.  [default: as the checkpoint]",
)
@click.option(
    "--normalizer",
    type=click.Choice(["none", "tweetscore", "cardiff"]),
    metavar="NAME",
    help="Clean texts before they are tokenised: not at all (none), as `model train` does it "
    "(tweetscore), or with @user and http as cardiffnlp documents it (cardiff).  [default: as "
    "trained by `model train`, else none]",
)
@number_option(
    "--max-length",
    bounds=threads.LENGTH,
    metavar="TOKENS",
    help="Cut texts after so many tokens.  [default: as trained by `model train`, else the "
    "model's own, at most 512]",
)
@click.option(
    "--pad-to",
    type=PadLength(),
    metavar="TOKENS|none",
    help="Pad texts to so many tokens, or not at all (none), as the model was used; for a model "
    "whose config has no pad id.",
)
@click.option(
    "--parity-data",
    type=_FILE,
    metavar="FILE",
    help="Check parity on the texts of this file, too, of any format that `tweetscore run` reads; "
    "they are kept in the bundle: leave private ones out.",
)
@text_column_option
@click.option(
    "--notes",
    type=_FILE,
    metavar="FILE",
    help="Add this Markdown file to the model card; a YAML block at its top (license, "
    "language, ...) joins the card's.",
)
@click.option(
    "--weights",
    type=click.Choice(["fp16", "keep"]),
    help="Round the weights to fp16, or keep the type of each.  [default: fp16 for a checkpoint "
    "of `model train`, keep for any other]",
)
@click.option(
    "--base",
    metavar="CHECKPOINT",
    help="Merge an adapter into this model: a directory or hf:OWNER/NAME[@REVISION].  "
    "[default: what the adapter names]",
)
@click.option(
    "--tokenizer",
    metavar="PLACE",
    help="Take the tokenizer of this directory, or of hf:OWNER/NAME[@REVISION].  [default: the "
    "checkpoint's]",
)
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
@_limit_options
@debug_option
def export(
    checkpoint: Path,
    output: Path,
    *,
    parity_data: Path | None,
    text_column: str,
    notes: Path | None,
    memory: float | None,
    timeout: float | None,
    **others: Any,
) -> None:
    """Export a fine-tuned checkpoint to a bundle that `tweetscore run` can serve.

    CHECKPOINT is a directory as save_pretrained or the Trainer wrote it, with weights as
    safetensors or pytorch_model.bin, or a LoRA adapter; or a model of the Hugging Face Hub.

    The bundle is published only if it answers as PyTorch does, on every provider of this box;
    otherwise the exit code is 76 and BUNDLE is untouched.

    \b
    tweetscore model export checkpoint/ -o bundle/
    tweetscore model export hf:OWNER/NAME -o bundle/
    tweetscore run tweets.parquet --model bundle/
    """
    from export.chain import ExportOptions, export_bundle
    from export.conversion import ConfinedConverter
    from export.steps import Steps

    options = ExportOptions(
        parity_texts=_parity_texts(parity_data, text_column),
        notes=notes.read_text(encoding="utf-8") if notes else "",
        **others,
    )
    converter = ConfinedConverter(_limits(memory, timeout))
    exported = export_bundle(checkpoint, output, options, Steps(_show_step), converter)
    click.echo(f"{exported.metadata.name} {options.version} is in {output}", err=True)


@model.command("check", cls=Command, context_settings=CONTEXT)
@click.argument("bundle", type=FilePath(), required=False, metavar="[BUNDLE]")
@click.option(
    "--parity-data",
    type=_FILE,
    metavar="FILE",
    help="Measure on the texts of this file, too, of any format that `tweetscore run` reads.",
)
@text_column_option
@click.option("--json", "as_json", is_flag=True, help="Print the entries of tweetscore.json.")
@_limit_options
@debug_option
def check(
    bundle: Path | None,
    *,
    parity_data: Path | None,
    text_column: str,
    as_json: bool,
    memory: float | None,
    timeout: float | None,
) -> None:
    """Measure a bundle's parity with PyTorch on every provider of this box.

    PyTorch loads the bundle's own model.safetensors. Without BUNDLE the embedded one is
    checked. Exits 76 where the fp32 promise does not hold.
    """
    from export.conversion import check_confined
    from scorer.inference.bundle import open_bundle

    texts = _parity_texts(parity_data, text_column)
    measured = check_confined(open_bundle(bundle), texts, _limits(memory, timeout))
    if as_json:
        click.echo(json.dumps(measured.entries, indent=1, sort_keys=True))
        return
    for line in measured.lines:
        click.echo(line)


def _limits(memory: float | None, timeout: float | None) -> "LimitsOf":
    from export.isolation.limits import limits_for

    return partial(limits_for, memory=memory, seconds=timeout)


def _show_step(words: str, seconds: float | None) -> None:
    if seconds is None:
        log_message("info", "note", words)
        return
    line = f"{words} in {seconds:.1f} s"
    log_message("info", "step", line, step=words, seconds=round(seconds, 3))


def _parity_texts(path: Path | None, column: str) -> tuple[str, ...]:
    """Return the distinct texts of a table's column: all, or as many as are measured."""
    from export.parity_texts import sampled
    from export.train.labelled_tables import read_texts
    from scorer.options import InputSpec

    if path is None:
        return ()
    found = read_texts(path, InputSpec(column)).drop_nulls().unique(maintain_order=True)
    texts = sampled(found.to_list())
    if len(texts) < len(found):
        words = f"of {len(found):,} texts of {path}, {len(texts):,} at even distances are measured"
        log_message("info", "note", words)
    return texts
