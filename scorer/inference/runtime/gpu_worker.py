"""The worker process of one GPU; `WorkerPool` starts it and sends it batches.

It opens the bundle, answers batches, and ends when the pipe from the run is closed.
"""

import json
import os
import struct
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from pathlib import Path
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
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.session import RuntimeInfo, Session
from scorer.os_errors import as_out_of_memory

#: Opens a bundle on the device with that ordinal.
Opener = Callable[[Bundle, RuntimeInfo, int], Session]

_HEADER = struct.Struct("<IIII")  # kind, tag, rows, columns; a JSON text is one row of bytes
# The errors of a session; any other is a bug.
_ERRORS: dict[str, type[TweetscoreError]] = {
    kind.__name__: kind
    for kind in (DeviceFull, DeviceUnavailable, GateFailed, InvalidBundle, OutOfMemory)
}


class Kind(IntEnum):
    """The kind of a frame."""

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
    # Where a batch does not fit, a smaller one may.
    known = error if isinstance(error, DeviceFull) else as_out_of_memory(error)
    if isinstance(known, TweetscoreError):
        return {"kind": type(known).__name__, "problem": known.problem, "remedy": known.remedy}
    return {"kind": "bug", "problem": repr(error), "remedy": ""}


def error_of(words: dict[str, str], where: str) -> Exception:
    """Return the error of a worker, with the worker's name in front."""
    problem = f"{where}: {words['problem']}"
    if words["kind"] in _ERRORS:
        return _ERRORS[words["kind"]](problem, words["remedy"])
    return RuntimeError(problem)


def main() -> None:
    """Answer the run at the other end of stdin and stdout until it closes them."""
    questions, answers = _pipes()
    try:
        _serve(questions, answers)
    except OSError:  # the run has closed its end of the pipe
        pass
    finally:
        # At once: nothing reads the answer of a batch that is still on the device.
        os._exit(0)


def _pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Return both pipes; what a library prints to stdout goes to stderr, not between frames."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return sys.stdin.buffer, answers


def _serve(questions: IO[bytes], answers: IO[bytes]) -> None:
    turn = threading.Lock()

    def answer(frame: Frame) -> None:
        with turn:
            write(answers, frame)

    def infer(question: Frame) -> None:
        try:
            reply = Frame(Kind.LOGITS, question.tag, session.run(question.content))
        except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
            reply = Frame(Kind.ERROR, question.tag, error_words(error))
        answer(reply)

    setup = read(questions)
    if setup is None:
        return
    try:
        session = _open(setup.content)
    except Exception as error:  # noqa: BLE001 - raised where the session is awaited
        answer(Frame(Kind.ERROR, setup.tag, error_words(error)))
        return
    facts = {"token_budget": session.token_budget, "callers": session.callers}
    answer(Frame(Kind.READY, setup.tag, facts))
    lanes = ThreadPoolExecutor(session.callers)
    while (question := read(questions)) is not None:
        lanes.submit(infer, question)


def _open(setup: dict[str, Any]) -> Session:
    """Verify the bundle again, for it was read by another process, and open it on our device."""
    bundle = open_bundle(Path(setup["bundle"]))
    if bundle.digest != setup["digest"]:
        raise InvalidBundle(f"{bundle.directory} has changed since the run began", "run it again")
    module, _, name = setup["opener"].partition(":")
    opener: Opener = getattr(import_module(module), name)
    session = opener(bundle, RuntimeInfo(**setup["info"]), setup["ordinal"])
    bundle.verify_unchanged()
    return session
