"""Several GPUs behind one session, and smaller batches where a GPU's memory is used up."""

import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from queue import SimpleQueue

import numpy as np
from numpy.typing import NDArray

from scorer.errors import DeviceFull, GateFailed
from scorer.inference.batches import plan_batches
from scorer.inference.bundle import Bundle
from scorer.inference.gate import measure
from scorer.inference.runtime.gpu.worker import Opener
from scorer.inference.runtime.gpu.workers import Worker, WorkerPool
from scorer.inference.session import RuntimeInfo, Session


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
            "info": asdict(info),
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

    def _prove(self, bundle: Bundle, workers: Sequence[Worker]) -> None:
        """Compare each device with PyTorch: sound devices must not hide a broken one."""
        canary = bundle.canary()
        lengths = np.array([len(ids) for ids in canary.token_ids])
        (scorable,) = np.nonzero(lengths)
        batches = plan_batches(lengths[scorable], workers[0].token_budget)

        def prove(worker: Worker) -> None:
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


class HalvingSession:
    """A session that goes on with smaller batches when its device's memory is used up.

    The rows of a batch are independent, so halves answer the same. On a GPU another number of
    rows may choose another kernel: that is within what is promised there (docs/guarantees.md).
    """

    exact = None

    def __init__(self, session: Session) -> None:
        self.info: RuntimeInfo = session.info
        self.token_budget: int = session.token_budget
        self.callers: int = session.callers
        self.warnings: tuple[str, ...] = ()
        self._session = session
        self._first_budget = session.token_budget
        self._change = threading.Lock()

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length].

        Raises:
            DeviceFull: The device cannot hold a single row.
        """
        budget = self.token_budget
        rows, length = ids.shape
        most = max(1, budget // length)
        if rows > most:  # planned when the budget was larger
            return np.concatenate([self.run(ids[i : i + most]) for i in range(0, rows, most)])
        try:
            return self._session.run(ids)
        except DeviceFull:
            if rows == 1:
                raise
        self._halve(budget)
        half = (rows + 1) // 2
        return np.concatenate([self.run(ids[:half]), self.run(ids[half:])])

    def _halve(self, tried: int) -> None:
        """Halve the budget for the rest of the run, once for all callers that tried with it."""
        with self._change:
            if self.token_budget == tried:
                self.token_budget = max(1, tried // 2)
                words = (
                    "the GPU's memory ran out: batches are now of at most "
                    f"{self.token_budget:,} tokens instead of {self._first_budget:,}"
                )
                self.warnings = (words,)
