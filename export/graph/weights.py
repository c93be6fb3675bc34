"""The weights of a bundle: stored once, in ``model.safetensors``, and read by every graph.

A graph holds no weights: its initializers are ONNX external data at an offset of that file, of the
type that they have in it. Where the graph computes in another type, a Cast follows, which a session
folds when it loads the graph. What PyTorch loads from the bundle, widened to fp32, is so exactly
what the graphs compute with.
"""

import json
import logging
import warnings
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from scorer.errors import InvalidBundle

_log = logging.getLogger(__name__)

WEIGHTS_NAME = "model.safetensors"
# Elements of a float constant that may stay in the graph: scale factors, not weights.
_LARGEST_CONSTANT = 64
_LARGEST_FP16 = torch.finfo(torch.float16).max
# safetensors' names of the types that a graph may refer to, with torch's and ONNX's.
_TYPES = {
    "F32": (torch.float32, TensorProto.FLOAT),
    "F16": (torch.float16, TensorProto.FLOAT16),
    "BF16": (torch.bfloat16, TensorProto.BFLOAT16),
}
_NAMES = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor lies in the weights file, in bytes from its beginning."""

    offset: int
    length: int
    shape: tuple[int, ...]
    kind: TensorProto.DataType  # ONNX's number of its type


def types_of(files: Iterable[Path]) -> dict[str, torch.dtype]:
    """Return the type of each tensor of safetensors files, as a bundle stores it.

    A float type that bundles do not have becomes fp32.
    """
    from safetensors import safe_open

    found = {}
    for path in files:
        with safe_open(path, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118  # it is no mapping
                kind, _ = _TYPES.get(tensors.get_slice(name).get_dtype(), _TYPES["F32"])
                found[name] = kind
    return found


def save_weights(
    model: Any, directory: Path, types: Mapping[str, torch.dtype] | None = None
) -> None:
    """Write ``config.json`` and the weights under transformers' own names.

    Args:
        model: With its weights in fp32.
        directory: Gets the files.
        types: Those in which the weights came. Each keeps its own; fp32 is what holds a weight
            that the type does not. None rounds all of them to fp16.

    Raises:
        InvalidBundle: A weight is not a number, or is to be rounded and too large for fp16.
    """
    tensors = {
        name: tensor
        for name, tensor in model.state_dict(keep_vars=True).items()
        if tensor.is_floating_point()
    }
    for name, tensor in tensors.items():
        _check_weight(name, tensor.detach(), rounded=types is None)
    for name, tensor in tensors.items():
        tensor.data = _stored(tensor.data, name, types)
    model.save_pretrained(directory, safe_serialization=True, max_shard_size="1TB")


def _check_weight(name: str, tensor: torch.Tensor, *, rounded: bool) -> None:
    if not torch.isfinite(tensor).all():
        raise InvalidBundle(
            f"the weight {name} of the checkpoint is not finite", "train the model again"
        )
    if rounded and tensor.abs().max() > _LARGEST_FP16:
        raise InvalidBundle(
            f"the weight {name} of the checkpoint reaches {tensor.abs().max().item():.3g}, "
            f"and fp16 ends at {_LARGEST_FP16:.0f}",
            "keep the weights as they are: --weights keep",
        )


def _stored(
    tensor: torch.Tensor, name: str, types: Mapping[str, torch.dtype] | None
) -> torch.Tensor:
    if types is None:
        return tensor.half()
    # transformers renames some weights of old checkpoints.
    usual = next(iter(types.values())) if len({*types.values()}) == 1 else torch.float32
    stored = tensor.to(types.get(name, usual))
    return stored if torch.equal(stored.float(), tensor) else tensor


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


def half_precision_graph(plain: onnx.ModelProto, weights: Path) -> onnx.ModelProto | None:
    """Return the graph in fp16 arithmetic, with fp32 logits, for CUDA.

    None where a weight is too large for fp16: an fp32 or bf16 one can be.
    """
    # onnxruntime's converter is a graph tool: no session is opened here.
    from onnxruntime.transformers.float16 import convert_float_to_float16

    places = _places(weights)
    for tensor in plain.graph.initializer:
        if tensor.name in places and abs(numpy_helper.to_array(tensor)).max() > _LARGEST_FP16:
            _log.warning("there is no fp16 graph: the weight %s is too large for it", tensor.name)
            return None
    with warnings.catch_warnings():
        # It clamps what fp16 cannot hold, here mask constants, and warns of tiny weights, which
        # `_link` takes from the file.
        warnings.simplefilter("ignore")
        converted = convert_float_to_float16(deepcopy(plain), keep_io_types=True)
    del converted.graph.value_info[:]
    return _link(converted, places)


def write_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Write a linked graph beside its weights and let ONNX check both together."""
    path.write_bytes(graph.SerializeToString(deterministic=True))
    onnx.checker.check_model(path)


def _places(weights: Path) -> dict[str, _Place]:
    """Return the tensors of a type that graphs may refer to."""
    with weights.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    places = {}
    for name, entry in header.items():
        if entry["dtype"] in _TYPES:
            start, end = entry["data_offsets"]
            _, kind = _TYPES[entry["dtype"]]
            places[name] = _Place(8 + size + start, end - start, tuple(entry["shape"]), kind)
    return places


def _check_values(graph: onnx.ModelProto, weights: Path, places: dict[str, _Place]) -> None:
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as tensors:
        for initializer in graph.graph.initializer:
            if initializer.name not in places:
                continue
            stored = tensors.get_tensor(initializer.name).float().numpy()
            if not (numpy_helper.to_array(initializer) == stored).all():
                raise ValueError(f"{initializer.name} differs between graph and {weights.name}")


def _link(graph: onnx.ModelProto, places: dict[str, _Place]) -> onnx.ModelProto:
    linked = deepcopy(graph)
    initializers, casts = [], []
    for tensor in graph.graph.initializer:
        place = places.get(tensor.name)
        if place is None:
            initializers.append(_constant(tensor))
        elif tensor.data_type == place.kind:
            initializers.append(_reference(tensor.name, place))
        else:
            stored = f"{tensor.name}.{_NAMES[place.kind]}"
            initializers.append(_reference(stored, place))
            casts.append(helper.make_node("Cast", [stored], [tensor.name], to=tensor.data_type))
    del linked.graph.initializer[:], linked.graph.node[:]
    linked.graph.initializer.extend(initializers)
    linked.graph.node.extend([*casts, *graph.graph.node])
    return linked


def _constant(tensor: TensorProto) -> TensorProto:
    is_float = tensor.data_type in _NAMES
    elements = numpy_helper.to_array(tensor).size
    if is_float and elements > _LARGEST_CONSTANT:
        raise ValueError(f"the graph's weight {tensor.name} is not one of the model's")
    return tensor


def _reference(name: str, place: _Place) -> TensorProto:
    tensor = TensorProto(name=name, data_type=place.kind, dims=place.shape)
    tensor.data_location = TensorProto.EXTERNAL
    values = {"location": WEIGHTS_NAME, "offset": place.offset, "length": place.length}
    for key, value in values.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor
