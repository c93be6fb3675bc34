"""How much a conversion may use, and what is said where it needs more."""

import math
import os
import resource
from pathlib import Path

from msgspec import Struct

from scorer.errors import InvalidBundle, OutOfMemory

_GIB = 1 << 30
_PER_CPU = 64 << 20  # stacks and arenas
_HOUR = 3600
_DESCRIPTORS = 1024


class Limits(Struct, frozen=True):
    """How much a process may use."""

    memory: int  # bytes that are its own to write to
    file: int  # bytes of each file that it writes
    seconds: int  # until it is ended


def limits_for(weights: int, memory: float | None = None, seconds: float | None = None) -> Limits:
    """Return the limits of the conversion of weights of that many bytes.

    Args:
        weights: Bytes of the files that they are in.
        memory: GiB, where they are not to be derived.
        seconds: Likewise.
    """
    return Limits(
        memory=round(memory * _GIB) if memory else min(_memory(weights), _of_this_box()),
        # Optimum writes a graph in fp32 with its weights, of fp16 twice as large as they are.
        file=_GIB + 4 * weights,
        # MiniLM, 87 MiB: a minute on two quiet cores, 11 minutes where six others wanted them.
        seconds=round(seconds or 2 * _HOUR + 4 * _HOUR * weights / _GIB),
    )


def _memory(weights: int) -> int:
    """Return more than twice what the export of fp32 weights was seen to need.

    A BERT of nearly no size took 0.6 GB, MiniLM with 91 MB of fp32 weights 1.7 GB: 12 times its
    weights, so of weights in fp16 24 times. Each processor adds a thread to each of four pools.
    """
    return 3 * _GIB + 32 * weights + (os.cpu_count() or 1) * _PER_CPU


def _of_this_box() -> int:
    """Return nine tenths of the memory, so that what else runs here is not pushed out."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 9 // 10


def apply_limits(limits: Limits) -> None:
    """Limit this process."""
    # Not RLIMIT_AS: of the 2.3 GB of addresses that torch and ONNX Runtime take 0.6 can be written
    # to, and CUDA takes terabytes. RLIMIT_DATA counts what is private and writable. What is refused
    # is an error where it happens; to watch the resident memory from outside could only kill.
    wanted = {
        resource.RLIMIT_DATA: limits.memory,
        resource.RLIMIT_FSIZE: limits.file,
        resource.RLIMIT_CPU: limits.seconds * (os.cpu_count() or 1),  # where no parent counts
        resource.RLIMIT_NOFILE: _DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        _, most = resource.getrlimit(kind)
        least = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (least, least))


def is_near(limits: Limits) -> bool:
    """Tell whether this process, which failed somehow, most likely did so for want of memory.

    Where none is left, an extension of Python may fail without an error of its own.
    """
    status = Path("/proc/self/status")  # `resource` counts what was there before exec too
    if not status.exists():
        return False
    lines = (line.split() for line in status.read_text().splitlines())
    peak = next((int(words[1]) << 10 for words in lines if words[:1] == ["VmHWM:"]), 0)
    return peak >= limits.memory * 3 // 4


def memory_used_up(limits: Limits) -> OutOfMemory:
    """Return the error of a conversion that needs more memory than it may have."""
    allowed = limits.memory / _GIB
    return OutOfMemory(
        f"the conversion needs more than the {allowed:.1f} GiB of memory that it may use",
        f"if you trust the model, add --memory {math.ceil(2 * allowed)} to the command (GiB)",
    )


def out_of_time(limits: Limits) -> InvalidBundle:
    """Return the error of a conversion that does not end."""
    return InvalidBundle(
        f"the conversion was ended, as it has not done within {limits.seconds:,} seconds",
        f"if you trust the model, add --timeout {10 * limits.seconds} to the command (seconds)",
    )


def file_too_large(limits: Limits) -> InvalidBundle:
    """Return the error of a conversion that writes more than any bundle has."""
    return InvalidBundle(
        f"the conversion writes a file of more than {limits.file >> 20:,} MiB, which no model of "
        "this size needs",
        "choose another model",
    )
