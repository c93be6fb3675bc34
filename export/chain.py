"""The steps of an export: checkpoint in, bundle out.

read -> save weights -> canary -> prune -> ONNX -> graphs without weights -> gate -> publish
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from export.agreement import described
from export.parity_texts import PARITY_NAME, record_of
from export.source.checkpoint import Checkpoint, read_checkpoint
from export.source.padding import PadTo
from export.source.sizes import tokens_of
from export.source.text_rules import TextRules, text_rules
from export.staging import staged
from export.steps import Steps
from scorer.errors import InvalidBundle
from scorer.hints import counted
from scorer.inference.bundle import open_bundle
from scorer.inference.bundle.metadata import METADATA_NAME, Metadata
from scorer.inference.normalize import Name

if TYPE_CHECKING:
    from export.parity.pytorch import Reference
    from export.train.text_encoder import TextEncoder


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The settings of an export."""

    name: str | None = None  # by default the checkpoint's
    version: str = "1"
    label_names: tuple[str, ...] = ()  # in id order; by default the checkpoint's
    notes: str = ""  # Markdown for the model card
    parity_texts: tuple[str, ...] = ()  # beside the canary's
    normalizer: Name | None = None  # by default what the checkpoint's record says
    max_length: int | None = None  # tokens of a text; likewise
    pad_to: PadTo | None = None  # how texts are padded for a model without a pad id
    weights: Literal["fp16", "keep"] | None = None  # by default ours fp16, others as they are
    overwrite: bool = False
    base: str | None = None  # of an adapter; by default what it names
    tokenizer: str | None = None  # where it is; by default beside the model


@dataclass(frozen=True, slots=True)
class Exported:
    """A published bundle."""

    directory: Path
    metadata: Metadata


class Converter(Protocol):
    """What fills the stage with a bundle: `convert`, or a process that calls it."""

    def __call__(
        self, checkpoint: Checkpoint, stage: Path, options: ExportOptions, steps: Steps
    ) -> None:
        """See `convert`."""


def export_bundle(
    place: str | Path,
    output: Path,
    options: ExportOptions,
    steps: Steps | None = None,
    converter: Converter | None = None,
) -> Exported:
    """Export a checkpoint, and publish it if it answers as PyTorch does.

    It is a directory, or hf:OWNER/NAME[@REVISION]. It is fetched and judged here, before
    transformers is imported; `converter` does all that opens its weights, by default in this
    process.

    Raises:
        GateFailed: It does not; nothing is published.
        InputMissing: There is no checkpoint.
        InvalidBundle: The checkpoint cannot be exported.
        OutputRefused: `output` is there already.
    """
    steps = steps or Steps()
    checkpoint = read_checkpoint(
        place, options.label_names, options.base, options.pad_to, options.tokenizer
    )
    steps.done("the checkpoint is judged")
    if checkpoint.foreign:
        steps.note(
            "the temperature is 1: the checkpoint records none, so its scores are as it gives them"
        )
    with staged(output, marker=METADATA_NAME, overwrite=options.overwrite) as stage:
        (converter or convert)(checkpoint, stage, options, steps)
        metadata = open_bundle(stage).metadata  # as every run will
    steps.done("the bundle is verified and published")
    return Exported(output, metadata)


def convert(checkpoint: Checkpoint, stage: Path, options: ExportOptions, steps: Steps) -> None:
    """Write the bundle of a checkpoint into an empty directory, and hold it against PyTorch.

    Raises:
        GateFailed: It answers otherwise.
        InvalidBundle: The checkpoint cannot be exported.
    """
    from export.loadable import loadable
    from export.publish import copy_licence

    copy_licence(checkpoint.directory, stage)
    with loadable(checkpoint.base, stage) as base:
        _fill(stage, replace(checkpoint, base=base), options, steps)


def _fill(stage: Path, checkpoint: Checkpoint, options: ExportOptions, steps: Steps) -> None:
    """Write a bundle, of a checkpoint that transformers can load."""
    rules = text_rules(checkpoint, options.normalizer, options.max_length or checkpoint.pad_to)
    # Heavy imports only now: the checkpoint is judged before transformers is imported.
    leave_out_scikit_learn()
    from export import parity, publish
    from export.graphs import save_graphs, without_graph
    from export.parity import as_trained
    from export.parity.pytorch import Reference
    from export.parity.truth import true_answers

    steps.done("the libraries are loaded")
    encoder = _save_model(checkpoint, rules, options, stage)
    steps.done("weights and tokenizer are written")
    reference = Reference(stage, encoder.max_length, checkpoint.pad_to)
    texts = _save_texts(stage, reference, encoder, options)
    truth, notes = true_answers(reference, encoder.normalizer, texts, checkpoint.classes)
    for note in notes:
        steps.note(note)
    steps.done(f"PyTorch has answered {counted(len(truth.texts), 'text')}")
    trained = as_trained.compared(checkpoint.base.directory, reference, encoder, truth)
    steps.done(f"as trained: {described(trained)}")
    graphs = save_graphs(stage, checkpoint.base.model_type, reference, encoder.normalizer)
    steps.done(f"the graphs are written: {', '.join(graphs['graphs'])}")
    metadata = publish.describe(checkpoint, encoder, options.name, options.version, graphs)
    publish.write_metadata(stage, metadata)
    report = parity.compare_sessions(open_bundle(stage), truth, steps)
    metadata = publish.add_parity(metadata, report, trained)
    if not report.fp16_graph_fits:
        steps.note("the fp16 graph is left out: it differs from PyTorch, so a GPU computes in fp32")
        metadata = without_graph(stage, metadata, "fp16")
    publish.write_card(stage, metadata, options.notes)
    publish.write_metadata(stage, metadata)


def leave_out_scikit_learn() -> None:
    """Keep transformers from importing it, for what only generates text.

    With what it imports itself it is a quarter of an export's imports: 1.5 s of CPU.
    """
    from transformers.utils import import_utils

    import_utils._sklearn_available = False  # noqa: SLF001 - it asks nobody


def _save_texts(
    stage: Path, reference: "Reference", encoder: "TextEncoder", options: ExportOptions
) -> list[str]:
    """Write the canary, and what else parity is measured on; return the texts of both."""
    from export.parity.pytorch import make_canary, whole_texts
    from export.publish import write_json

    canary = make_canary(reference, encoder.normalizer)
    write_json(stage / "canary.json", canary)
    texts = record_of([*whole_texts(), *options.parity_texts])
    write_json(stage / PARITY_NAME, texts)
    return [*canary["texts"], *texts["texts"]]


def _save_model(
    checkpoint: Checkpoint, rules: TextRules, options: ExportOptions, stage: Path
) -> "TextEncoder":
    """Write configuration, weights and tokenizer; return what prepares texts for them."""
    from export.graph.exporter import require_exportable
    from export.graph.weights import save_weights, types_of
    from export.parity.pytorch import load_model
    from export.train.text_encoder import saved_encoder

    require_exportable(checkpoint.base.model_type)
    names = checkpoint.labels
    changes = {
        "id2label": dict(enumerate(names)),
        "label2id": {name: label for label, name in enumerate(names)},
        "pad_token_id": checkpoint.pad_token_id,
    }
    encoder = saved_encoder(checkpoint.base, rules)
    _require_same_pad(checkpoint, encoder.tokenizer.pad_token_id)
    directory = checkpoint.base.directory
    # A bundle's weights are rounded already, where they were to be.
    rounded = options.weights == "fp16" or (options.weights is None and checkpoint.trained_here)
    types = None if rounded else types_of(directory.glob("model*.safetensors"))
    save_weights(load_model(directory, changes=changes, warns=True), stage, types)
    encoder.save(stage)
    return encoder


def _require_same_pad(checkpoint: Checkpoint, pad: int) -> None:
    """Raise InvalidBundle where the model does not know the tokenizer's pad token by its id."""
    directory, expected = checkpoint.base.directory, checkpoint.pad_token_id
    tokens = tokens_of(checkpoint.config)
    if expected is None and pad >= tokens:
        raise InvalidBundle(
            f"the tokenizer of {directory} pads with token {pad}, and its model has "
            f"{counted(tokens, 'token')}",
            "save there the tokenizer that the model was trained with",
        )
    if expected not in (None, pad):
        raise InvalidBundle(
            f"the checkpoint {directory} pads with token {pad}, and its model expects {expected}",
            "set the pad token in model and tokenizer and save both",
        )
