"""ONNX graphs: exported by Optimum, rewritten for every engine, parted from their weights.

The weights are rounded to fp16 before anything is measured, so that what PyTorch loads from
the bundle, widened to fp32, is exactly what the graphs compute with. A graph holds no weights:
its initializers are ONNX external data at an offset of ``model.safetensors``; in the fp32 graph
a Cast widens each one when the graph is loaded. What is done to the models of one architecture
alone is in `export.architectures`.
"""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from transformers import PreTrainedModel

from scorer.errors import InvalidBundle

_log = logging.getLogger(__name__)

WEIGHTS_NAME = "model.safetensors"
# Elements of a float constant that may stay in the graph: scale factors, not weights.
_LARGEST_CONSTANT = 64


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in the weights file, in bytes from its beginning."""

    offset: int
    length: int
    shape: tuple[int, ...]


def plain_graph(model: PreTrainedModel) -> onnx.ModelProto:
    """Return an fp32 ONNX graph with its weights: token ids in, logits [rows, classes] out.

    The fields that differ between two exports are left out.
    """
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    constructor = TasksManager.get_exporter_config_constructor(
        exporter="onnx", model=model, task="text-classification", library_name="transformers"
    )
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "plain.onnx"
        with quiet():
            # Optimum's validation only warns, and on inputs of its own: `parity` is our gate.
            export(model, constructor(model.config), path, do_constant_folding=False)
        graph = onnx.load(path)
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


def save_weights(model: Any, directory: Path) -> None:
    """Write ``config.json`` and the weights, rounded to fp16, under transformers' own names.

    Raises:
        InvalidBundle: A weight is not a number, or too large for fp16.
    """
    largest = torch.finfo(torch.float16).max
    for name, tensor in model.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise InvalidBundle(
                f"the weight {name} of the checkpoint is not finite", "train the model again"
            )
        if tensor.abs().max() > largest:
            raise InvalidBundle(
                f"the weight {name} of the checkpoint reaches {tensor.abs().max().item():.3g}, "
                f"and fp16 ends at {largest:.0f}",
                "train with weight decay or clipping; bundles hold fp16 weights",
            )
    model.half().save_pretrained(directory, safe_serialization=True, max_shard_size="1TB")


def full_precision_graph(plain: onnx.ModelProto, weights: Path) -> onnx.ModelProto:
    """Return the graph with its weights replaced by references into `weights`.

    Args:
        plain: The graph with its weights.
        weights: The file that they are in.

    Raises:
        ValueError: A weight of the graph is not in the file, or not with the same values.
    """
    places = _places(weights)
    _check_values(plain, weights, places)
    return _link(plain, places)


def half_precision_graph(plain: onnx.ModelProto, weights: Path) -> onnx.ModelProto:
    """Return the graph in fp16 arithmetic, with fp32 logits, for CUDA."""
    # onnxruntime's converter is a graph tool: no session is opened here.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        # It clamps what fp16 cannot hold, here mask constants; the weights are fp16 already.
        warnings.simplefilter("ignore")
        converted = convert_float_to_float16(deepcopy(plain), keep_io_types=True)
    del converted.graph.value_info[:]
    return _link(converted, _places(weights))


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write a linked graph beside its weights and let ONNX check both together."""
    path.write_bytes(graph.SerializeToString(deterministic=True))
    onnx.checker.check_model(path)


def _places(weights: Path) -> dict[str, _Place]:
    with weights.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    places = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        places[name] = _Place(8 + size + start, end - start, tuple(entry["shape"]))
    return places


def _check_values(graph: onnx.ModelProto, weights: Path, places: dict[str, _Place]) -> None:
    from safetensors import safe_open

    with safe_open(weights, framework="numpy") as tensors:
        for initializer in graph.graph.initializer:
            if initializer.name not in places:
                continue
            stored = tensors.get_tensor(initializer.name)
            if not (numpy_helper.to_array(initializer) == stored).all():
                raise ValueError(f"{initializer.name} differs between graph and {weights.name}")


def _link(graph: onnx.ModelProto, places: dict[str, _Place]) -> onnx.ModelProto:
    linked = deepcopy(graph)
    initializers, casts = [], []
    for tensor in graph.graph.initializer:
        place = places.get(tensor.name)
        if place is None:
            initializers.append(_constant(tensor))
        elif tensor.data_type == TensorProto.FLOAT16:
            initializers.append(_reference(tensor.name, place))
        else:
            stored = f"{tensor.name}.fp16"
            initializers.append(_reference(stored, place))
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
    del linked.graph.initializer[:], linked.graph.node[:]
    linked.graph.initializer.extend(initializers)
    linked.graph.node.extend([*casts, *graph.graph.node])
    return linked


def _constant(tensor: TensorProto) -> TensorProto:
    is_float = tensor.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16)
    elements = numpy_helper.to_array(tensor).size
    if is_float and elements > _LARGEST_CONSTANT:
        raise ValueError(f"the graph's weight {tensor.name} is not one of the model's")
    return tensor


def _reference(name: str, place: _Place) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16, dims=place.shape)
    tensor.data_location = TensorProto.EXTERNAL
    values = {"location": WEIGHTS_NAME, "offset": place.offset, "length": place.length}
    for key, value in values.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor
