"""ONNX Runtime sessions, one module per provider. ONNX Runtime is loaded on first use."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scorer.inference.bundle import Bundle
from scorer.inference.runtime.machine import Machine, same_model
from scorer.inference.runtime.select import Choice
from scorer.inference.session import RuntimeInfo, Session

# Since 1.29 the wheels of ONNX Runtime for Linux send telemetry about models and sessions,
# and keep an identifier in the user's home, unless this is set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def open_session(
    bundle: Bundle, choice: Choice, machine: Machine, threads: int | None = None
) -> Session:
    """Load the bundle's graph as `choices` decided.

    Args:
        bundle: A verified bundle.
        choice: One of `select.choices`.
        machine: What `machine.inspect` found.
        threads: CPU threads to use; by default as many as this process may keep busy.

    Raises:
        DeviceUnavailable: The provider cannot be loaded on this box.
        InvalidBundle: The graph cannot be loaded at all.
    """
    provider, opener = _provider(choice.device)
    on_gpu = choice.device == "cuda"
    info = RuntimeInfo(
        provider=provider,
        device=choice.device,
        precision=choice.precision,
        instruction_set=machine.architecture(choice.device),
        threads=threads or machine.cpus,
        reason=f"{choice.reason}{_left_out(machine) if on_gpu else ''}",
        devices=len(same_model(machine.gpus)) if on_gpu else 1,
    )
    return opener(bundle, info)


@contextmanager
def prepared(device: str) -> Iterator[None]:
    """Import the libraries of a device, and set their environment variables.

    For callers that open a session in another thread: C's environment must not grow while another
    thread reads it.
    """
    _provider(device)
    if device != "openvino":
        yield
        return
    from scorer.inference.runtime.openvino import few_primitives

    with few_primitives():
        yield


def _provider(device: str) -> tuple[str, Callable[[Bundle, RuntimeInfo], Session]]:
    """Import a device's module, and with it ONNX Runtime; return its provider and what opens it."""
    if device == "cuda":
        from scorer.inference.runtime.gpu import cuda

        return cuda.PROVIDER, cuda.open_cuda
    if device == "openvino":
        from scorer.inference.runtime import openvino

        return openvino.PROVIDER, openvino.open_openvino
    from scorer.inference.runtime import cpu

    return cpu.PROVIDER, cpu.open_builtin


def _left_out(machine: Machine) -> str:
    """Say how many GPUs do not take part, if there are such."""
    others = len(machine.gpus) - len(same_model(machine.gpus))
    return f"; {others} more of another model would not give the same bits" if others else ""
