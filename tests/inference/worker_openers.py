"""What the tests' worker processes open in place of a GPU: CPU sessions, and stubs that fail."""

import os
import signal
import threading
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable
from scorer.inference.bundle import Bundle
from scorer.inference.runtime import cuda, host
from scorer.inference.runtime.host import HostSession, explained, load, options
from scorer.inference.session import RuntimeInfo, Session

ROWS_OF_NO_CANARY = 20


def builtin(bundle: Bundle, info: RuntimeInfo, _: int) -> Session:
    """Open the built-in CPU provider."""
    return host.open_builtin(bundle, info)


def bound(bundle: Bundle, info: RuntimeInfo, _: int) -> Session:
    """Open the CUDA path's session with its buffers in host memory."""
    buffers = cuda.Buffers("cpu", 0, 2 * bundle.max_length, len(bundle.labels))
    session = cuda.BoundSession(bundle.graph(info.precision), info, [host.PROVIDER], buffers)
    session.token_budget = 2 * bundle.max_length
    return session


class StubOfBrokenArithmetic:
    """Answers with another sign than the real session."""

    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(self, session: Session) -> None:
        self.info, self.token_budget, self.callers = session.info, session.token_budget, 1
        self._session = session

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return wrong logits."""
        return -self._session.run(ids)


def second_is_wrong(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Open a sound device and a broken one."""
    session = builtin(bundle, info, ordinal)
    return StubOfBrokenArithmetic(session) if ordinal == 1 else session


def second_does_not_open(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Open a device that is there and one that is not."""
    if ordinal == 1:
        raise DeviceUnavailable("no such device", "look for it")
    return builtin(bundle, info, ordinal)


def second_dies_while_opening(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Die as a driver's crash would make it."""
    if ordinal == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return builtin(bundle, info, ordinal)


def noisy(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Print where a library would."""
    print("a library says hello")  # noqa: T201
    os.write(1, b"so does its native part\n")
    return builtin(bundle, info, ordinal)


class StubThatStops:
    """A device that hangs, where a pipe has been laid: it writes its process's number there.

    The canary's few rows it answers.
    """

    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(self, session: Session, pipe: Path) -> None:
        self.info, self.token_budget, self.callers = session.info, session.token_budget, 1
        self._session = session
        self._pipe = pipe

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits, or nothing ever."""
        if len(ids) > ROWS_OF_NO_CANARY and self._pipe.exists():
            self._pipe.write_text(f"{os.getpid()}\n")
            threading.Event().wait()
        return self._session.run(ids)


def stopping(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Open a device that hangs once there is a pipe named as TEST_PIPE says."""
    return StubThatStops(builtin(bundle, info, ordinal), Path(os.environ["TEST_PIPE"]))


def with_a_bug(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Fail as only a bug of ours would."""
    raise ValueError(f"no rows in {bundle.name}, {info.provider}, {ordinal}")


def in_a_small_arena(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Open the built-in provider with two megabytes of memory, for it and all its buffers."""
    place = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    limits = {
        "max_mem": 2 * 2**20,
        "arena_extend_strategy": 1,
        "initial_chunk_size_bytes": 1024,
        "max_dead_bytes_per_chunk": -1,
    }
    # For all sessions of this process.
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(limits))
    settings = options()
    settings.add_session_config_entry("session.use_env_allocators", "1")
    settings.intra_op_num_threads = 1
    return HostSession(load(bundle.graph("fp32"), settings, [host.PROVIDER]), info, 10_000)


class StubOfLittleMemory:
    """Cannot hold batches of more than some tokens.

    Args:
        session: What answers the others.
        most: Tokens of the largest batch that it holds.
    """

    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(self, session: Session, most: int) -> None:
        self.info, self.token_budget = session.info, session.token_budget
        self.callers = session.callers
        self._session = session
        self._most = most

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits, or fail as ONNX Runtime does."""
        with explained(self.info, ids):
            if ids.size > self._most:
                raise RuntimeError(
                    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned "
                    "while running MatMul node. Name:'/m' Status Message: bfc_arena.cc:376 "
                    "AllocateRawInternal Failed to allocate memory for requested buffer of size 9"
                )
        return self._session.run(ids)


def with_little_memory(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> Session:
    """Open a device that holds a little more than the longest text, and less than a batch."""
    return StubOfLittleMemory(bound(bundle, info, ordinal), bundle.max_length + 10)
