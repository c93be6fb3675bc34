"""Checks of files that may come from anywhere, made before a library opens one of them.

Every check raises `InvalidBundle` with the file's path and the problem.
"""

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from reprlib import Repr
from typing import Any, TypeGuard

from scorer.errors import InvalidBundle
from scorer.inference.bundle.onnx_graph import UnfitGraphError, read_graph

_MIB = 1024 * 1024
# What belongs in a bundle, and its largest size: many times that of the embedded one, whose
# tokenizer.json has 0.7 MB and graph 0.14 MB. A file without an ending is a licence. Anything
# else might be what tools unpickle, import or run.
_MAX_BYTES = {".json": 16 * _MIB, ".onnx": 4 * _MIB, ".safetensors": 8192 * _MIB}
_MAX_BYTES |= {".md": 16 * _MIB, ".txt": 16 * _MIB, "": 16 * _MIB}
# SentencePiece's vocabularies are larger: XLM-RoBERTa's file has 17 MB, Gemma's 34.
_MAX_BYTES_OF = {"tokenizer.json": 40 * _MIB}
# Between two blocks hashing waits for the interpreter, up to 5 ms where Python is busy: to open the
# embedded bundle took 156 ms with blocks of 1 MiB, 122 with these, in the median of four.
_HASHED_AT_ONCE = 8 * _MIB
# A safetensors file: 8 bytes with the header's length, the header, the tensors.
_LENGTH_FIELD = 8
_MAX_HEADER = 8 * _MIB
_MAX_DIMENSIONS = 8
_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "BOOL": 1}

# A flat directory: no separators, no "..", nothing hidden.
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_MAX_NAME = 200  # letters, of a label and the like
# What a graph may take and must give, with ONNX's numbers for int64 and float.
_INPUTS = {"input_ids": 7, "attention_mask": 7, "token_type_ids": 7}
_OUTPUTS = {"logits": 1}

Stamp = tuple[int, int, int, int]  # device, inode, size, time of the last change

# Of values in messages, which an attacker could make as long as a file.
_shown = Repr()
_shown.maxstring = _shown.maxlong = _shown.maxother = 80


def shown(value: object) -> str:
    """Return a value from a file, short enough for a message."""
    return _shown.repr(value)


def invalid(
    path: Path, problem: str, remedy: str = "export or fetch the bundle again"
) -> InvalidBundle:
    """Return an error with a file's path and its problem."""
    return InvalidBundle(f"{path} {problem}", remedy)


def read_bytes(path: Path) -> bytes:
    """Read a regular file of a sane size."""
    with _open(path) as file:
        return file.read(os.fstat(file.fileno()).st_size)


def parse_json(path: Path, raw: bytes) -> dict[str, Any]:
    """Parse a file's content as one JSON object, as strictly as any reader of it would."""
    try:
        content = json.loads(
            raw.decode(), object_pairs_hook=no_key_twice, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise invalid(path, f"is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise invalid(path, "is not a JSON object")
    return content


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; of a key that is there twice, each reader would believe another one."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is there twice")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    return parse_json(path, read_bytes(path))


def check_directory(directory: Path, metadata_name: str, names: Iterable[str]) -> None:
    """Check that the directory holds the named files, of sane sizes, and nothing that is code."""
    names = set(names)
    for name in sorted(names):
        if not _FILE_NAME.fullmatch(name):
            raise invalid(directory / metadata_name, f"lists {shown(name)}, not a plain file name")
    for entry in sorted(directory.iterdir()):
        _check_entry(entry, listed=entry.name in names)
    for name in sorted(names):
        _check_status(directory / name, _status(directory / name))


def verify_hashes(directory: Path, hashes: Mapping[str, str]) -> dict[str, Stamp]:
    """Check that the files are as they were hashed.

    Returns:
        The stamps of the files: a file that replaces one of them has another.
    """
    return {name: _check_hash(directory / name, digest) for name, digest in hashes.items()}


def _check_hash(path: Path, digest: str) -> Stamp:
    found = hashlib.sha256()
    with _open(path) as file:
        size = os.fstat(file.fileno()).st_size
        block = memoryview(bytearray(min(size, _HASHED_AT_ONCE)))
        while count := file.readinto(block):
            found.update(block[:count])
        if found.hexdigest() != digest:
            raise _unlike_its_hash(path)
        return _stamp(os.fstat(file.fileno()))


def read_hashed(path: Path, digest: str) -> bytes:
    """Read a file again, and check its hash again."""
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise _unlike_its_hash(path)
    return content


def _unlike_its_hash(path: Path) -> InvalidBundle:
    return invalid(path, "does not have the sha256 that tweetscore.json records")


def verify_unchanged(directory: Path, stamps: Mapping[str, Stamp]) -> None:
    """Check that no file was replaced or written since it was verified."""
    for name, stamp in stamps.items():
        if _stamp(_status(directory / name)) != stamp:
            raise invalid(directory / name, "changed while it was loaded", "run again")


def _stamp(status: os.stat_result) -> Stamp:
    # Not the time of the last change to the inode: installers add hard links at any time.
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def is_whole(value: object, least: int, most: int) -> TypeGuard[int]:
    """Tell whether a value of a JSON file is a whole number within bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_name(value: object) -> TypeGuard[str]:
    """Tell whether a value is one line that a terminal and a file can show."""
    return isinstance(value, str) and 0 < len(value) <= _MAX_NAME and value.isprintable()


def _check_entry(entry: Path, *, listed: bool) -> None:
    """Refuse an entry that no bundle has; hidden files (.gitattributes) are never read."""
    if entry.name.startswith(".") and not listed:
        return
    if entry.is_symlink():
        raise invalid(entry, "is a link", "replace it by the file itself")
    if entry.is_dir():
        raise invalid(entry, "is a directory, and a bundle has none", "remove it")
    if entry.suffix.lower() not in _MAX_BYTES:
        raise invalid(entry, "may hold code, which a bundle must not", "remove it")
    _check_status(entry, _status(entry))


def _open(path: Path) -> BufferedReader:
    """Open a regular file of a sane size; even one that is swapped now is no link and no pipe."""
    _check_status(path, _status(path))
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    try:
        _check_status(path, os.fstat(file.fileno()))
    except InvalidBundle:
        file.close()
        raise
    return file


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except OSError as error:
        raise invalid(path, f"cannot be read ({error.strerror})") from error


def _check_status(path: Path, status: os.stat_result) -> None:
    # Hard links are let through: package installers hard-link package data, so the embedded
    # bundle often has several; and a hard link is a file like any other, pinned by its hash.
    if not stat.S_ISREG(status.st_mode):
        raise invalid(path, "is not a regular file", "replace it by the file itself")
    limit = _MAX_BYTES_OF.get(path.name) or _MAX_BYTES.get(path.suffix.lower(), _MAX_BYTES[""])
    if status.st_size > limit:
        raise invalid(path, f"has {status.st_size} bytes, more than {limit} are not allowed")


@dataclass(frozen=True, slots=True)
class Weights:
    """A safetensors file whose header accounts for each of its bytes, once."""

    path: Path
    start: int  # first byte of the tensors
    end: int  # the byte after the last
    shapes: Mapping[str, tuple[int, ...]]
    stamp: Stamp  # of the file that was read


def read_weights(path: Path) -> Weights:
    """Read the header of a safetensors file and check that the file matches it."""
    with _open(path) as file:
        status = os.fstat(file.fileno())
        size = status.st_size
        length = int.from_bytes(file.read(_LENGTH_FIELD), "little")
        if not 0 < length <= min(size - _LENGTH_FIELD, _MAX_HEADER):
            raise invalid(path, "is not a safetensors file")
        header = parse_json(path, file.read(length))
    header.pop("__metadata__", None)
    try:
        tensors = {name: _tensor(entry) for name, entry in header.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise invalid(path, f"has a tensor without type, shape and place ({error!r})") from error
    start = _LENGTH_FIELD + length
    places = sorted((begin, end) for _, begin, end in tensors.values())
    bounds = [(0, 0), *places, (size - start, size - start)]
    if any(before[1] != after[0] for before, after in pairwise(bounds)):
        raise invalid(path, "has tensors that overlap, or do not fill it to its end")
    shapes = {name: shape for name, (shape, _, _) in tensors.items()}
    return Weights(path, start, size, shapes, _stamp(status))


def _tensor(entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Return a tensor's shape and its first and last byte, which must fit each other."""
    shape, (begin, end) = tuple(entry["shape"]), entry["data_offsets"]
    counted = all(is_whole(number, 0, 2**48) for number in (*shape, begin, end))
    if not counted or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("numbers that are none")
    if end - begin != math.prod(shape) * _ITEM_BYTES[entry["dtype"]]:
        raise ValueError("a size that is not its shape's")
    return shape, begin, end


def verify_graph(path: Path, raw: bytes, weights: Weights) -> None:
    """Check that a graph is a text classifier's, with its data among the tensors of `weights`."""
    try:
        graph = read_graph(raw)
    except UnfitGraphError as error:
        raise invalid(path, str(error)) from error
    for place in graph.places:
        if place.location != weights.path.name:
            raise invalid(path, f"keeps data in {shown(place.location)}, not {weights.path.name}")
        if not weights.start <= place.offset <= place.offset + place.length <= weights.end:
            raise invalid(path, f"refers to bytes outside the data section of {weights.path.name}")
    if "input_ids" not in graph.inputs or not graph.inputs.items() <= _INPUTS.items():
        raise invalid(path, f"takes {shown(graph.inputs)}: it is no text classifier")
    if not _OUTPUTS.items() <= graph.outputs.items():
        raise invalid(path, f"gives {shown(graph.outputs)}: it is no text classifier")
