"""Reads what an ONNX graph refers to and takes, without the `onnx` package.

Not every scoring box has `onnx`, and ONNX Runtime opens the files that a graph names. So this
module walks the graph as protobuf: numbered fields, of which a few contain tensors. Field numbers
are those of onnx.proto.

What our exporter never writes (functions, subgraphs, training graphs, sparse tensors) is not
walked but refused: it could hide references, or recurse without end.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

# message -> field number -> message of that field
_MESSAGES = {
    "Model": {7: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 11: "Input", 12: "Output"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 10: "Tensor"},
}
_REFUSED = {
    "Model": {20: "training graphs", 25: "functions"},
    "Graph": {15: "sparse tensors"},
    "Attribute": {6: "a subgraph", 11: "subgraphs", 22: "a sparse tensor", 23: "sparse tensors"},
}
_OPERATOR, _DOMAIN = 4, 7  # of Node
_NAME, _TYPE = 1, 2  # of Input and Output
_DIMENSIONS, _DATA_TYPE, _EXTERNAL_DATA, _LOCATION = 1, 2, 13, 14  # of Tensor
# Tensor's data types of which bundles keep tensors outside of the graph: float, float16 and
# bfloat16, with the bytes of an element.
_STORED_TYPES = {1: 4, 10: 2, 16: 2}
_KEY, _VALUE = 1, 2  # of an entry of external data
_STANDARD = ("", "ai.onnx")  # the domains of the operators that ONNX itself defines
# The one operator besides: ONNX Runtime's integer product, of which int8 graphs are made.
_PRODUCT = ("com.microsoft", "MatMulIntegerToFloat")
_MOST_DIMENSIONS = 8
# Nothing else: ONNX Runtime reads references of its own kind from other keys.
_PLACE = {b"location", b"offset", b"length"}
_NUMBER = re.compile(rb"[0-9]{1,18}")
_ONE_BYTE = 0x80  # a varint below it is its own value
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LARGEST_NUMBER = 2**29 - 1  # of a field

_Field = tuple[int, bytes | int]


class UnfitGraphError(ValueError):
    """The problem of a graph, as a clause that follows its name."""


@dataclass(frozen=True, slots=True)
class ExternalData:
    """A tensor's place in another file."""

    location: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Graph:
    """The external data, the inputs and the outputs of a graph."""

    places: list[ExternalData] = field(default_factory=list)
    inputs: dict[str, int] = field(default_factory=dict)  # name -> ONNX's number of the type
    outputs: dict[str, int] = field(default_factory=dict)


def read_graph(content: bytes) -> Graph:
    """Walk a serialised ONNX model.

    Raises:
        UnfitGraphError: The bytes are no ONNX model, or it has something that no bundle needs.
    """
    graph = Graph()
    _walk(content, "Model", graph)
    return graph


def _walk(message: bytes, kind: str, graph: Graph) -> None:
    inner, refused = _MESSAGES.get(kind, {}), _REFUSED.get(kind, {})
    fields = list(_fields(message))
    if kind == "Node":
        _check_operator(fields)
    for number, value in fields:
        if isinstance(value, int):
            continue
        if number in refused:
            raise UnfitGraphError(f"holds {refused[number]}, which no bundle needs")
        if number in inner:
            _enter(value, inner[number], graph)


def _check_operator(fields: list[_Field]) -> None:
    """Refuse a node that is neither ONNX's own nor the admitted one, however often named."""
    domains = {_text(value) for number, value in fields if number == _DOMAIN} - {*_STANDARD}
    operators = {_text(value) for number, value in fields if number == _OPERATOR}
    if domains and (domains, operators) != ({_PRODUCT[0]}, {_PRODUCT[1]}):
        raise UnfitGraphError(
            f"has an operator of the domain {min(domains)[:60]!r}, "
            f"{', '.join(sorted(operators))[:60]!r}"
        )


def _enter(message: bytes, kind: str, graph: Graph) -> None:
    if kind == "Tensor":
        graph.places.extend(_places(message))
    elif kind == "Input":
        graph.inputs.update(_signature(message))
    elif kind == "Output":
        graph.outputs.update(_signature(message))
    else:
        _walk(message, kind, graph)


def _signature(message: bytes) -> dict[str, int]:
    """Return the name and the element type of an input or output; 0 where it is no tensor."""
    fields = list(_fields(message))
    name = _last(fields, _NAME)
    kind = _last(fields, _TYPE)
    for number in (1, 1):  # the type's tensor type, and of that the elements' type
        kind = _last(_fields(kind), number) if isinstance(kind, bytes) else 0
    return {_text(name): kind if isinstance(kind, int) else 0}


def _places(message: bytes) -> Iterator[ExternalData]:
    """Yield where a tensor keeps its data, unless that is the graph itself."""
    fields = list(_fields(message))
    elements = _elements(fields)
    entries = [value for number, value in fields if number == _EXTERNAL_DATA]
    if entries:
        place, kind = _place(entries), _last(fields, _DATA_TYPE)
        size = _STORED_TYPES.get(kind, 0) if isinstance(kind, int) else 0
        # A reader that maps the file takes the place for one of such elements: none begins within.
        if not size or place.length != size * elements or place.offset % size:
            raise UnfitGraphError(
                "keeps something else than fp32, fp16 or bf16 tensors in another file"
            )
        yield place
    elif _last(fields, _LOCATION) or elements > len(message):
        raise UnfitGraphError("has a tensor without its data")


def _elements(fields: list[_Field]) -> int:
    shape: list[int] = []
    for number, value in fields:
        if number == _DIMENSIONS:
            shape += [value] if isinstance(value, int) else _packed(value)
    if len(shape) > _MOST_DIMENSIONS:
        raise UnfitGraphError(f"has a tensor of {len(shape)} dimensions")
    return math.prod(shape)  # a negative one is a huge one here


def _place(entries: list[bytes | int]) -> ExternalData:
    pairs = [dict(_fields(entry)) for entry in entries]
    values = {_bytes(p.get(_KEY, 0)): _bytes(p.get(_VALUE, 0)) for p in pairs}
    # Without a length the reader would take "the rest of the file": not admitted here.
    if values.keys() != _PLACE or len(pairs) != len(_PLACE):
        raise UnfitGraphError("has a tensor without a location, an offset and a length, once each")
    if not _NUMBER.fullmatch(values[b"offset"]) or not _NUMBER.fullmatch(values[b"length"]):
        raise UnfitGraphError("has a tensor whose offset or length is no number")
    location = _text(values[b"location"])
    return ExternalData(location, int(values[b"offset"]), int(values[b"length"]))


def _last(fields: "Iterator[_Field] | list[_Field]", number: int) -> bytes | int:
    """Return the value of a field, the last one where it is repeated, as protobuf's readers do."""
    result: bytes | int = 0
    for each, value in fields:
        result = value if each == number else result
    return result


def _bytes(value: bytes | int) -> bytes:
    return b"" if isinstance(value, int) else value


def _text(value: bytes | int) -> str:
    return _bytes(value).decode("utf-8", errors="backslashreplace")


def _packed(message: bytes) -> list[int]:
    values, position = [], 0
    while position < len(message):
        value, position = _varint(message, position)
        values.append(value)
    return values


def _fields(message: bytes | int) -> Iterator[_Field]:
    """Yield the number and the content of each field that holds bytes or a varint."""
    message, position = _bytes(message), 0
    end = len(message)
    while position < end:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        if not 0 < number <= _LARGEST_NUMBER:  # ONNX Runtime cuts it to one that counts
            raise _malformed(f"it has a field with the number {number}")
        if wire == _BYTES:  # nearly all of them
            size, start = _varint(message, position)
            position = start + size
            if position <= end:
                yield number, message[start:position]
        elif wire == _VARINT:
            value, position = _varint(message, position)
            yield number, value
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise _malformed(f"it has a field of the unknown wire type {wire}")
    if position != end:
        raise _malformed("it ends in the middle of a field")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    if position < len(message) and message[position] < _ONE_BYTE:  # nearly all of them
        return message[position], position + 1
    value = 0
    for index in range(10):
        if position + index >= len(message):
            break
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < _ONE_BYTE:
            return value, position + index + 1
    raise _malformed("it ends in the middle of a number")


def _malformed(reason: str) -> UnfitGraphError:
    return UnfitGraphError(f"is not an ONNX graph: {reason}")
