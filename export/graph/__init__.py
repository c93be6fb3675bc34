"""ONNX graphs: exported by Optimum and rewritten for every engine.

Their weights are parted from them in `weights`. What is done to the models of one architecture
alone is in `export.architectures`.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Collection, Iterator
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import helper
from transformers import PreTrainedModel

from export.graph.branches import fold_branches
from export.graph.equivalence import longest_of
from export.graph.exporter import ANOTHER, INPUTS, exporter_config
from scorer.errors import InvalidBundle

_log = logging.getLogger(__name__)


def plain_graph(model: PreTrainedModel, inputs: Collection[str] = tuple(INPUTS)) -> onnx.ModelProto:
    """Return an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out.

    The fields that differ between two exports are left out.

    Args:
        model: To trace.
        inputs: Those that the graph may take.

    Raises:
        InvalidBundle: Optimum fails on the model, or the graph's way depends on its inputs.
    """
    from optimum.exporters.onnx import export

    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "plain.onnx"
        try:
            with quiet():
                # Optimum's validation only warns, and on inputs of its own: `parity` is our gate.
                described = exporter_config(model.config, inputs)
                export(model, described, path, do_constant_folding=False)
        except Exception as error:  # the tracer's errors have no common base
            raise InvalidBundle(
                f"Optimum cannot export this {model.config.model_type} classifier "
                f"({' '.join(str(error).split())[:300]})",
                ANOTHER,
            ) from error
        graph = fold_branches(onnx.load(path), longest_of(model.config))
    del graph.graph.value_info[:]
    graph.ClearField("doc_string")
    for node in graph.graph.node:
        node.ClearField("doc_string")
    return graph


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
    changed = deepcopy(graph)
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
