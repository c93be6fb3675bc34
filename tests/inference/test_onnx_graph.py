"""What a graph refers to is found, and where it could hide is refused."""

import contextlib
from collections.abc import Callable

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from scorer.inference.bundle.onnx_graph import ExternalData, Graph, UnfitGraphError, read_graph

FLOAT16 = TensorProto.FLOAT16
PLACE = {"location": "x", "offset": "16", "length": "4"}


def tensor(data_type: int = FLOAT16, dims: tuple[int, ...] = (2,), **place: str) -> TensorProto:
    result = TensorProto(name="w", data_type=data_type, dims=dims)
    result.data_location = TensorProto.EXTERNAL
    for key, value in (place or PLACE).items():
        result.external_data.add(key=key, value=value)
    return result


def model(*nodes: onnx.NodeProto, initializers: tuple[TensorProto, ...] = ()) -> onnx.ModelProto:
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["rows", "tokens"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 3])
    return helper.make_model(
        helper.make_graph(list(nodes), "g", [ids], [logits], list(initializers))
    )


def in_constant() -> onnx.ModelProto:
    return model(helper.make_node("Constant", [], ["c"], value=tensor()))


def in_a_list() -> onnx.ModelProto:
    node = helper.make_node("Op", [], ["c"])
    node.attribute.append(helper.make_attribute("tensors", [tensor()]))
    return model(node)


def in_subgraph() -> onnx.ModelProto:
    inner = helper.make_graph([], "inner", [], [], [tensor()])
    return model(helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner))


def in_subgraphs() -> onnx.ModelProto:
    node = helper.make_node("Op", [], ["c"])
    inner = helper.make_graph([], "inner", [], [], [tensor()])
    node.attribute.append(helper.make_attribute("graphs", [inner]))
    return model(node)


def in_function() -> onnx.ModelProto:
    result = model()
    node = helper.make_node("Constant", [], ["c"], value=tensor())
    result.functions.append(helper.make_function("d", "f", [], ["c"], [node], []))
    return result


def in_sparse() -> onnx.ModelProto:
    result = model()
    result.graph.sparse_initializer.add(values=tensor(), indices=tensor())
    return result


def in_sparse_constant() -> onnx.ModelProto:
    result = model(helper.make_node("Constant", [], ["c"]))
    attribute = result.graph.node[0].attribute.add(name="sparse_value")
    attribute.sparse_tensor.CopyFrom(onnx.SparseTensorProto(values=tensor(), indices=tensor()))
    return result


def in_training() -> onnx.ModelProto:
    result = model()
    result.training_info.add().algorithm.initializer.append(tensor())
    return result


def read(graph: onnx.ModelProto) -> Graph:
    return read_graph(graph.SerializeToString())


@pytest.mark.parametrize("build", [lambda: model(initializers=(tensor(),)), in_constant, in_a_list])
def test_every_place_of_a_tensor_is_found(build: Callable[[], onnx.ModelProto]) -> None:
    """Initializers, constants, lists of tensors."""
    assert read(build()).places == [ExternalData("x", 16, 4)]


@pytest.mark.parametrize(
    ("data_type", "length"),
    [(TensorProto.FLOAT, 8), (TensorProto.FLOAT16, 4), (TensorProto.BFLOAT16, 4)],
)
def test_a_weight_keeps_the_type_that_it_was_trained_in(data_type: int, length: int) -> None:
    """Two elements: eight bytes in fp32, four in fp16 and bf16."""
    stored = tensor(data_type, location="x", offset="16", length=str(length))
    assert read(model(initializers=(stored,))).places == [ExternalData("x", 16, length)]


@pytest.mark.parametrize(
    "build",
    [in_subgraph, in_subgraphs, in_function, in_sparse, in_sparse_constant, in_training],
)
def test_hiding_places_are_refused(build: Callable[[], onnx.ModelProto]) -> None:
    """Branches, functions, sparse tensors and training graphs are nothing that a bundle needs."""
    with pytest.raises(UnfitGraphError, match="which no bundle needs"):
        read(build())


def test_inputs_and_outputs_are_found() -> None:
    """Names, and the types of the elements by ONNX's own numbers."""
    graph = read(model())
    assert graph.inputs == {"input_ids": TensorProto.INT64}
    assert graph.outputs == {"logits": TensorProto.FLOAT}


def test_an_input_that_is_no_tensor_has_no_type() -> None:
    """A sequence is not mistaken for a tensor."""
    odd = model()
    sequence = helper.make_tensor_sequence_value_info("input_ids", TensorProto.INT64, None)
    odd.graph.input[0].CopyFrom(sequence)
    assert read(odd).inputs == {"input_ids": 0}


@pytest.mark.parametrize("domain", ["com.microsoft", "com.example", "ai.onnx.ml", "\n"])
def test_operators_of_other_domains_are_refused(domain: str) -> None:
    """An operator that ONNX does not define may be foreign code."""
    with pytest.raises(UnfitGraphError, match="operator of the domain"):
        read(model(helper.make_node("Gelu", ["x"], ["y"], domain=domain)))


def test_the_integer_product_is_the_one_operator_besides() -> None:
    """It comes from ONNX Runtime itself, and int8 graphs are made of it."""
    product = helper.make_node("MatMulIntegerToFloat", ["x"], ["y"], domain="com.microsoft")
    assert read(model(product)).places == []


@pytest.mark.parametrize("field", [b"\x22\x04Gelu", b"\x3a\x0bcom.example"])
def test_an_operator_that_is_named_twice_is_refused(field: bytes) -> None:
    """Readers take the last name: the admitted one must not hide another."""
    product = helper.make_node("MatMulIntegerToFloat", ["x"], ["y"], domain="com.microsoft")
    node = field + product.SerializeToString()
    graph = bytes([0x0A, len(node)]) + node
    with pytest.raises(UnfitGraphError, match="operator of the domain"):
        read_graph(bytes([0x3A, len(graph)]) + graph)


def test_the_standard_domain_has_two_names() -> None:
    """ONNX calls its own operators by the empty name or by ai.onnx."""
    assert read(model(helper.make_node("Add", ["x", "y"], ["z"], domain="ai.onnx"))).places == []


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        (tensor(location="x", offset="16"), "once each"),
        (tensor(offset="16", length="4"), "once each"),
        (tensor(location="x", offset="16", length="4", checksum="0"), "once each"),
        (tensor(location="x", offset="16", length="4", prepacked_0="x|0;8"), "once each"),
        (tensor(location="x", offset="1_6", length="4"), "no number"),
        (tensor(location="x", offset=" 16", length="4"), "no number"),
        (tensor(location="x", offset="+16", length="4"), "no number"),
        (tensor(location="x", offset="-16", length="4"), "no number"),
        (tensor(location="x", offset="9" * 19, length="4"), "no number"),
        (tensor(location="x", offset="9" * 5000, length="4"), "no number"),
        (tensor(location="x", offset="16", length="٤"), "no number"),
        (tensor(dims=(3,)), "something else than fp32"),
        (tensor(dims=(2**40, 2**40)), "something else than fp32"),
        (tensor(dims=(-2,)), "something else than fp32"),
        (tensor(TensorProto.STRING), "something else than fp32"),
        (tensor(TensorProto.FLOAT), "something else than fp32"),
        (tensor(TensorProto.DOUBLE, location="x", offset="16", length="16"), "something else"),
        (tensor(TensorProto.FLOAT8E5M2, location="x", offset="16", length="2"), "something else"),
        (tensor(TensorProto.FLOAT, location="x", offset="18", length="8"), "something else"),
        (tensor(location="x", offset="17", length="4"), "something else than fp32"),
        (tensor(dims=(1,) * 9), "9 dimensions"),
        (
            TensorProto(data_type=FLOAT16, dims=[2], data_location=TensorProto.EXTERNAL),
            "without its data",
        ),
        (TensorProto(data_type=FLOAT16, dims=[10**12], raw_data=b"1234"), "without its data"),
    ],
)
def test_a_tensor_that_is_not_what_it_says_is_refused(odd: TensorProto, problem: str) -> None:
    """Reference, type, shape and length belong together, written as our exporter writes them."""
    with pytest.raises(UnfitGraphError, match=problem):
        read(model(initializers=(odd,)))


def test_a_place_twice_is_refused() -> None:
    """Two locations in one tensor: whichever a reader takes, we took the other."""
    twice = tensor()
    twice.external_data.add(key="location", value="y")
    with pytest.raises(UnfitGraphError, match="once each"):
        read(model(initializers=(twice,)))


def test_a_field_number_beyond_the_format_is_refused() -> None:
    """Other readers cut such a number down to 32 bits, and so to one that counts."""
    smuggled = b"".join(
        wrapped(13, entry.SerializeToString(), beyond=True) for entry in tensor().external_data
    )
    graph = wrapped(7, wrapped(5, tensor_head() + smuggled))
    with pytest.raises(UnfitGraphError, match="a field with the number"):
        read_graph(graph)


def tensor_head() -> bytes:
    head = tensor()
    del head.external_data[:]
    head.ClearField("data_location")
    head.raw_data = b"1234"
    return bytes(head.SerializeToString())


def wrapped(number: int, content: bytes, *, beyond: bool = False) -> bytes:
    key = number << 3 | 2
    return varint(key | (1 << 33 if beyond else 0)) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def test_packed_dimensions_count_too() -> None:
    """Protobuf writes a list of numbers one by one or packed, and readers take both."""
    packed = tensor_head() + wrapped(1, varint(10**9))
    with pytest.raises(UnfitGraphError, match="without its data"):
        read_graph(wrapped(7, wrapped(5, packed)))


@given(st.integers(1, 60))
def test_a_torn_file_is_refused_or_ends_between_fields(cut: int) -> None:
    """However a graph is cut, the walk ends with a reference, nothing, or a clear error."""
    serialised = model(initializers=(tensor(),)).SerializeToString()
    with contextlib.suppress(UnfitGraphError):
        assert set(read_graph(serialised[:-cut]).places) <= {ExternalData("x", 16, 4)}


@given(st.binary(max_size=200))
def test_any_bytes_end_in_an_answer(content: bytes) -> None:
    """Garbage never raises anything but the module's own error."""
    with contextlib.suppress(UnfitGraphError):
        read_graph(content)


@given(st.data())
def test_a_changed_byte_ends_in_an_answer(data: st.DataObject) -> None:
    """Nor does a graph that is nearly right."""
    content = bytearray(model(initializers=(tensor(),)).SerializeToString())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnfitGraphError):
        read_graph(bytes(content))
