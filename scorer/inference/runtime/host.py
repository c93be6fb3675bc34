"""ONNX Runtime in host memory: what all sessions share, and the built-in CPU provider.

The built-in provider runs everywhere in fp32, and in int8 with VNNI.
"""

import ctypes
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from scorer.errors import DeviceFull, DeviceUnavailable, InvalidBundle
from scorer.hints import counted
from scorer.inference.bundle import Bundle
from scorer.inference.gate import LowMarginFallback
from scorer.inference.session import RuntimeInfo, Session
from scorer.os_errors import as_out_of_memory, is_shortage

PROVIDER = "CPUExecutionProvider"
# MiniLM (6 layers, pruned), 3,500 training tweets, two cores of AVX-512, median of five: int8
# 1,563 tweets/s at 512, 1,683 at 1024, 1,717 at 1536, 1,733 at 2048; fp32 1,008, 1,041, 1,035 and
# 1,024. Flat from here on, and a small batch stops sooner.
TOKEN_BUDGET = 1536
_WITHOUT = "optimization.disable_specified_optimizers"

OUTPUT = "logits"
# The inputs that a graph may have besides the ids, and the value of all their elements. Batches
# have one length, so every token counts and every token is of the first segment.
_CONSTANT_INPUTS = {"attention_mask": 1, "token_type_ids": 0}
# How ONNX Runtime words that a device's memory is used up: its own arena (at the limit that it
# was given, or because the driver has no more), then the CUDA runtime, cuBLAS and cuDNN.
_FULL = (
    "is smaller than requested bytes",
    "Failed to allocate memory for requested buffer",
    "Failed to find a free memory block",
    "CUDA failure 2: ",
    "CUBLAS failure 3: ",
    "STATUS_ALLOC_FAILED",
    "out of memory",
)
_WEIGHTS = "model.safetensors"
OPEN_FILES = Path("/proc/self/fd")
_LONGEST = 300  # characters of a library's error that are shown
_SILENT = 4  # fatal only: errors reach us as exceptions, warnings are not for the user


@dataclass(frozen=True, slots=True)
class Loaded:
    """A graph in memory."""

    graph: Path
    session: onnxruntime.InferenceSession


class HostSession:
    """A session whose provider works in host memory."""

    warnings: tuple[str, ...] = ()
    exact = None

    def __init__(self, loaded: Loaded, info: RuntimeInfo, token_budget: int) -> None:
        self.info = info
        self.token_budget = token_budget
        self.callers = info.threads
        self._session = loaded.session
        self._constants = constant_inputs(loaded)

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits [rows, classes] of token ids [rows, length]."""
        feeds = {name: np.full(ids.shape, v, np.int64) for name, v in self._constants.items()}
        logits: NDArray[np.float32]
        with explained(self.info, ids):
            (logits,) = self._session.run([OUTPUT], {"input_ids": ids, **feeds})
        return logits


def options() -> onnxruntime.SessionOptions:
    """Return the options that all sessions share."""
    onnxruntime.set_default_logger_severity(_SILENT)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _SILENT
    # Weights are stored once, in fp16 and PyTorch's orientation; folding their casts and
    # transposes at load time makes the session as fast as one with plain fp32 weights.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return settings


def load(
    graph: Path, settings: onnxruntime.SessionOptions, providers: Sequence[Any] | None
) -> Loaded:
    """Load a graph without Python's own silent change of provider.

    `providers` is None where the options name the devices already.
    """
    weights = b""  # has to live until the session is made
    if not OPEN_FILES.exists():
        # ONNX Runtime looks there for what a graph's weights are opened as, and refuses otherwise.
        weights = (graph.parent / _WEIGHTS).read_bytes()
        settings.add_external_initializers_from_files_in_memory(
            [_WEIGHTS], [weights], [len(weights)]
        )
    session = onnxruntime.InferenceSession(
        str(graph), settings, providers=providers, enable_fallback=0
    )
    _trim_heap()
    return Loaded(graph, session)


def _trim_heap() -> None:
    """Return to the system the memory that folding a graph's constants has freed.

    glibc keeps freed memory for later allocations, which do not come: 175 MiB behind MiniLM's int8
    graph, 60 MiB with OpenVINO, 1.4 GiB behind GPT-2's int8. Other C libraries have no such
    function.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def constant_inputs(loaded: Loaded) -> dict[str, int]:
    """Return the inputs besides the ids, each with its value.

    Raises:
        InvalidBundle: The graph's inputs or outputs are not those of a text classifier.
    """
    names = [node.name for node in loaded.session.get_inputs()]
    unknown = set(names) - {"input_ids", *_CONSTANT_INPUTS}
    if unknown or "input_ids" not in names:
        raise _foreign(loaded.graph, f"takes {', '.join(names)}")
    outputs = {node.name: node.type for node in loaded.session.get_outputs()}
    if outputs.get(OUTPUT) != "tensor(float)":
        raise _foreign(loaded.graph, f"gives {outputs}")
    return {name: _CONSTANT_INPUTS[name] for name in names if name in _CONSTANT_INPUTS}


@contextmanager
def explained(info: RuntimeInfo, ids: NDArray[np.int64]) -> Iterator[None]:
    """Turn a session's failure on a batch into an error that names provider and batch."""
    try:
        yield
    except Exception as error:  # the library's errors have no common base of their own
        rows, length = ids.shape
        full = any(words in str(error) for words in _FULL)
        if info.exact and not full and is_shortage(error):
            raise as_out_of_memory(error) from error  # the CPU's memory is the process's own
        raise (DeviceFull if full else DeviceUnavailable)(
            f"{info.provider} in {info.precision} fails on a batch of "
            f"{counted(rows, 'text')} of {counted(length, 'token')} ({one_line(error)})",
            "free its memory, or choose another --device or --precision",
        ) from error


def one_line(error: Exception) -> str:
    """Return the gist of a library's error, which may be at either end, for one-line messages."""
    words = " ".join(str(error).split())
    if len(words) <= _LONGEST:
        return words
    return f"{words[: _LONGEST // 2]} ... {words[-_LONGEST // 2 :]}"


def _foreign(graph: Path, what: str) -> InvalidBundle:
    return InvalidBundle(f"{graph} {what}: no text classifier", "export the model again")


def open_builtin(bundle: Bundle, info: RuntimeInfo) -> Session:
    """Load the graph of `info.precision`; int8 has the fp32 graph decide texts of low margin.

    Raises:
        DeviceUnavailable: The bundle has no graph for that precision.
        InvalidBundle: ONNX Runtime does not accept the graph.
    """
    if info.precision != "int8":
        return _open(bundle, info.precision, info)
    # Loading leaves the interpreter free: two graphs take hardly longer than one.
    with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
        exact = pool.submit(_open, bundle, "fp32", info)
        return LowMarginFallback(_open(bundle, "int8", info), exact.result())


def _open(bundle: Bundle, precision: str, info: RuntimeInfo) -> HostSession:
    """Load a graph for `info.threads` callers, each with one thread.

    One session with one thread per caller beats one caller with several threads: small
    batches have too little work per operator to share. The fp16 graph can be loaded too, but
    only `export.parity` does: its products are computed in fp32 here, and slowly.
    """
    settings = options()
    settings.intra_op_num_threads = 1
    settings.inter_op_num_threads = 1
    # The pattern is planned per shape; with hundreds of shapes it only holds memory.
    settings.enable_mem_pattern = False
    # GELU joined with the sum before it runs an older kernel: 0.90 ms for 969 rows of 1,536,
    # against 0.55 and 0.13 apart (ONNX Runtime 1.31.1, one AVX-512 core); 3 % of a run.
    settings.add_session_config_entry(_WITHOUT, "BiasGeluFusion")
    graph = bundle.graph(precision)
    try:
        loaded = load(graph, settings, [PROVIDER])
    except Exception as error:  # the library's errors have no common base of their own
        raise InvalidBundle(
            f"{graph} cannot be loaded ({one_line(error)})", "export the model again"
        ) from error
    return HostSession(loaded, info, TOKEN_BUDGET)
