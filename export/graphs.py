"""The graphs of a bundle: in fp32, in fp16 for GPUs, and in int8 where its streams are known.

What is done to models of one architecture alone is in `export.architectures`; a rewrite that is not
known or not exact is left out with one line.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import onnx
from transformers import PreTrainedModel

from export.architectures import UNKNOWN, Architecture, architecture_of
from export.graph import plain_graph, split_key_transpose
from export.graph.exporter import PLAIN_INPUTS
from export.graph.lookup_tables import tables_of
from export.graph.pruning import drop_attention_mask, prune
from export.graph.token_types import with_types_of_zero
from export.graph.unpadded import served_unpadded
from export.graph.weights import (
    WEIGHTS_NAME,
    full_precision_graph,
    half_precision_graph,
    write_graph,
)
from export.int8 import int8_graph, streams
from export.parity.pytorch import Reference, calibration, load_model
from export.publish import GRAPHS
from scorer.inference.bundle.metadata import Metadata
from scorer.inference.normalize import Normalizer

_log = logging.getLogger(__name__)


def save_graphs(
    stage: Path, model_type: str, reference: Reference, normalizer: Normalizer
) -> dict[str, Any]:
    """Write the graphs of the model in `stage`.

    Args:
        stage: Holds the model.
        model_type: Of its configuration.
        reference: Knows what the model gets of its tokenizer, and how its texts are padded.
        normalizer: Of the texts, on which int8 is calibrated.

    Returns:
        What the metadata says of them: their names, whether the last layer is pruned, and which
        weights they look up.

    Raises:
        InvalidBundle: The model cannot be exported.
    """
    known, inputs = architecture_of(model_type), reference.inputs
    whole = load_model(stage, attention=known.attention)
    if "token_type_ids" in inputs and (typed := with_types_of_zero(whole)) is not whole:
        # The rewrites know of no types.
        whole, known = typed, replace(UNKNOWN, attention=known.attention)
        inputs = tuple(PLAIN_INPUTS)
    if known.left_out:
        _log.warning("%s is served without %s: not known for it", model_type, known.left_out)
    model = prune(whole, known.prune) if known.prune else whole
    pruned = model is not whole
    if known.mask_can_go:
        model = drop_attention_mask(model)
    if reference.pads is not None:
        model = served_unpadded(model, whole, reference.pads)
    plain = split_key_transpose(plain_graph(model, inputs))
    weights = stage / WEIGHTS_NAME
    graphs = {
        "fp32": full_precision_graph(plain, weights),
        "fp16": half_precision_graph(plain, weights),
        "int8": _int8_graph(whole, known, reference, normalizer, weights),
    }
    written = [kind for kind, graph in graphs.items() if graph and _write(graph, stage, kind)]
    return {
        "graphs": {kind: GRAPHS[kind] for kind in written},
        "pruned": pruned,
        "tables": tables_of(whole, weights),
    }


def without_graph(stage: Path, metadata: Metadata, kind: str) -> Metadata:
    """Remove one of the graphs, and return metadata that do not name it."""
    graphs = dict(metadata.graphs)
    (stage / graphs.pop(kind)).unlink()
    return msgspec.structs.replace(metadata, graphs=graphs)


def _write(graph: onnx.ModelProto, stage: Path, kind: str) -> bool:
    """Write a graph, and tell whether it is one: that in fp16 may be none."""
    path = stage / GRAPHS[kind]
    try:
        write_graph(graph, path)
    except onnx.checker.ValidationError as error:
        if kind != "fp16":
            raise
        # onnxruntime's converter does not know all operators, such as those of many experts.
        _log.warning("no fp16 graph: it cannot be converted (%s)", str(error)[:80])
        path.unlink()
        return False
    return True


def _int8_graph(
    whole: PreTrainedModel,
    known: Architecture,
    reference: Reference,
    normalizer: Normalizer,
    weights: Path,
) -> onnx.ModelProto | None:
    if known.streams is None:
        return None
    pads = reference.pads if reference.pads is not None and reference.pads.length else None
    split = streams.split(whole, known.streams, calibration(reference, normalizer), pads)
    if split is None:
        return None
    # Runs the model, and so its observers.
    observed = plain_graph(split.model, reference.inputs)
    return full_precision_graph(int8_graph(observed, [*split.observers]), weights)
