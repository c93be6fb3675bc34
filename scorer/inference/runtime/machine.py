"""Inspects the hardware: CPUs, instruction set and GPUs, without loading ONNX Runtime."""

import ctypes
import importlib.util
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scorer.installation import add
from scorer.threads import available_cpus

_CPUINFO = Path("/proc/cpuinfo")
# What decides which kernels run, best first: /proc/cpuinfo's flag and our name for it.
_INSTRUCTION_SETS = (
    ("amx_bf16", "amx"),
    ("avx512_bf16", "avx512-bf16"),
    ("avx512_vnni", "avx512-vnni"),
    ("avx512f", "avx512"),
    ("avx_vnni", "avx2-vnni"),
    ("avx2", "avx2"),
    ("asimd", "neon"),
)
BF16_INSTRUCTION_SETS = ("amx", "avx512-bf16")
# With the instruction that adds four products of bytes in 32 bits. Older CPUs add pairs in 16
# bits, which overflow: other answers, and no faster.
INT8_INSTRUCTION_SETS = ("amx", "avx512-bf16", "avx512-vnni", "avx2-vnni")

_CUDA_SUCCESS = 0
_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


@dataclass(frozen=True, slots=True)
class Gpu:
    """An NVIDIA device that the driver shows to this process."""

    name: str
    architecture: str  # such as sm_90
    memory: int  # bytes


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware that decides which sessions can run."""

    cpus: int
    instruction_set: str
    no_openvino_reason: str  # empty if the plugin is installed and lists this CPU
    gpus: tuple[Gpu, ...]
    no_gpu_reason: str  # empty if there is one

    def architecture(self, device: str) -> str:
        """Return the GPU's architecture or the CPU's instruction set, which decides the kernels."""
        return self.gpus[0].architecture if device == "cuda" else self.instruction_set


def inspect() -> Machine:
    """Inspect this box; takes a few milliseconds."""
    gpus, reason = nvidia_gpus()
    return Machine(
        cpus=available_cpus(),
        instruction_set=instruction_set(),
        no_openvino_reason=no_openvino_reason(),
        gpus=gpus,
        no_gpu_reason=reason,
    )


def instruction_set(cpuinfo: Path = _CPUINFO) -> str:
    """Return the best instruction set of the CPU, or the architecture's name."""
    flags = {flag for name in ("flags", "features") for flag in _cpu_field(cpuinfo, name).split()}
    return next((name for flag, name in _INSTRUCTION_SETS if flag in flags), platform.machine())


def no_openvino_reason(cpuinfo: Path = _CPUINFO) -> str:
    """Return why OpenVINO cannot be used here, or nothing.

    OpenVINO computes on any x86 CPU, but its plugin for ONNX Runtime lists Intel's only
    (https://github.com/microsoft/onnxruntime/pull/31981).
    """
    if importlib.util.find_spec("onnxruntime_ep_openvino") is None:
        has_wheel = sys.platform == "linux" and platform.machine() == "x86_64"
        how = f" ({add('onnxruntime-ep-openvino')})" if has_wheel else ""
        return f"the OpenVINO plugin is not installed{how}"
    # Windows names the vendor at the end of its processor string.
    vendor = _cpu_field(cpuinfo, "vendor_id") or platform.processor().rpartition(" ")[2]
    if vendor != "GenuineIntel":
        return f"the OpenVINO plugin serves Intel CPUs only, and this is {vendor or 'another'}"
    return ""


def _cpu_field(cpuinfo: Path, name: str) -> str:
    """Return a field of the first processor in ``/proc/cpuinfo``; empty where it is absent."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:  # no Linux
        return ""
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip().lower() == name), "")


def nvidia_gpus(load: Callable[[str], Any] = ctypes.CDLL) -> tuple[tuple[Gpu, ...], str]:
    """Ask NVIDIA's driver library for its devices.

    ONNX Runtime cannot be asked: its GPU build lists CUDA as available on any box, and a CUDA
    session on a box without one becomes a CPU session.

    Returns:
        The devices, and if there are none the reason.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        cuda = load(library)
    except OSError:
        return (), f"no NVIDIA driver ({library} was not found)"
    status = cuda.cuInit(0)
    count = ctypes.c_int(0)
    if status == _CUDA_SUCCESS:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    if status != _CUDA_SUCCESS:
        return (), f"the NVIDIA driver shows no device (CUDA error {status})"
    if count.value == 0:
        return (), "the NVIDIA driver shows no device (is CUDA_VISIBLE_DEVICES set?)"
    return tuple(_gpu(cuda, ordinal) for ordinal in range(count.value)), ""


def same_model(gpus: Sequence[Gpu]) -> tuple[int, ...]:
    """Return the ordinals of the GPUs that are of the same model as the first one.

    One run uses only these. Another model, even of the same architecture, may sum in another
    order, and then the last bits of a score would depend on which GPU was free.
    """
    models = [(gpu.name, gpu.architecture) for gpu in gpus]
    return tuple(ordinal for ordinal, model in enumerate(models) if model == models[0])


def _gpu(cuda: Any, ordinal: int) -> Gpu:
    device, memory = ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGet(ctypes.byref(device), ordinal)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    major, minor = (
        _attribute(cuda, attribute, device)
        for attribute in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR)
    )
    return Gpu(name.value.decode(errors="replace"), f"sm_{major}{minor}", memory.value)


def _attribute(cuda: Any, attribute: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    cuda.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value
