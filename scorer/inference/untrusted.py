"""Checks of files that may come from anywhere, made before a library opens one of them.

Every check raises `InvalidBundle` with the file's path and what is wrong with it.
"""

import hashlib
import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle
from scorer.inference.onnx_data import MalformedGraphError, external_data

_MIB = 1024 * 1024
# The largest honest tokenizer.json is about 20 MB, the largest graph without weights 2 MB.
_MAX_BYTES = {".json": 64 * _MIB, ".onnx": 64 * _MIB, ".txt": 64 * _MIB, ".md": 4 * _MIB}
# A safetensors file: 8 bytes with the header's length, the header, the tensors.
_LENGTH_FIELD = 8
_MAX_SAFETENSORS_HEADER = 100 * _MIB

# A flat directory: no separators, no "..", nothing hidden.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# What tools unpickle, import or run. None of it belongs in a bundle, listed or not.
_CODE_SUFFIXES = frozenset({".bin", ".ckpt", ".h5", ".joblib", ".msgpack", ".pickle", ".pkl"}) | {
    *(".npy", ".npz", ".pt", ".pth"),
    *(".py", ".pyc", ".pyd", ".sh", ".so", ".dll", ".dylib", ".exe"),
}

# What the tokenizers of BERT, DistilBERT, RoBERTa and GPT-2 are made of. Left out on purpose:
# components that run a regular expression of the file's own (Split, Replace) or parse a binary
# table (Precompiled).
_TOKENIZER_COMPONENTS = {
    "model": frozenset({"WordPiece", "BPE"}),
    "normalizer": frozenset({"BertNormalizer", "Sequence", "NFC", "NFD", "NFKC", "NFKD"})
    | {"Lowercase", "StripAccents"},
    "pre_tokenizer": frozenset({"BertPreTokenizer", "ByteLevel", "Sequence"})
    | {"Whitespace", "WhitespaceSplit"},
    "post_processor": frozenset({"BertProcessing", "RobertaProcessing", "TemplateProcessing"})
    | {"ByteLevel", "Sequence"},
    "decoder": frozenset({"WordPiece", "ByteLevel", "Sequence", "BPEDecoder"}),
}


def invalid(
    path: Path, problem: str, remedy: str = "export or fetch the bundle again"
) -> InvalidBundle:
    """Return the error that names a file and what is wrong with it."""
    return InvalidBundle(f"{path} {problem}", remedy)


def read_bytes(path: Path) -> bytes:
    """Read a regular file of a sane size."""
    _check_file(path)
    return path.read_bytes()


def parse_json(path: Path, raw: bytes) -> dict[str, Any]:
    """Parse a file's content as one JSON object."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise invalid(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise invalid(path, "is not a JSON object")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    return parse_json(path, read_bytes(path))


def verify_directory(directory: Path, metadata_name: str, hashes: Mapping[str, str]) -> None:
    """Check that the directory holds the listed files as they were hashed, and no code."""
    for entry in sorted(directory.iterdir()):
        _check_entry(entry, listed=entry.name in hashes or entry.name == metadata_name)
    for name, digest in hashes.items():
        path = directory / name
        if not _FILE_NAME.fullmatch(name):
            raise invalid(directory / metadata_name, f"lists {name!r}, not a plain file name")
        _check_file(path)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise invalid(path, "does not have the sha256 that " + metadata_name + " records")


def verify_tokenizer(path: Path) -> None:
    """Check that a tokenizer is built of known components only."""
    content = read_json(path)
    for part, allowed in _TOKENIZER_COMPONENTS.items():
        component = content.get(part)
        if component is None and part != "model":
            continue
        for kind in _component_types(component):
            if kind not in allowed:
                raise invalid(path, f"has a {part} of the type {kind!r}, which is not allowed")


def _component_types(component: Any) -> Iterator[Any]:
    """Yield the type of a tokenizer component and of those it is a sequence of."""
    if not isinstance(component, dict):
        yield type(component).__name__
        return
    yield component.get("type")
    for nested in ("normalizers", "pretokenizers", "processors", "decoders"):
        for child in component.get(nested, ()):
            yield from _component_types(child)


def _check_entry(entry: Path, *, listed: bool) -> None:
    """Refuse what does not belong in a bundle; hidden files (.gitattributes) are never read."""
    if entry.name.startswith(".") and not listed:
        return
    if entry.is_symlink():
        raise invalid(entry, "is a link", "replace it by the file itself")
    if entry.suffix.lower() in _CODE_SUFFIXES:
        raise invalid(entry, "may hold code, which a bundle must not", "remove it")
    if entry.is_dir():
        raise invalid(entry, "is a directory, and a bundle has none", "remove it")


def _check_file(path: Path) -> None:
    # Hard links are let through: package installers hard-link package data, so the embedded
    # bundle often has several; and a hard link is a file like any other, pinned by its hash.
    try:
        status = path.lstat()
    except OSError as error:
        raise invalid(path, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(status.st_mode):
        raise invalid(path, "is not a regular file", "replace it by the file itself")
    limit = _MAX_BYTES.get(path.suffix.lower())
    if limit is not None and status.st_size > limit:
        raise invalid(path, f"has {status.st_size} bytes, more than {limit} are not allowed")


def verify_graph(graph: Path, weights: Path) -> None:
    """Check that a graph's external data lies inside the data section of `weights`."""
    start, end = _safetensors_data_section(weights)
    try:
        references = list(external_data(read_bytes(graph)))
    except MalformedGraphError as error:
        raise invalid(graph, f"is not an ONNX graph ({error})") from error
    for reference in references:
        if reference.location != weights.name:
            raise invalid(graph, f"keeps data in {reference.location!r}, not in {weights.name}")
        inside = start <= reference.offset and reference.offset + reference.length <= end
        if reference.length < 0 or not inside:
            raise invalid(graph, f"refers to bytes outside the data section of {weights.name}")


def _safetensors_data_section(path: Path) -> tuple[int, int]:
    """Return the first byte of the tensors and the byte after the last."""
    _check_file(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        start = _LENGTH_FIELD + int.from_bytes(file.read(_LENGTH_FIELD), "little")
    if not _LENGTH_FIELD < start <= min(size, _MAX_SAFETENSORS_HEADER):
        raise invalid(path, "is not a safetensors file")
    return start, size
