"""A process gives up, for itself and for good, all that a conversion does not need.

Through ctypes: of the libraries on PyPI, pyseccomp is of 2021 and wants libseccomp beside it, and
those for Landlock are pre-releases; the interfaces of the kernel are small and stable.
"""

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterable

from export.isolation.landlock import give_up_files
from export.isolation.limits import Limits, apply_limits
from export.isolation.seccomp import give_up_calls

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
# Of root's capabilities: files of other users are read, as where a container's root gets a model
# of its host's. The others would reach into other processes and raise limits.
_KEPT_CAPABILITIES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
_CAPABILITY_VERSION = 0x20080522


def die_with(parent: int) -> None:
    """Let the kernel end this process as soon as the one that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has ended already
        os._exit(1)


def confine(readable: Iterable[str], writable: Iterable[str], limits: Limits) -> list[str]:
    """Give up files, network and processes; before any thread is started.

    Returns:
        What this system cannot withhold.
    """
    apply_limits(limits)
    everything = ["files outside of the checkpoint", "the network"]
    if sys.platform != "linux":
        return everything
    libc = ctypes.CDLL(None, use_errno=True)
    _drop_capabilities(libc)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return everything
    withheld = give_up_files(readable, writable), give_up_calls()
    return [what for what, is_withheld in zip(everything, withheld, strict=True) if not is_withheld]


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    sets = ctypes.create_string_buffer(24)  # twice 32 of the effective, permitted, inheritable
    if libc.capget(header, sets) == 0:
        kept = struct.unpack("=6I", sets.raw)[1] & _KEPT_CAPABILITIES
        libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))
