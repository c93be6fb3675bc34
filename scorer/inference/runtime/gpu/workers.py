"""Worker processes, one for each GPU: started, asked and ended together, over pipes."""

import json
import signal
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from scorer.errors import (
    DeviceFull,
    DeviceUnavailable,
    GateFailed,
    InvalidBundle,
    OutOfMemory,
    TweetscoreError,
)
from scorer.inference.session import RuntimeInfo
from scorer.os_errors import told

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
    known = error if isinstance(error, DeviceFull) else told(error)  # a smaller batch may fit
    if isinstance(known, TweetscoreError):
        return {"kind": type(known).__name__, "problem": known.problem, "remedy": known.remedy}
    return {"kind": "bug", "problem": repr(error), "remedy": ""}


def error_of(words: dict[str, str], where: str) -> Exception:
    """Return the error of a worker, with the worker's name in front."""
    problem = f"{where}: {words['problem']}"
    if words["kind"] in _ERRORS:
        return _ERRORS[words["kind"]](problem, words["remedy"])
    return RuntimeError(problem)


# Signals are ignored before anything is imported: a service manager sends SIGTERM to all
# processes of a run, and only the run itself reacts to it.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from scorer.inference.runtime.gpu.worker import main; main()"
)
_SETUP = 1  # the tag of the first request
# A killed process that is not gone by then is stuck in a driver and left to the system.
_KILL_TIMEOUT_S = 2.0


class WorkerPool:
    """All workers of a session. When one of them ends unexpectedly, the others are ended too."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def start(self, name: str, setup: dict[str, Any]) -> "Worker":
        """Start a process, and let it open what `setup` says; see `Worker.ready`."""
        worker = Worker(name)
        self._workers.append(worker)
        threading.Thread(target=self._listen, args=(worker,), name=name, daemon=True).start()
        worker.ready = worker.ask(Kind.SETUP, setup)
        return worker

    def end(self, reason: Exception | None = None) -> None:
        """End all processes, reap them, and raise the reason in all threads that wait."""
        for worker in self._workers:
            worker.kill(reason or DeviceUnavailable("the model was closed"))
        for worker in self._workers:
            worker.reap()

    def _listen(self, worker: "Worker") -> None:
        try:
            worker.listen()
        finally:
            self.end(worker.cause_of_death())


class Worker:
    """The session in a process of its own; `wait` before it is used as one."""

    info: RuntimeInfo
    token_budget: int
    callers: int
    warnings: tuple[str, ...] = ()
    exact = None
    ready: Future[Any]  # the session's facts, once it is open

    def __init__(self, name: str) -> None:
        self.name = name
        self._tags = count(_SETUP)
        self._waiting: dict[int, Future[Any]] = {}
        self._end: Exception | None = None
        self._setup_error: Exception | None = None
        self._state = threading.Lock()
        self._turn = threading.Lock()
        # Started afresh: a fork would share the lock on the output. In a session of its own:
        # Ctrl-C is for the run. With -P: nothing is imported from the directory we are in.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def wait(self, info: RuntimeInfo) -> None:
        """Wait until the session is open.

        Raises:
            DeviceUnavailable: The process has ended.
            TweetscoreError: What kept it from opening.
        """
        facts = self.ready.result()
        self.info = info
        self.token_budget, self.callers = facts["token_budget"], facts["callers"]

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        logits: NDArray[np.float32] = self.ask(Kind.IDS, ids).result()
        return logits

    def ask(self, kind: Kind, content: Any) -> Future[Any]:
        """Send a question; the future gets the answer or its error."""
        answer: Future[Any] = Future()
        with self._state:
            if self._end is not None:
                raise self._end
            tag = next(self._tags)
            self._waiting[tag] = answer
        # If the pipe is broken, `listen` sees its end too, and sets the error of the answer.
        with self._turn, suppress(OSError, ValueError):
            write(_pipe(self._process.stdin), Frame(kind, tag, content))
        return answer

    def listen(self) -> None:
        """Hand out answers until the process ends."""
        with _pipe(self._process.stdout) as pipe:
            while (frame := read(pipe)) is not None:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        """Hand out one answer. No reference to an error is kept: it would keep the session."""
        failed = frame.kind is Kind.ERROR
        content = error_of(frame.content, self.name) if failed else frame.content
        if isinstance(content, Exception) and frame.tag == _SETUP:
            self._setup_error = content  # its exit code must not replace this
            return
        with self._state:
            answer = self._waiting.pop(frame.tag, None)
        if answer is not None:
            _settle(answer, content)

    def cause_of_death(self) -> Exception:
        """Say why a process that has closed its pipe ended."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_TIMEOUT_S)
        if self._setup_error is not None:
            return self._setup_error
        code = self._process.returncode or 0
        how = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
        return DeviceUnavailable(
            f"the process for {self.name} {how}",
            "run again, it goes on from what was scored; if memory was short, the system's log "
            "says so",
        )

    def kill(self, reason: Exception) -> None:
        """End the process; callers get the first reason that was given."""
        with self._state:
            self._end = self._end or reason
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            _settle(answer, self._end)
        self._process.kill()

    def reap(self) -> None:
        """Reap the process, and close the pipe to it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_TIMEOUT_S)
        if self._turn.acquire(timeout=_KILL_TIMEOUT_S):  # else a writer is stuck, with the process
            with suppress(OSError):
                _pipe(self._process.stdin).close()
            self._turn.release()


def _signal_name(number: int) -> str:
    names = {known.value: known.name for known in signal.Signals}
    return names.get(number, f"signal {number}")


def _settle(answer: Future[Any], content: Any) -> None:
    if isinstance(content, Exception):
        answer.set_exception(content)
    else:
        answer.set_result(content)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    """Return a pipe that the process was started with."""
    assert pipe is not None  # noqa: S101 - for mypy
    return pipe
