"""The system calls that a process gives up, through seccomp; they fail, and it goes on.

It connects to nothing, starts no process, sends no signal to another, changes no mode or owner of a
file, asks for no memory that its limits do not count, and does not move those.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP = 1, 22
_FILTER_MODE = 2

# A verdict has its kind in the upper half, and for an error its number in the lower one.
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_REFUSE = _ERROR | errno.EPERM
_IGNORE = _ERROR  # number 0: as if it were done
_UNKNOWN = _ERROR | errno.ENOSYS  # the C library then tries the older call

_CLONE_THREAD = 0x10000
_SHARED_ANONYMOUS = 0x21
_X32 = 0x40000000  # the bit in the numbers of x86_64's second table

# Of each processor: the kernel's name for it, and the column of its numbers below.
_PROCESSORS = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}


class _Call(NamedTuple):
    numbers: tuple[int | None, int | None]  # x86_64, aarch64
    verdict: int = _REFUSE


class _Checked(NamedTuple):
    """A call that is refused for some values of an argument; its lower 32 bits decide."""

    numbers: tuple[int, int]
    argument: int
    test: Literal["is", "is not", "has all of", "lacks"]
    value: int


_CALLS = (
    # Network. There may be a socket of AF_UNIX, which CUDA's driver makes: it reaches nobody.
    _Call((42, 203)),  # connect
    _Call((44, 206)),  # sendto
    _Call((46, 211)),  # sendmsg
    _Call((307, 269)),  # sendmmsg
    _Call((425, 425)),  # io_uring_setup: its requests pass by this filter
    # Processes, and what reaches into others.
    _Call((57, None)),  # fork
    _Call((58, None)),  # vfork
    _Call((435, 435), _UNKNOWN),  # clone3, whose flags a filter cannot read
    _Call((59, 221)),  # execve
    _Call((322, 281)),  # execveat
    _Call((62, 129)),  # kill
    _Call((200, 130)),  # tkill
    _Call((129, 138)),  # rt_sigqueueinfo
    _Call((297, 240)),  # rt_tgsigqueueinfo
    _Call((424, 424)),  # pidfd_send_signal
    _Call((434, 434)),  # pidfd_open
    _Call((438, 438)),  # pidfd_getfd
    _Call((101, 117)),  # ptrace
    _Call((310, 270)),  # process_vm_readv
    _Call((311, 271)),  # process_vm_writev
    # Memory that is not the process's own; the limits.
    _Call((319, 279)),  # memfd_create
    _Call((29, 194)),  # shmget
    _Call((68, 186)),  # msgget
    _Call((64, 190)),  # semget
    _Call((240, 180)),  # mq_open
    _Call((160, 164)),  # setrlimit
    # What Landlock does not know of files. shutil.copy copies modes: as if it were done.
    _Call((90, None), _IGNORE),  # chmod
    _Call((91, 52), _IGNORE),  # fchmod
    _Call((268, 53), _IGNORE),  # fchmodat
    _Call((452, 452), _IGNORE),  # fchmodat2
    _Call((92, None)),  # chown
    _Call((94, None)),  # lchown
    _Call((93, 55)),  # fchown
    _Call((260, 54)),  # fchownat
    _Call((188, 5)),  # setxattr
    _Call((189, 6)),  # lsetxattr
    _Call((190, 7)),  # fsetxattr
    _Call((197, 14)),  # removexattr
    _Call((198, 15)),  # lremovexattr
    _Call((199, 16)),  # fremovexattr
    _Call((463, 463)),  # setxattrat
    _Call((466, 466)),  # removexattrat
    _Call((304, 265)),  # open_by_handle_at
    # The kernel itself.
    _Call((272, 97)),  # unshare
    _Call((308, 268)),  # setns
    _Call((165, 40)),  # mount
    _Call((321, 280)),  # bpf
    _Call((298, 241)),  # perf_event_open
    _Call((323, 282)),  # userfaultfd
    _Call((248, 217)),  # add_key
    _Call((249, 218)),  # request_key
    _Call((250, 219)),  # keyctl
)


def _checked(process: int) -> tuple[_Checked, ...]:
    return (
        _Checked((41, 198), 0, "is not", 1),  # socket, but AF_UNIX
        _Checked((56, 220), 0, "lacks", _CLONE_THREAD),  # clone
        _Checked((234, 131), 0, "is not", process),  # tgkill: abort() is one
        _Checked((157, 167), 0, "is", _PR_SET_PDEATHSIG),  # prctl
        _Checked((302, 261), 2, "is not", 0),  # prlimit64: to ask is allowed
        _Checked((9, 222), 3, "has all of", _SHARED_ANONYMOUS),  # mmap
    )


def give_up_calls() -> bool:
    """Install the filter for this thread and those that it starts; it must have no new privileges.

    Returns:
        Whether the kernel has taken it.
    """
    known = _PROCESSORS.get(platform.machine())
    if known is None:
        return False
    program = list(_program(*known))
    code = ctypes.create_string_buffer(b"".join(program))
    about = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, about, 0, 0) == 0)


# Instructions of the kernel's BPF, on the description of a call: number, processor, the address of
# the instruction, six arguments of 8 bytes.
_LOAD, _EQUAL, _LEAST, _BITS, _AND, _END = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_NUMBER, _PROCESSOR, _ARGUMENTS = 0, 4, 16


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """Encode one; a jump says how many instructions are passed over."""
    return struct.pack("=HBBI", code, if_true, if_false, value & 0xFFFFFFFF)


def _program(processor: int, column: int) -> Iterator[bytes]:
    yield _instruction(_LOAD, _PROCESSOR)
    yield _instruction(_EQUAL, processor, if_true=1)
    yield _instruction(_END, _KILL)  # a call of 32 bits has other numbers
    yield _instruction(_LOAD, _NUMBER)
    yield _instruction(_LEAST, _X32, if_false=1)
    yield _instruction(_END, _REFUSE)
    for call in _CALLS:
        number = call.numbers[column]
        if number is not None:
            yield _instruction(_EQUAL, number, if_false=1)
            yield _instruction(_END, call.verdict)
    for checked in _checked(os.getpid()):
        body = list(_test(checked))
        yield _instruction(_EQUAL, checked.numbers[column], if_false=len(body))
        yield from body
    yield _instruction(_END, _ALLOW)


def _test(call: _Checked) -> Iterator[bytes]:
    """Yield the verdict on an argument; what comes after it is another call's."""
    yield _instruction(_LOAD, _ARGUMENTS + 8 * call.argument)
    if call.test == "has all of":
        yield _instruction(_AND, call.value)
    code = _BITS if call.test == "lacks" else _EQUAL
    refused = call.test in ("is", "has all of")
    yield _instruction(code, call.value, if_true=0 if refused else 1, if_false=1 if refused else 0)
    yield _instruction(_END, _REFUSE)
    yield _instruction(_END, _ALLOW)
