"""Where an ONNX graph's external data lies, read without the `onnx` package.

Not every scoring box has `onnx`, and ONNX Runtime opens the files that a graph names. So the
graph is walked as what it is, protobuf: length-delimited fields, of which a few kinds lead to
tensors. Field numbers are those of onnx.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# message -> field number -> message of that field
_PATHS = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor"}
    | {23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
}
_EXTERNAL_DATA = 13  # of Tensor; its entries have a key (1) and a value (2)
_MAX_DEPTH = 64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedGraphError(ValueError):
    """The bytes are not a protobuf message of the expected shape."""


@dataclass(frozen=True, slots=True)
class ExternalData:
    """A tensor's place in another file."""

    location: str
    offset: int
    length: int


def external_data(graph: bytes) -> Iterator[ExternalData]:
    """Yield every reference of a serialised ONNX model to another file.

    Raises:
        MalformedGraphError: The bytes end early, nest too deep, or a reference is incomplete.
    """
    yield from _walk(memoryview(graph), "Model", 0)


def _walk(message: memoryview, kind: str, depth: int) -> Iterator[ExternalData]:
    if depth > _MAX_DEPTH:
        raise MalformedGraphError("nested too deep")
    if kind == "Tensor":
        entries = [value for number, value in _fields(message) if number == _EXTERNAL_DATA]
        if entries:
            yield _reference(entries)
        return
    paths = _PATHS[kind]
    for number, value in _fields(message):
        if number in paths:
            yield from _walk(value, paths[number], depth + 1)


def _reference(entries: list[memoryview]) -> ExternalData:
    pairs = [{number: bytes(value) for number, value in _fields(entry)} for entry in entries]
    values = {pair.get(1, b""): pair.get(2, b"") for pair in pairs}
    if len(values) != len(pairs):
        raise MalformedGraphError("a tensor names its place twice")
    try:
        # Without a length the reader would take "the rest of the file": not admitted here.
        return ExternalData(
            values[b"location"].decode(), int(values.get(b"offset", b"0")), int(values[b"length"])
        )
    except (KeyError, ValueError) as error:
        raise MalformedGraphError(f"a tensor's external data is incomplete: {error}") from error


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the bytes of each length-delimited field."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == _VARINT:
            _, position = _varint(message, position)
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            size, start = _varint(message, position)
            position = start + size
            if position <= len(message):
                yield key >> 3, message[start:position]
        else:
            raise MalformedGraphError(f"unknown wire type {wire}")
    if position != len(message):
        raise MalformedGraphError("ends in the middle of a field")


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if position + index >= len(message):
            break
        byte = message[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte & 0x80 == 0:
            return value, position + index + 1
    raise MalformedGraphError("ends in the middle of a number")
