"""Changes that make a good bundle hostile, and the hashes that an attacker would record."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

Change = Callable[[Path], object]

OUTSIDE = "outside.bin"  # beside the bundles; no loader may open it
HUGE = 10**9


@dataclass(frozen=True, slots=True)
class Case:
    """A way to harm, and what the refusal says."""

    change: Change
    problem: str  # a regular expression
    rehash: bool = True  # whether tweetscore.json records the changed files


def build(case: Case, good: Path, directory: Path) -> Path:
    """Copy the good bundle and turn it into the case's."""
    shutil.copytree(good, directory)
    (directory.parent / OUTSIDE).write_bytes(bytes(4096))
    before = hashes(directory)
    case.change(directory)
    if case.rehash:
        changed = {n: d for n, d in hashes(directory).items() if before.get(n) != d}
        edit(directory, "tweetscore.json", lambda m: m["files"].update(changed))
    return directory


def hashes(directory: Path) -> dict[str, str]:
    """Return what tweetscore.json may record: regular files listed there, tweetscore.json not."""
    try:
        listed = json.loads((directory / "tweetscore.json").read_bytes())["files"]
    except (OSError, ValueError):  # the case's own doing
        return {}
    paths = [directory / name for name in listed if "\0" not in name]
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.parent == directory and path.is_file() and not path.is_symlink()
    }


def edit(directory: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the object in a JSON file."""
    path = directory / name
    content = json.loads(path.read_bytes())
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def put(name: str, /, **fields: Any) -> Change:
    """Set keys of a JSON file."""
    return lambda directory: edit(directory, name, lambda content: content.update(fields))


def metadata(**fields: Any) -> Change:
    return put("tweetscore.json", **fields)


def tokenizer(**parts: Any) -> Change:
    return put("tokenizer.json", **parts)


def vocabulary(**fields: Any) -> Change:
    """Set keys of the tokenizer's model."""
    return lambda directory: edit(
        directory, "tokenizer.json", lambda content: content["model"].update(fields)
    )


def vocabulary_id(number: int) -> Change:
    return lambda directory: edit(
        directory, "tokenizer.json", lambda content: content["model"]["vocab"].update(ugh=number)
    )


def canary(**fields: Any) -> Change:
    return put("canary.json", **fields)


def canary_id(number: int) -> Change:
    return lambda directory: edit(
        directory, "canary.json", lambda content: content["token_ids"][0].insert(1, number)
    )


def replaced(name: str, content: bytes) -> Change:
    return lambda directory: (directory / name).write_bytes(content)


def listed(name: str, content: bytes = b"") -> Change:
    """Add a file to the bundle and to the list of its files."""

    def change(directory: Path) -> None:
        (directory / name).write_bytes(content)
        lists(name)(directory)

    return change


def lists(name: str) -> Change:
    """List a name without adding a file."""
    return lambda directory: edit(
        directory, "tweetscore.json", lambda content: content["files"].update({name: "0" * 64})
    )


def unlisted(name: str, content: bytes = b"") -> Change:
    return lambda directory: (directory / name).write_bytes(content)


def instead(name: str, make: Callable[[Path], object]) -> Change:
    """Put something else in a file's place."""

    def change(directory: Path) -> None:
        (directory / name).unlink()
        make(directory / name)

    return change


def bound_socket(path: Path) -> None:
    # By a short name: a socket's address has at most 108 bytes.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def linked_directory(directory: Path) -> None:
    elsewhere = directory.parent / f"{directory.name}-elsewhere"
    elsewhere.mkdir()
    (directory / "more").symlink_to(elsewhere)


def grown(name: str, size: int) -> Change:
    """Make a file as large as `size`, without writing it."""
    return lambda directory: os.truncate(directory / name, size)


def graph(change: Callable[[onnx.ModelProto], object]) -> Change:
    """Change the fp32 graph."""

    def rewrite(directory: Path) -> None:
        model = onnx.load(directory / "model.onnx", load_external_data=False)
        change(model)
        (directory / "model.onnx").write_bytes(model.SerializeToString())

    return rewrite


def outside_tensor(model: onnx.ModelProto) -> TensorProto:
    first: TensorProto = next(t for t in model.graph.initializer if t.external_data)
    return first


def place(**entries: str) -> Change:
    """Change, or add, where the first weight of the graph is said to lie."""

    def change(model: onnx.ModelProto) -> None:
        tensor = outside_tensor(model)
        known = {entry.key: entry.value for entry in tensor.external_data}
        del tensor.external_data[:]
        for key, value in {**known, **entries}.items():
            tensor.external_data.add(key=key, value=value)

    return graph(change)


def weight(**fields: Any) -> Change:
    """Change what kind of tensor the first weight of the graph is said to be."""

    def change(model: onnx.ModelProto) -> None:
        tensor = outside_tensor(model)
        for name, value in fields.items():
            tensor.ClearField(name)
            tensor.MergeFrom(TensorProto(**{name: value}))

    return graph(change)


def node(op_type: str, domain: str = "", **attributes: Any) -> Change:
    return graph(
        lambda model: model.graph.node.append(
            helper.make_node(op_type, ["input_ids"], ["more"], domain=domain, **attributes)
        )
    )


def elsewhere() -> TensorProto:
    """Return a tensor that lies in a file outside of the bundle."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT16, dims=[2])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": f"../{OUTSIDE}", "offset": "0", "length": "4"}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def inner_graph() -> onnx.GraphProto:
    return helper.make_graph([], "inner", [], [], [elsewhere()])


def in_function(model: onnx.ModelProto) -> None:
    constant = helper.make_node("Constant", [], ["c"], value=elsewhere())
    model.functions.append(helper.make_function("d", "f", [], ["c"], [constant], []))


def in_training(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.initializer.append(elsewhere())


def in_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add(values=elsewhere(), indices=elsewhere())


def inline_giant(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer.add(
        name="giant", data_type=TensorProto.FLOAT, raw_data=b"1234"
    )
    tensor.dims.extend([HUGE, HUGE])


def input_called(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].name = name

    return graph(change)


def output_called(name: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.output[0].name = name

    return graph(change)


def float_ids(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def smuggled(directory: Path) -> None:
    """Hide a reference in a field whose number ONNX Runtime cuts down to 13, external data."""
    tensor = elsewhere()
    hidden = [field(13 | 1 << 30, entry.SerializeToString()) for entry in tensor.external_data]
    del tensor.external_data[:]
    content = tensor.SerializeToString() + b"".join(hidden)
    path = directory / "model.onnx"
    path.write_bytes(path.read_bytes() + field(7, field(5, content)))


def field(number: int, content: bytes) -> bytes:
    """Return a field of a protobuf message."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def graph_file(name: str) -> Change:
    """Serve the graph from a file of another name."""

    def change(directory: Path) -> None:
        if not (directory / name).exists():
            shutil.copy(directory / "model.onnx", directory / name)
        lists(name)(directory)
        edit(directory, "tweetscore.json", lambda content: content["graphs"].update(fp32=name))

    return change


def header(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the header of the weights."""

    def rewrite(directory: Path) -> None:
        path = directory / "model.safetensors"
        raw = path.read_bytes()
        end = 8 + int.from_bytes(raw[:8], "little")
        content = json.loads(raw[8:end])
        change(content)
        text = json.dumps(content).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + raw[end:])

    return rewrite


def first_tensor(content: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = next(e for name, e in content.items() if name != "__metadata__")
    return first


def appended(name: str, content: bytes) -> Change:
    return lambda directory: (directory / name).write_bytes(
        (directory / name).read_bytes() + content
    )


def added_tokens(tokens: list[dict[str, Any]]) -> Change:
    return lambda directory: edit(
        directory, "tokenizer.json", lambda content: content["added_tokens"].extend(tokens)
    )


def added(content: str, number: int) -> dict[str, Any]:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": number, "content": content, **flags}


def template(*ids: int, texts: Sequence[str] = ("A",)) -> dict[str, Any]:
    """Return a post-processor that gives every text these tokens."""
    return {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "x", "type_id": 0}},
            *({"Sequence": {"id": text}} for text in texts),
        ],
        "pair": [],
        "special_tokens": {"x": {"id": "x", "ids": list(ids), "tokens": ["x"] * len(ids)}},
    }


def nested(depth: int) -> dict[str, Any]:
    component: dict[str, Any] = {"type": "NFC"}
    for _ in range(depth):
        component = {"type": "Sequence", "normalizers": [component]}
    return component


def renamed(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({new: content.pop(old)})


def text_in(name: str, old: str, new: str) -> Change:
    """Replace text in a file that JSON libraries would not write so."""

    def change(directory: Path) -> None:
        text = (directory / name).read_text("utf-8")
        assert old in text
        (directory / name).write_text(text.replace(old, new, 1), "utf-8")

    return change
