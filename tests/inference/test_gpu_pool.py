"""Several devices behind one session: the same bits, and no failure of a device is lost.

The workers are real processes; what they open in place of a GPU is in `worker_openers.py`.
"""

import dataclasses
import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from scorer.errors import DeviceFull, DeviceUnavailable, GateFailed, InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.runtime import cuda, host
from scorer.inference.runtime.gpu_pool import PoolSession
from scorer.inference.runtime.gpu_worker import Opener
from scorer.inference.runtime.machine import Gpu
from scorer.inference.session import HalvingSession, RuntimeInfo
from tests.inference import worker_openers
from tests.inference.worker_openers import StubOfLittleMemory

ROOT = Path(__file__).parents[2]
INFO = RuntimeInfo(host.PROVIDER, "builtin", "fp32", "avx2", 1, "a test", 2)


@pytest.fixture(scope="module")
def bundle(tiny_bert_bundle: Path) -> Bundle:
    return open_bundle(tiny_bert_bundle)


@pytest.fixture(autouse=True)
def no_process_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let workers find the openers; and after each test none of them is there, not as a zombie."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before = children()
    yield
    if children() != before:  # half a second, in a process with every library loaded
        gc.collect()
    # A caller that waits gets the error at once; the others are reaped a moment later.
    deadline = time.monotonic() + 10
    while children() != before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert children() == before


def children() -> set[int]:
    """Return the processes that this one has started and not waited for."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread of an ended pool, ending itself
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def pool(bundle: Bundle, opener: Opener, workers: int = 2) -> PoolSession:
    places = {ordinal: f"GPU {ordinal} (a stub)" for ordinal in range(workers)}
    return PoolSession(bundle, INFO, opener, places)


def ids(rows: int, length: int, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(5, 60, size=(rows, length), dtype=np.int64)


@pytest.mark.parametrize("workers", [2, 3])
@pytest.mark.parametrize("opener", [worker_openers.builtin, worker_openers.bound])
def test_several_workers_answer_like_one_session(
    bundle: Bundle, opener: Opener, workers: int
) -> None:
    """Whoever gets a batch, its logits are bitwise those of a session in this process."""
    session, alone = pool(bundle, opener, workers), opener(bundle, INFO, 0)
    assert session.info == INFO
    assert session.callers == workers * alone.callers
    assert session.token_budget == alone.token_budget
    batches = [ids(96 // length, length, seed) for seed in range(6) for length in (1, 7, 48)]
    with ThreadPoolExecutor(session.callers) as threads:
        answers = list(threads.map(session.run, batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert answer.dtype == np.float32
        assert answer.tobytes() == alone.run(batch).tobytes()


def test_a_device_with_other_answers_is_named(bundle: Bundle) -> None:
    """Every device proves itself on the canary, not only the first; exit code 76."""
    with pytest.raises(GateFailed, match=r"GPU 1 \(a stub\): the canary on .* differs") as refusal:
        pool(bundle, worker_openers.second_is_wrong)
    assert "CUDA_VISIBLE_DEVICES" in refusal.value.remedy


def test_a_device_that_does_not_open_is_named(bundle: Bundle) -> None:
    """Its own reason and remedy, exit code 69; the others are ended."""
    with pytest.raises(DeviceUnavailable, match=r"GPU 1 \(a stub\): no such device") as refusal:
        pool(bundle, worker_openers.second_does_not_open, 3)
    assert refusal.value.remedy == "look for it"


def test_a_worker_that_dies_while_it_opens_is_named(bundle: Bundle) -> None:
    """A crash of a driver is an error with the signal's name, not a run that waits."""
    with pytest.raises(DeviceUnavailable, match=r"for GPU 1 \(a stub\) was ended by SIGSEGV"):
        pool(bundle, worker_openers.second_dies_while_opening)


def test_a_bug_in_a_worker_is_one(bundle: Bundle) -> None:
    """What is no error of ours stays none: exit code 70."""
    with pytest.raises(RuntimeError, match=r"GPU . \(a stub\): ValueError\('no rows in tiny"):
        pool(bundle, worker_openers.with_a_bug)


def test_a_failing_batch_is_an_error_of_its_device(bundle: Bundle) -> None:
    """An error names the device, and the next batch is answered."""
    session = pool(bundle, worker_openers.builtin)
    with pytest.raises(DeviceUnavailable, match=r"GPU 0 \(a stub\): .* batch of 2 texts of 3 tok"):
        session.run(np.full((2, 3), 10**6))
    assert session.run(ids(2, 3)).shape == (2, 3)


def test_a_library_that_prints_does_no_harm(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    """What a worker prints goes to stderr; stdout carries data."""
    assert pool(bundle, worker_openers.noisy).run(ids(2, 3)).shape == (2, 3)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "native part" in printed.err


def test_a_killed_worker_ends_the_session(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callers that wait for any of them, and later ones, get an error that names the dead one."""
    pipe = tmp_path / "pipe"
    monkeypatch.setenv("TEST_PIPE", str(pipe))
    session = pool(bundle, worker_openers.stopping, 3)
    os.mkfifo(pipe)
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(session.run, ids(30, 5)) for _ in range(3)]
        numbers: list[int] = []
        while len(numbers) < 3:
            numbers += map(int, pipe.read_text().split())
        os.kill(numbers[0], signal.SIGKILL)
        errors = {str(future.exception()) for future in waiting}
    (error,) = errors
    assert error.startswith("the process for GPU ")
    assert "was ended by SIGKILL; run again" in error
    with pytest.raises(DeviceUnavailable, match="was ended by SIGKILL"):
        session.run(ids(1, 3))


def test_workers_leave_signals_to_the_run(bundle: Bundle) -> None:
    """SIGTERM for a whole service, and Ctrl-C, end no worker before the run has decided."""
    before = children()
    session = pool(bundle, worker_openers.builtin)
    for worker in children() - before:
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
    with ThreadPoolExecutor(2) as threads:
        assert len(list(threads.map(session.run, [ids(2, 3)] * 20))) == 20


def test_an_interrupt_while_the_workers_open_ends_them(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the seconds in which models are loaded leaves nothing behind."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(PoolSession, "_prove", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pool(bundle, worker_openers.builtin)


def test_a_bundle_that_changes_before_a_worker_reads_it_is_refused(bundle: Bundle) -> None:
    """Run and workers serve one model: exit code 78."""
    other = dataclasses.replace(bundle, digest="0" * 64)
    with pytest.raises(InvalidBundle, match="has changed since the run began"):
        pool(other, worker_openers.builtin)


def test_a_batch_that_the_device_cannot_hold_is_halved(bundle: Bundle) -> None:
    """It is answered all the same, and the budget is smaller from then on, with a warning."""
    plain = worker_openers.builtin(bundle, INFO, 0)
    session = HalvingSession(StubOfLittleMemory(plain, 100))
    assert (session.token_budget, session.warnings) == (host.TOKEN_BUDGET, ())
    batch = ids(41, 13)
    assert session.run(batch).tobytes() == plain.run(batch).tobytes()
    assert session.token_budget == host.TOKEN_BUDGET // 16
    assert session.warnings == (
        "the GPU's memory ran out: batches are now of at most 96 tokens instead of 1,536",
    )


def test_a_row_that_the_device_cannot_hold_is_an_error(bundle: Bundle) -> None:
    """Halving ends at one row, with the reason and what to do; exit code 69."""
    session = HalvingSession(StubOfLittleMemory(worker_openers.builtin(bundle, INFO, 0), 10))
    with pytest.raises(DeviceFull, match=r"a batch of 1 text of 11 tokens .*Failed to allocate"):
        session.run(ids(3, 11))


def test_two_callers_that_meet_full_memory_at_once_halve_it_once(bundle: Bundle) -> None:
    """The second one failed with a budget that is no longer in force."""
    plain = worker_openers.builtin(bundle, INFO, 0)

    class StubThatFailsInPairs:
        """Lets two batches of the first budget fail together."""

        info, token_budget, callers, exact = INFO, 64, 2, None
        warnings: tuple[str, ...] = ()
        both = threading.Barrier(2)

        def run(self, batch: NDArray[np.int64]) -> NDArray[np.float32]:
            """Answer what is small."""
            if batch.size > 32:
                self.both.wait()
                raise DeviceFull("full")
            return plain.run(batch)

    session = HalvingSession(StubThatFailsInPairs())
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(session.run, [ids(16, 4), ids(16, 4)]))
    assert session.token_budget == 32
    assert {answer.tobytes() for answer in answers} == {plain.run(ids(16, 4)).tobytes()}


def test_full_memory_is_known_from_onnxruntimes_own_words(bundle: Bundle) -> None:
    """A real arena with a real limit, in a process of its own: halved, answered, and reported."""
    session = HalvingSession(pool(bundle, worker_openers.in_a_small_arena, 1))
    plain = worker_openers.builtin(bundle, INFO, 0)
    batch = ids(200, 48)
    assert session.run(batch).tobytes() == plain.run(batch).tobytes()
    assert session.token_budget < 10_000


@pytest.mark.parametrize(
    "words",
    [
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; file=/a.cc ; line=1",
        "CUBLAS failure 3: the resource allocation failed ; GPU=1 ; hostname=h",
        "CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        "bfc_arena.cc:360 Available memory of 7 is smaller than requested bytes of 8",
        "bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 8",
    ],
)
def test_the_ways_to_say_that_memory_is_full(words: str) -> None:
    """The arena's words, the CUDA runtime's, cuBLAS's and cuDNN's; nothing else is taken so."""
    from scorer.inference.runtime.host import explained

    with pytest.raises(DeviceFull), explained(INFO, ids(2, 3)):
        raise RuntimeError(words)
    with pytest.raises(DeviceUnavailable) as other, explained(INFO, ids(2, 3)):
        raise RuntimeError("CUDA failure 700: an illegal memory access was encountered")
    assert not isinstance(other.value, DeviceFull)


A, B = Gpu("H100", "sm_90", 80 * 2**30), Gpu("H200", "sm_90", 141 * 2**30)


@pytest.mark.parametrize(
    ("gpus", "opened"),
    [
        ((A,), [0]),
        ((B, A), [0]),
        ((A, A), [{0: "GPU 0 (H100)", 1: "GPU 1 (H100)"}]),
        ((A, B, A), [{0: "GPU 0 (H100)", 2: "GPU 2 (H100)"}]),
    ],
)
def test_gpus_of_one_model_share_the_work(
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    gpus: tuple[Gpu, ...],
    opened: list[int | dict[int, str]],
) -> None:
    """Several GPUs have a worker each, named by number and model; one is opened right here."""
    places: list[object] = []

    class StubSession:
        """Notes where it is."""

        info, token_budget, callers, exact = INFO, 64, 2, None

        def __init__(self, *arguments: object) -> None:
            places.append(arguments[-1])

    monkeypatch.setattr(cuda, "nvidia_gpus", lambda: (gpus, ""))
    monkeypatch.setattr(cuda, "PoolSession", StubSession)
    monkeypatch.setattr(cuda, "open_gpu", StubSession)
    assert isinstance(cuda.open_cuda(bundle, INFO), HalvingSession)
    assert places == opened
