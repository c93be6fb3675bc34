"""Several GPUs behind one session: a worker process for each, and batches for the next free one."""

import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from queue import SimpleQueue
from typing import IO, Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, GateFailed
from scorer.inference.bundle import Bundle
from scorer.inference.gate import measure
from scorer.inference.runtime.gpu_worker import Frame, Kind, Opener, error_of, read, write
from scorer.inference.session import HalvingSession, RuntimeInfo, plan_batches

# Signals are ignored before anything is imported: a service manager sends SIGTERM to all
# processes of a run, and only the run itself reacts to it.
_PROGRAM = (
    "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "from scorer.inference.runtime.gpu_worker import main; main()"
)
_SETUP = 1  # the tag of the first request
# A killed process that is not gone by then is stuck in a driver and left to the system.
_KILL_TIMEOUT_S = 2.0


class PoolSession:
    """A session whose batches go to the next free worker."""

    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(
        self, bundle: Bundle, info: RuntimeInfo, opener: Opener, places: dict[int, str]
    ) -> None:
        """Start the workers, wait until all are ready, and prove each one on the canary.

        Args:
            bundle: A verified bundle; each worker verifies it again.
            info: What to report; the workers get it too.
            opener: A function of a module, by whose name the workers find it.
            places: The ordinal of each worker's device, and its name for messages.

        Raises:
            DeviceUnavailable: A device cannot be used.
            GateFailed: One of them gives other answers than PyTorch.
            InvalidBundle: The bundle has changed, or its graph cannot be loaded.
        """
        self.info = info
        setup = {
            "bundle": str(bundle.directory),
            "digest": bundle.digest,
            "info": structs.asdict(info),
            "opener": f"{opener.__module__}:{opener.__qualname__}",
        }
        pool = WorkerPool()
        weakref.finalize(self, pool.end)
        try:
            workers = [
                pool.start(name, setup | {"ordinal": ordinal}) for ordinal, name in places.items()
            ]
            for worker in workers:
                worker.wait(info)
            self._prove(bundle, workers)
        except BaseException:
            pool.end()
            raise
        self.token_budget: int = workers[0].token_budget
        self.callers = sum(worker.callers for worker in workers)
        # Every device gets a batch before one gets its second.
        self._free: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers * workers[0].callers:
            self._free.put(worker)

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        worker = self._free.get()
        try:
            return worker.run(ids)
        finally:
            self._free.put(worker)

    def _prove(self, bundle: Bundle, workers: "Sequence[Worker]") -> None:
        """Compare each device with PyTorch: sound devices must not hide a broken one."""
        canary = bundle.canary()
        lengths = np.array([len(ids) for ids in canary.token_ids])
        (scorable,) = np.nonzero(lengths)
        batches = plan_batches(lengths[scorable], workers[0].token_budget)

        def prove(worker: "Worker") -> None:
            session = HalvingSession(worker)
            logits = np.full(canary.logits.shape, np.nan, np.float32)
            for batch in batches:
                rows = scorable[batch.rows]
                ids = [canary.token_ids[row] for row in rows]
                logits[rows] = session.run(np.array(ids, np.int64))
            try:
                measure(logits, canary, self.info)
            except GateFailed as error:
                raise GateFailed(
                    f"{worker.name}: {error.problem}",
                    "leave it out with CUDA_VISIBLE_DEVICES, or choose another --precision",
                ) from error

        with ThreadPoolExecutor(len(workers)) as threads:
            for _ in threads.map(prove, workers):
                pass


class WorkerPool:
    """All workers of a session. When one of them ends unexpectedly, the others are ended too."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []

    def start(self, name: str, setup: dict[str, Any]) -> "Worker":
        """Start a process that opens the session of `setup`; see `Worker.ready`."""
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
