"""Exports a model to an ONNX graph by Optimum, and rewrites the graph for every engine."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnx import helper
from transformers import PreTrainedModel

from export.graph.prune import largest_difference

_log = logging.getLogger(__name__)

# transformers' implementation that gives the faster graph for each model type: OpenVINO has
# no node for scaled dot-product attention, and gains from it only where a mask is causal.
ATTENTION = {"bert": "eager", "distilbert": "eager", "roberta": "eager", "gpt2": "sdpa"}


def plain_graph(model: PreTrainedModel) -> onnx.ModelProto:
    """Return an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "plain.onnx"
        export_graph(model, path)
        return load_graph(path)


def export_graph(model: PreTrainedModel, output: Path) -> None:
    """Write an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out."""
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    constructor = TasksManager.get_exporter_config_constructor(
        exporter="onnx", model=model, task="text-classification", library_name="transformers"
    )
    with quiet():
        # Optimum's validation only warns, and on inputs of its own: `parity` is our gate.
        export(model, constructor(model.config), output, do_constant_folding=False)


def load_graph(path: Path) -> onnx.ModelProto:
    """Read a graph with its weights, without the fields that differ between two exports."""
    model = onnx.load(path)
    del model.graph.value_info[:]
    model.ClearField("doc_string")
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Turn warnings of the tracer and of Optimum into debug records; errors still raise."""
    loggers = [logging.getLogger(name) for name in ("optimum", "transformers", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    said = io.StringIO()
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(said):
            warnings.simplefilter("always")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
    for line in (*said.getvalue().splitlines(), *(str(w.message) for w in caught)):
        _log.debug("%s", line)


def split_key_transpose(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph with the transposition of attention's keys in two steps.

    The first step moves whole rows, the second one swaps the last two axes: the same numbers, in
    less time. MiniLM in bf16 on AMX, 2,000 tokens of texts of 20: its 24 transpositions take 3.8 ms
    instead of 6.7, of 64 ms in all. In fp32 on ONNX Runtime's CPU provider a batch takes 0.95 of
    the time; the int8 graph gains nothing.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(graph)
    factors = {node.input[1] for node in graph.graph.node if node.op_type == "MatMul"}
    nodes = []
    for node in changed.graph.node:
        nodes.append(node)
        if node.op_type != "Transpose" or node.output[0] not in factors:
            continue
        *outer, row, column = node.attribute[0].ints
        in_rows = [*outer, column, row]
        if row != len(in_rows) - 1 or in_rows == sorted(in_rows):
            continue
        (result,) = node.output
        node.attribute[0].ints[:] = in_rows
        node.output[0] = f"{result}_in_rows"
        swapped = [*range(len(outer)), len(outer) + 1, len(outer)]
        nodes.append(
            helper.make_node("Transpose", node.output, [result], f"{node.name}_swap", perm=swapped)
        )
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    return changed


def drop_attention_mask(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy without an attention mask; exact for batches without padding.

    Models other than BERT and RoBERTa are returned as they are: DistilBERT's attention needs its
    mask, and GPT-2's mask is causal.

    Raises:
        ValueError: The copy's logits differ from the model's.
    """
    if model.config.model_type not in ("bert", "roberta"):
        return model
    copied = deepcopy(model)
    encoder: Any = copied.base_model
    encoder.get_extended_attention_mask = lambda *_, **__: None
    if difference := largest_difference(copied, model, padded=False):
        raise ValueError(f"without its mask the model's logits differ by {difference:.1e}")
    return copied
