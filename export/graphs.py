"""The graphs of a bundle: in fp32, in fp16 for GPUs, and in int8 where its streams are known.

What is done to models of one architecture alone is in `export.architectures`; a rewrite that is not
known or not exact is left out with one line.
"""

import logging
from pathlib import Path
from typing import Any

import onnx
from transformers import PreTrainedModel

from export.architectures import Architecture, architecture_of
from export.graph import plain_graph, split_key_transpose
from export.graph.pruning import drop_attention_mask, prune
from export.graph.tables import tables_of
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
    known = architecture_of(model_type)
    if known.left_out:
        _log.warning("%s is served without %s: not known for it", model_type, known.left_out)
    whole = load_model(stage, attention=known.attention)
    model = prune(whole, known.prune) if known.prune else whole
    pruned = model is not whole
    if known.mask_can_go:
        model = drop_attention_mask(model)
    if reference.pads is not None:
        model = served_unpadded(model, whole, reference.pads)
    plain = split_key_transpose(plain_graph(model, reference.inputs))
    weights = stage / WEIGHTS_NAME
    graphs = {
        "fp32": full_precision_graph(plain, weights),
        "fp16": half_precision_graph(plain, weights),
        "int8": _int8_graph(whole, known, reference, normalizer, weights),
    }
    written = {kind: graph for kind, graph in graphs.items() if graph is not None}
    for kind, graph in written.items():
        write_graph(graph, stage / GRAPHS[kind])
    return {
        "graphs": {kind: GRAPHS[kind] for kind in written},
        "pruned": pruned,
        "tables": tables_of(whole, weights),
    }


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
