"""NVIDIA GPUs through ONNX Runtime's CUDA provider.

There is no GPU where this is developed: `BoundSession` takes its providers and its device as
arguments, so that tests run every line of it on the CPU; `make check-gpu` is the suite
for the first box that has one.
"""

import contextlib
import ctypes
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from scorer.errors import DeviceUnavailable, InvalidBundle
from scorer.inference.bundle import Bundle
from scorer.inference.runtime.gpu_pool import PoolSession
from scorer.inference.runtime.host import (
    OUTPUT,
    constant_inputs,
    explained,
    load,
    one_line,
    options,
)
from scorer.inference.runtime.machine import nvidia_gpus, same_model
from scorer.inference.session import HalvingSession, RuntimeInfo
from scorer.installation import install

PROVIDER = "CUDAExecutionProvider"
# Not measured: no GPU here. Large enough to fill one, small enough that GPT-2's activations
# (about 0.2 MB per token in fp32) stay under 8 GB.
TOKEN_BUDGET = 32_768
# One batch is prepared on the host while the other is on the device.
CALLERS = 2
_MEMORY_SHARE = 0.9  # of the device, that ONNX Runtime's arena may take


def open_cuda(bundle: Bundle, info: RuntimeInfo) -> HalvingSession:
    """Load the bundle's graph on every GPU of the first one's model.

    One GPU is served by this process, several by one process each: ONNX Runtime holds Python's
    lock in parts of its calls, and a GPU that fails must not take the run's process with it.

    Raises:
        DeviceUnavailable: No session really runs on CUDA, with the library's own reason.
    """
    bundle.graph(info.precision)  # before anything is started for a graph that is not there
    gpus, _ = nvidia_gpus()
    places = {ordinal: f"GPU {ordinal} ({gpus[ordinal].name})" for ordinal in same_model(gpus)}
    if len(places) < 2:
        return HalvingSession(open_gpu(bundle, info, 0))
    return HalvingSession(PoolSession(bundle, info, open_gpu, places))


def open_gpu(bundle: Bundle, info: RuntimeInfo, ordinal: int) -> "BoundSession":
    """Load the bundle's graph on one GPU; an `Opener` for worker processes.

    Raises:
        DeviceUnavailable: No session really runs on it, with the library's own reason.
    """
    graph = bundle.graph(info.precision)
    _require_provider()
    gpus, _ = nvidia_gpus()
    settings = provider_options(info.precision, ordinal, int(gpus[ordinal].memory * _MEMORY_SHARE))
    providers = [(PROVIDER, settings), "CPUExecutionProvider"]
    buffers = Buffers("cuda", ordinal, max(TOKEN_BUDGET, bundle.max_length), len(bundle.labels))
    try:
        return BoundSession(graph, info, providers, buffers)
    except InvalidBundle:
        raise
    except Exception as error:  # the library's errors have no common base of their own
        raise _unusable(one_line(error)) from error


def provider_options(precision: str, ordinal: int, memory_limit: int) -> dict[str, str]:
    """Return the CUDA provider's options for one device; fp32 means fp32, not TF32."""
    return {
        "device_id": str(ordinal),
        "gpu_mem_limit": str(memory_limit),
        # Batches shrink from the longest on: growing by doubling would only waste memory.
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0" if precision == "fp32" else "1",
    }


@dataclass(frozen=True, slots=True)
class Buffers:
    """The shape and the device of a lane's buffers."""

    device: str  # where they live: "cuda", or "cpu" in tests
    ordinal: int  # of the device
    capacity: int  # the most tokens that a batch may hold
    classes: int  # columns of the logits


class BoundSession:
    """A session whose inputs and outputs live in device buffers made once.

    The providers are as ONNX Runtime takes them, the wanted one first.
    """

    token_budget = TOKEN_BUDGET
    callers = CALLERS
    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(
        self, graph: Path, info: RuntimeInfo, providers: list[Any], buffers: Buffers
    ) -> None:
        self.info = info
        settings = options()
        # The host computes a few shapes; a pool of threads per device would be for nothing.
        settings.intra_op_num_threads = 1
        loaded = load(graph, settings, providers)
        self._session = loaded.session
        used, wanted = self._session.get_providers()[0], info.provider
        if used != wanted:  # the library itself only logs that it took another one
            raise RuntimeError(f"ONNX Runtime took {used} instead of {wanted}")
        constants = constant_inputs(loaded)
        self._lanes: SimpleQueue[_Lane] = SimpleQueue()
        for _ in range(CALLERS):
            self._lanes.put(_Lane(self._session, constants, buffers))

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        lane = self._lanes.get()
        try:
            with explained(self.info, ids):
                return lane.run(ids)
        finally:
            self._lanes.put(lane)


class _Lane:
    """The buffers and the binding of one caller."""

    def __init__(
        self, session: onnxruntime.InferenceSession, constants: dict[str, int], buffers: Buffers
    ) -> None:
        self._session = session
        self._device = (buffers.device, buffers.ordinal)
        self._classes = buffers.classes
        self._binding = session.io_binding()
        self._host = np.zeros(buffers.capacity, dtype=np.int64)
        self._ids = self._buffer(self._host)
        # Masks and type ids are the same for every batch: they cross to the device once.
        self._constants = {
            name: self._buffer(np.full(buffers.capacity, value, dtype=np.int64))
            for name, value in constants.items()
        }
        self._logits = self._buffer(np.zeros(buffers.capacity * self._classes, dtype=np.float32))

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        # An OrtValue can only be updated as a whole. That wastes little, for nearly every batch
        # of a window is full; `make check-gpu` prints what 256 KB cost, and half of it.
        self._host[: ids.size] = ids.ravel()
        self._ids.update_inplace(self._host)
        for name, buffer in {"input_ids": self._ids, **self._constants}.items():
            self._binding.bind_input(name, *self._device, np.int64, ids.shape, buffer.data_ptr())
        shape = (len(ids), self._classes)
        self._binding.bind_output(OUTPUT, *self._device, np.float32, shape, self._logits.data_ptr())
        self._session.run_with_iobinding(self._binding)
        # On the CPU the copy is the buffer itself, which the next batch overwrites.
        logits: NDArray[np.float32] = self._binding.copy_outputs_to_cpu()[0].copy()
        return logits

    def _buffer(self, content: NDArray[Any]) -> onnxruntime.OrtValue:
        return onnxruntime.OrtValue.ortvalue_from_numpy(content, *self._device)


def _require_provider() -> None:
    """Load the CUDA libraries by hand: only so can a missing one be named."""
    if PROVIDER not in onnxruntime.get_available_providers():
        raise _unusable("this onnxruntime was built without CUDA")
    # The library's prints must not get into our standard output, which carries data.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
    for library in _provider_libraries():
        try:
            ctypes.CDLL(str(library))
        except OSError as error:
            raise _unusable(one_line(error)) from error


def _provider_libraries() -> Iterator[Path]:
    directory = Path(onnxruntime.__file__).parent / "capi"
    yield from directory.glob("*onnxruntime_providers_shared.*")
    yield from directory.glob("*onnxruntime_providers_cuda.*")


def _unusable(reason: str) -> DeviceUnavailable:
    brings = f"{install('cuda')} brings CUDA 13 and cuDNN 9, for a driver >= 580"
    return DeviceUnavailable(
        f"an NVIDIA GPU is there but CUDA does not run ({reason})",
        f"install what it names ({brings}), or use --device cpu",
    )
