"""OpenVINO as a plugin of ONNX Runtime: the fastest one on Intel CPUs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import onnxruntime

from scorer.errors import DeviceUnavailable
from scorer.inference.bundle import Bundle
from scorer.inference.runtime.host import HostSession, load, one_line, options
from scorer.inference.session import RuntimeInfo

PROVIDER = "OpenVINOExecutionProvider"
# MiniLM on two AMX cores, a window of 16,384 tweets in alternation with 2,048: 4,096 takes 0.90 of
# the time in bf16, 8,192 0.86 and 140 MiB more than 4,096. fp32 needs twice the memory.
TOKEN_BUDGET = {"bf16": 4096, "fp32": 2048}

_REGISTRATION = "tweetscore-openvino"
_PRIMITIVES = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def open_openvino(bundle: Bundle, info: RuntimeInfo) -> HostSession:
    """Load the fp32 graph for `info.threads` callers, each with a stream of one thread.

    Raises:
        DeviceUnavailable: The plugin cannot be loaded or does not take the graph.
    """
    settings = options()
    # OpenVINO folds the weights' casts itself: 0.2 s and 32 MiB less than if this were done twice.
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = 1  # ONNX Runtime's own threads would have nothing to do
    try:
        settings.add_provider_for_devices(
            [_cpu_device()], {"load_config": _load_config(info.precision, info.threads)}
        )
        with few_primitives():
            loaded = load(bundle.graph("fp32"), settings, None)
    except Exception as error:  # the libraries' errors have no common base of their own
        raise DeviceUnavailable(
            f"OpenVINO cannot be used ({one_line(error)})",
            "use --device builtin, or reinstall onnxruntime-ep-openvino",
        ) from error
    return HostSession(loaded, info, TOKEN_BUDGET[info.precision])


def _load_config(precision: str, threads: int) -> str:
    """Return the only option that the plugin reads; it ignores the others."""
    return json.dumps(
        {
            "CPU": {
                # Always set: on AMX boxes OpenVINO computes in bf16 by default.
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
                "PERFORMANCE_HINT": "THROUGHPUT",
                "NUM_STREAMS": str(threads),
                "INFERENCE_NUM_THREADS": str(threads),
                # Each process would pin its streams to the same first cores: two processes with a
                # thread each took 1.7 times as long on two cores. One alone loses nothing.
                "ENABLE_CPU_PINNING": "NO",
                # Not its own fusion of attention, which is slow for short texts: MiniLM in bf16 on
                # AMX, 2,000 tokens of texts of 10, 20 and 40: 71, 66 and 67 ms, against 98, 77, 85.
                "SNIPPETS_MODE": "DISABLE",
                # Compiled kernels that are kept: each size of batch needs a dozen, of up to 1 MiB.
                # After 27,480 tweets 841 MiB instead of 1,499, in 12.7 and 13.8 s instead of 11.5
                # and 12.0 (two runs each, on a box that varies by a fifth): memory is the promise.
                "CPU_RUNTIME_CACHE_CAPACITY": "100",
            }
        }
    )


@contextmanager
def few_primitives() -> Iterator[None]:
    """Bound oneDNN's own cache of compiled kernels, unless the user has bounded it.

    oneDNN reads the variable when it compiles its first kernel, and would keep 1,024: after 27,480
    tweets in bf16 on AMX 800 MiB instead of 925, in the same time. A library that is loaded later,
    such as PyTorch, reads it again.
    """
    if _PRIMITIVES in os.environ:
        yield
        return
    os.environ[_PRIMITIVES] = "100"
    try:
        yield
    finally:
        del os.environ[_PRIMITIVES]


@cache
def _cpu_device() -> onnxruntime.OrtEpDevice:
    """Register the plugin, once per process, and return its CPU device."""
    import onnxruntime_ep_openvino

    onnxruntime.register_execution_provider_library(
        _REGISTRATION, onnxruntime_ep_openvino.get_library_path()
    )
    for device in onnxruntime.get_ep_devices():
        if device.ep_name == PROVIDER and (
            device.device.type == onnxruntime.OrtHardwareDeviceType.CPU
        ):
            return device
    raise LookupError("its plugin lists no CPU of this box")
