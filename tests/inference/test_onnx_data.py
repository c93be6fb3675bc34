"""External data of a graph is found wherever it hides."""

import contextlib
from collections.abc import Callable

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from scorer.inference.onnx_data import ExternalData, MalformedGraphError, external_data


def tensor(name: str = "w", **place: str) -> TensorProto:
    result = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[2])
    result.data_location = TensorProto.EXTERNAL
    for key, value in (place or {"location": "x", "offset": "16", "length": "8"}).items():
        result.external_data.add(key=key, value=value)
    return result


def model(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph(list(nodes), "g", [], [], list(initializers)))


def in_constant() -> onnx.ModelProto:
    return model(helper.make_node("Constant", [], ["c"], value=tensor()))


def in_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([], "inner", [], [], [tensor()])
    return model(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))


def in_function() -> onnx.ModelProto:
    result = model()
    node = helper.make_node("Constant", [], ["c"], value=tensor())
    result.functions.append(helper.make_function("d", "f", [], ["c"], [node], []))
    return result


def in_sparse() -> onnx.ModelProto:
    result = model()
    result.graph.sparse_initializer.add(values=tensor(), indices=tensor())
    return result


def in_training() -> onnx.ModelProto:
    result = model()
    result.training_info.add().algorithm.initializer.append(tensor())
    return result


@pytest.mark.parametrize(
    "build",
    [
        lambda: model(initializers=(tensor(),)),
        in_constant,
        in_subgraph,
        in_function,
        in_sparse,
        in_training,
    ],
)
def test_every_hiding_place_is_walked(build: Callable[[], onnx.ModelProto]) -> None:
    """Initializers, constants, branches, functions, sparse tensors, training graphs."""
    found = set(external_data(build().SerializeToString()))
    assert found == {ExternalData("x", 16, 8)}


def test_a_graph_of_its_own_weights_has_none() -> None:
    """A tensor whose data is inside refers to nothing."""
    inside = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    assert list(external_data(model(initializers=(inside,)).SerializeToString())) == []


@pytest.mark.parametrize(
    "place",
    [
        {"offset": "0", "length": "8"},
        {"location": "x", "offset": "0"},
        {"location": "x", "length": "many"},
        {"location": "x", "offset": "0x10", "length": "8"},
    ],
)
def test_an_incomplete_reference_is_refused(place: dict[str, str]) -> None:
    """No location, no length or no number: nothing is guessed."""
    serialised = model(initializers=(tensor("w", **place),)).SerializeToString()
    with pytest.raises(MalformedGraphError, match="incomplete"):
        list(external_data(serialised))


def test_a_place_named_twice_is_refused() -> None:
    """Two locations in one tensor: readers could disagree on which one counts."""
    twice = tensor()
    twice.external_data.add(key="location", value="other")
    with pytest.raises(MalformedGraphError, match="twice"):
        list(external_data(model(initializers=(twice,)).SerializeToString()))


@given(st.integers(1, 60))
def test_a_torn_file_is_refused_or_ends_between_fields(cut: int) -> None:
    """However a graph is cut, the walk ends with a reference, nothing, or a clear error."""
    serialised = model(initializers=(tensor(),)).SerializeToString()
    with contextlib.suppress(MalformedGraphError):
        assert set(external_data(serialised[:-cut])) <= {ExternalData("x", 16, 8)}


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_answer(content: bytes) -> None:
    """Garbage never raises anything but the module's own error."""
    with contextlib.suppress(MalformedGraphError):
        list(external_data(content))


def test_endless_nesting_is_refused() -> None:
    """Branches within branches beyond any honest graph do not exhaust the stack."""
    message = b""
    # Innermost first: an attribute's graph (6), a node's attribute (5), a graph's node (1).
    for number in [6, 5, 1] * 200 + [7]:
        message = bytes([number << 3 | 2]) + _varint(len(message)) + message
    with pytest.raises(MalformedGraphError, match="deep"):
        list(external_data(message))


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])
