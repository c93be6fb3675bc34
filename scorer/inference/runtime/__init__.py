"""Chooses provider and precision for a box, and opens the session: one module per engine.

`auto` never falls from a GPU to the CPU by itself: on a box with an NVIDIA device the CPU is
used only when it is asked for. Between the two CPU providers it may fall.

ONNX Runtime is imported when the first session is opened.
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from scorer.errors import DeviceUnavailable
from scorer.inference.bundle import Bundle
from scorer.inference.runtime.machine import (
    BF16_INSTRUCTION_SETS,
    INT8_INSTRUCTION_SETS,
    Machine,
    same_model,
)
from scorer.inference.session import RuntimeInfo, Session
from scorer.installation import check_onnx_runtime
from scorer.options import Device, Precision

# Since 1.29 the wheels of ONNX Runtime for Linux send telemetry about models and sessions,
# and keep an identifier in the user's home, unless this is set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_ON_CPU = "use --precision fp32, or auto"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to run the model on this box."""

    device: Literal["cuda", "openvino", "builtin"]
    precision: Literal["fp32", "bf16", "fp16", "int8"]
    reason: str  # why this one: a clause


def choices(
    device: Device, precision: Precision, machine: Machine, *, int8_proven: bool = False
) -> tuple[Choice, ...]:
    """Return the choices, fastest first; later ones are slower and more exact.

    `auto` takes int8 only where the model's graph has been measured and found within the gate.

    Raises:
        DeviceUnavailable: This box cannot run a device or precision that was requested by name.
    """
    if device == "cuda" or (device == "auto" and machine.gpus):
        return _cuda(precision, machine)
    if device == "openvino":
        return _openvino(precision, machine, "asked for by name")
    if device == "builtin":
        return _builtin(precision, machine, "asked for by name", int8_proven)
    why = "the CPU was asked for" if device == "cpu" else machine.no_gpu_reason
    return _either_cpu(precision, machine, why, int8_proven)


def without(tried: Collection[Choice], outside: Collection[Choice]) -> tuple[Choice, ...]:
    """Drop the choices that were outside the gate at the model's export; the reasons say so."""
    said = "".join(
        f"; {choice.device} in {choice.precision} was outside the gate at the model's export"
        for choice in outside
    )
    return tuple(
        replace(choice, reason=choice.reason + said) for choice in tried if choice not in outside
    )


def _either_cpu(
    precision: Precision, machine: Machine, why: str, int8_proven: bool
) -> tuple[Choice, ...]:
    """Take the better of the two CPU providers."""
    if machine.no_openvino_reason or precision == "int8":
        reasons = "; ".join(filter(None, (why, machine.no_openvino_reason)))
        return _builtin(precision, machine, reasons, int8_proven)
    openvino = _openvino(precision, machine, f"{why}; OpenVINO is the fastest on Intel CPUs")
    if precision == "bf16":
        return openvino
    exact = openvino + _builtin("fp32", machine, f"{why}; OpenVINO could not be used")
    if precision != "auto" or not int8_proven:
        return exact
    # On AMX bf16 is faster, and without a second session: MiniLM 2,100 tweets/s, against 1,070.
    # A model whose bf16 is outside the gate still has int8: GPT-2 225, against 85 in fp32.
    faster = sum(choice.precision == "bf16" for choice in exact)
    return (*exact[:faster], *_int8(machine, why), *exact[faster:])


def _cuda(precision: Precision, machine: Machine) -> tuple[Choice, ...]:
    if not machine.gpus:
        raise DeviceUnavailable(
            f"no CUDA device: {machine.no_gpu_reason}",
            "use --device cpu, or run where nvidia-smi lists a GPU",
        )
    if precision in ("bf16", "int8"):
        raise DeviceUnavailable(
            f"{precision} is not served on CUDA", "use --precision fp16, fp32 or auto"
        )
    why = f"{machine.gpus[0].name} ({machine.gpus[0].architecture})"
    fp16 = Choice("cuda", "fp16", f"{why}; fp16 is the fastest there")
    fp32 = Choice("cuda", "fp32", why)
    return {"auto": (fp16, fp32), "fp16": (fp16,), "fp32": (fp32,)}[precision]


def _openvino(precision: Precision, machine: Machine, why: str) -> tuple[Choice, ...]:
    if machine.no_openvino_reason:
        raise DeviceUnavailable(machine.no_openvino_reason, "use --device builtin, or cpu")
    if precision == "int8":
        raise DeviceUnavailable(
            "int8 is served by the built-in CPU provider", "use --device builtin, or cpu"
        )
    _refuse_fp16(precision, machine)
    instructions = machine.instruction_set
    if precision == "bf16" and instructions not in BF16_INSTRUCTION_SETS:
        raise DeviceUnavailable(
            f"this CPU has no bf16 arithmetic ({instructions}; needs AMX or AVX-512 BF16)", _ON_CPU
        )
    bf16 = Choice("openvino", "bf16", f"{why}; bf16 is native here ({instructions})")
    fp32 = Choice("openvino", "fp32", f"{why}; fp32 is what {instructions} computes fastest")
    # Only AMX is known to gain from bf16; elsewhere it has to be asked for.
    fastest = (bf16, fp32) if instructions == "amx" else (fp32,)
    return {"auto": fastest, "bf16": (bf16,), "fp32": (fp32,)}[precision]


def _builtin(
    precision: Precision, machine: Machine, why: str, int8_proven: bool = False
) -> tuple[Choice, ...]:
    _refuse_fp16(precision, machine)
    if precision == "bf16":
        raise DeviceUnavailable("the built-in CPU provider computes in fp32 and int8", _ON_CPU)
    if precision == "int8":
        return _int8(machine, why, by_name=True)
    fp32 = Choice("builtin", "fp32", why)
    if precision == "auto" and int8_proven:
        return (*_int8(machine, why), fp32)
    return (fp32,)


def _int8(machine: Machine, why: str, *, by_name: bool = False) -> tuple[Choice, ...]:
    """Return int8 where the CPU has the instructions; else nothing, or the refusal."""
    instructions = machine.instruction_set
    if instructions in INT8_INSTRUCTION_SETS:
        reason = f"{why}; int8 with near ties in fp32 is the fastest here ({instructions})"
        return (Choice("builtin", "int8", reason),)
    if by_name:
        raise DeviceUnavailable(
            f"this CPU has no VNNI instructions ({instructions}), without which int8 overflows",
            _ON_CPU,
        )
    return ()


def _refuse_fp16(precision: Precision, machine: Machine) -> None:
    if precision == "fp16":
        reason = machine.no_gpu_reason or "a CPU provider was asked for"
        raise DeviceUnavailable(f"fp16 needs a CUDA device: {reason}", _ON_CPU)


def open_session(
    bundle: Bundle, choice: Choice, machine: Machine, threads: int | None = None
) -> Session:
    """Load the bundle's graph as `choices` decided; by default with a thread for each CPU.

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
    """Import a device's module, and with it ONNX Runtime; return its provider and its opener."""
    check_onnx_runtime()
    if device == "cuda":
        from scorer.inference.runtime import cuda

        return cuda.PROVIDER, cuda.open_cuda
    if device == "openvino":
        from scorer.inference.runtime import openvino

        return openvino.PROVIDER, openvino.open_openvino
    from scorer.inference.runtime import host

    return host.PROVIDER, host.open_builtin


def _left_out(machine: Machine) -> str:
    """Return a clause about GPUs that do not take part; empty where all do."""
    others = len(machine.gpus) - len(same_model(machine.gpus))
    return f"; {others} more of another model would not give the same bits" if others else ""
