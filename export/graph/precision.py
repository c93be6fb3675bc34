"""Weights once: fp16 safetensors, and graphs that point into them.

The weights are rounded to fp16 before anything is measured, so that what PyTorch loads from
the bundle, widened to fp32, is exactly what the graphs compute with. A graph holds no weights:
its initializers are ONNX external data at an offset of ``model.safetensors``; in the fp32 graph
a Cast widens each one when the graph is loaded.
"""

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from scorer.errors import InvalidBundle

WEIGHTS_NAME = "model.safetensors"
# Elements of a float constant that may stay in the graph: scale factors, not weights.
_LARGEST_CONSTANT = 64


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in the weights file, in bytes from its beginning."""

    offset: int
    length: int
    shape: tuple[int, ...]


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

    copy = onnx.ModelProto()
    copy.CopyFrom(plain)
    with warnings.catch_warnings():
        # It clamps what fp16 cannot hold, here mask constants; the weights are fp16 already.
        warnings.simplefilter("ignore")
        converted = convert_float_to_float16(copy, keep_io_types=True)
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
    places = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
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
    linked = onnx.ModelProto()
    linked.CopyFrom(graph)
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
