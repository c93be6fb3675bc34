"""How a run and its worker processes speak: frames over two pipes, numbers and JSON, no code."""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import IO, Any

import numpy as np

from scorer.errors import (
    DeviceFull,
    DeviceUnavailable,
    GateFailed,
    InvalidBundle,
    OutOfMemory,
    TweetscoreError,
)
from scorer.memory import told

_HEADER = struct.Struct("<IIII")  # kind, tag, rows, columns; a JSON text is one row of bytes
# What a session may fail with; anything else is a bug.
_ERRORS: dict[str, type[TweetscoreError]] = {
    kind.__name__: kind
    for kind in (DeviceFull, DeviceUnavailable, GateFailed, InvalidBundle, OutOfMemory)
}


class Kind(IntEnum):
    """What a frame is."""

    SETUP = 1  # JSON, the first one to a worker: what to open
    READY = 2  # JSON, the first one back: the session's facts
    IDS = 3  # int64, a batch
    LOGITS = 4  # float32, the batch's answer
    ERROR = 5  # JSON, instead of READY or LOGITS


_ELEMENTS: dict[Kind, np.dtype[Any]] = {Kind.IDS: np.dtype("<i8"), Kind.LOGITS: np.dtype("<f4")}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One message; an answer has its question's tag."""

    kind: Kind
    tag: int
    content: Any  # an array [rows, columns], or what JSON can say


def write(pipe: IO[bytes], frame: Frame) -> None:
    """Send a frame; threads that share a pipe take turns."""
    if frame.kind in _ELEMENTS:
        array = np.ascontiguousarray(frame.content, _ELEMENTS[frame.kind])
    else:
        array = np.frombuffer(json.dumps(frame.content).encode("ascii"), np.uint8)[np.newaxis]
    pipe.write(_HEADER.pack(frame.kind, frame.tag, *array.shape))
    pipe.write(array.data)
    pipe.flush()


def read(pipe: IO[bytes]) -> Frame | None:
    """Wait for the next frame; none when the other side has ended, in the middle of one too."""
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    number, tag, rows, columns = _HEADER.unpack(header)
    kind = Kind(number)
    element: np.dtype[Any] = _ELEMENTS.get(kind, np.dtype(np.uint8))
    payload = pipe.read(rows * columns * element.itemsize)
    if len(payload) < rows * columns * element.itemsize:
        return None
    if kind not in _ELEMENTS:
        return Frame(kind, tag, json.loads(payload))
    return Frame(kind, tag, np.frombuffer(payload, element).reshape(rows, columns))


def error_words(error: Exception) -> dict[str, str]:
    """Return an error as plain JSON."""
    known = error if isinstance(error, DeviceFull) else told(error)  # a smaller batch may fit
    if isinstance(known, TweetscoreError):
        return {"kind": type(known).__name__, "problem": known.problem, "remedy": known.remedy}
    return {"kind": "bug", "problem": repr(error), "remedy": ""}


def error_of(words: dict[str, str], where: str) -> Exception:
    """Return the error that a worker met, with the worker's name in front."""
    problem = f"{where}: {words['problem']}"
    if words["kind"] in _ERRORS:
        return _ERRORS[words["kind"]](problem, words["remedy"])
    return RuntimeError(problem)
