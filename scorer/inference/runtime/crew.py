"""The worker processes of a session: the run starts them, sends them batches, ends them."""

import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from contextlib import suppress
from itertools import count
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable
from scorer.inference.runtime import wire
from scorer.inference.runtime.session import RuntimeInfo
from scorer.inference.runtime.wire import Frame, Kind

# Signals are ignored before anything is imported: a service manager sends SIGTERM to all
# processes of a run, and only the run itself decides what it means.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from scorer.inference.runtime.worker import main; main()"
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
        threading.Thread(target=self._watch, args=(worker,), name=name, daemon=True).start()
        worker.ready = worker.ask(Kind.SETUP, setup)
        return worker

    def end(self, reason: Exception | None = None) -> None:
        """End all processes, reap them, and tell the reason to everybody who waits."""
        for worker in self._workers:
            worker.kill(reason or DeviceUnavailable("the model was closed"))
        for worker in self._workers:
            worker.reap()

    def _watch(self, worker: "Worker") -> None:
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
        """Send a question; the answer, or the error that it led to, comes later."""
        answer: Future[Any] = Future()
        with self._state:
            if self._end is not None:
                raise self._end
            tag = next(self._tags)
            self._waiting[tag] = answer
        # If the pipe is broken, `listen` reads its end, and the answer becomes the error of that.
        with self._turn, suppress(OSError, ValueError):
            wire.write(_pipe(self._process.stdin), Frame(kind, tag, content))
        return answer

    def listen(self) -> None:
        """Hand out answers until the process ends."""
        with _pipe(self._process.stdout) as pipe:
            while (frame := wire.read(pipe)) is not None:
                self._take(frame)

    def _take(self, frame: Frame) -> None:
        """Hand out one answer. An error kept here would keep the session that is to be closed."""
        failed = frame.kind is Kind.ERROR
        content = wire.error_of(frame.content, self.name) if failed else frame.content
        if isinstance(content, Exception) and frame.tag == _SETUP:
            self._setup_error = content  # it ends now, and that would be told instead
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
        """End the process; the first reason that was ever given is the one to be told."""
        with self._state:
            self._end = self._end or reason
            waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            _settle(answer, self._end)
        self._process.kill()

    def reap(self) -> None:
        """Leave no zombie, and close the pipe to the process, which nobody writes to any more."""
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
    """Return what is there whenever a pipe was asked for."""
    assert pipe is not None  # noqa: S101 - for mypy
    return pipe
