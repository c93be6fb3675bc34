"""Runs a function that opens foreign files in a process that can do no harm.

The process is a fresh interpreter with a reduced environment. It writes into few directories, has
no network and starts no process; its memory, time and files are bounded; and it ends when this one
does. What it tells is JSON, never pickle, and its files are checked by who started it.
"""

import os
import selectors
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from export.isolation.limits import Limits, memory_used_up, out_of_time
from export.isolation.messages import (
    Done,
    Failed,
    Lacking,
    Message,
    Order,
    encode,
    message_decoder,
)
from export.steps import Steps
from scorer import errors
from scorer.errors import InvalidBundle, OutOfMemory, TweetscoreError
from scorer.os_errors import is_shortage

# What is passed on of the environment: where libraries are, the language, threads and devices. No
# token, no credential and no proxy is among it.
_KEPT = (
    *("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONUTF8", "VIRTUAL_ENV"),
    *("LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "GLIBC_TUNABLES", "ATEN_CPU_CAPABILITY"),
)
_KEPT_FAMILIES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "KMP_", "MALLOC_", "CUDA_", "NVIDIA_")
_READ_AT_ONCE = 1 << 16
_MOST = 4 << 20  # bytes that the process may tell in all; an export tells a few thousand
_LONGEST = 500  # characters of a step
_ABORTED_BY_RUST = "memory allocation of"  # and C++ by words that is_shortage knows
_TAIL = 1 << 16  # bytes of what its libraries printed that --debug shows


class ChildError(Exception):
    """What went wrong in the other process: its traceback, and what its libraries printed."""


def run(
    target: str,
    argument: bytes,
    *,
    readable: Sequence[Path],
    writable: Sequence[Path],
    limits: Limits,
    steps: Steps,
) -> bytes:
    """Call a function in a confined process, and return what it returns, as JSON.

    Args:
        target: MODULE:FUNCTION. It is called with the argument and with `Steps`.
        argument: JSON.
        readable: What it may read beside Python's installation: files, and whole directories.
        writable: Directories that it may write into, beside a temporary one.
        limits: How much it may use.
        steps: Is told of its steps.

    Raises:
        InvalidBundle: The process crashed, or did not end in time.
        OutOfMemory: It needs more memory than it may use.
        TweetscoreError: Any that the function raises.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tweetscore-", ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryFile() as printed,
    ):
        order = Order(
            target=target,
            argument=msgspec.Raw(argument),
            readable=[os.fsencode(path.absolute()) for path in readable],
            writable=[os.fsencode(path.absolute()) for path in (*writable, Path(scratch))],
            limits=limits,
            parent=os.getpid(),
        )
        until = time.monotonic() + limits.seconds
        with _started(scratch, printed) as (process, stdin, stdout):
            with suppress(BrokenPipeError), stdin:  # it ended at once: its exit code says why
                stdin.write(encode(order))
            for message in _messages(stdout, until):
                if isinstance(message, Done):
                    return bytes(message.result)
                if isinstance(message, Failed):
                    raise _error_of(message) from ChildError(message.trace + _tail(printed))
                if isinstance(message, Lacking):
                    steps.note(f"this system cannot withhold {' and '.join(message.what)}")
                else:
                    steps.pass_on(message.words[:_LONGEST], message.seconds)
            try:
                code = process.wait(max(0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise out_of_time(limits) from ChildError(_tail(printed))
            raise _crash(code, limits, _tail(printed))


def _environment(scratch: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_FAMILIES)
    }
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "HF_HOME"), scratch)
    base = {"PYTHONUSERBASE": site.getuserbase()}  # else it would be looked for in the new home
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return kept | places | base | offline


@contextmanager
def _started(
    scratch: str, printed: IO[bytes]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """Yield a process with its standard input and output, and end it after the block."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "export.isolation.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=printed,
        cwd=scratch,
        env=_environment(scratch),
        start_new_session=True,  # Ctrl-C is for this process, which ends the other one
    )
    try:
        if process.stdin and process.stdout:  # always
            with process.stdin, process.stdout:
                yield process, process.stdin, process.stdout
    finally:
        process.kill()
        process.wait()


def _messages(stream: IO[bytes], until: float) -> Iterator[Message]:
    """Yield what the process tells, until it has ended or its time is up."""
    told = 0
    line: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while (left := until - time.monotonic()) > 0:
            if not selector.select(left):
                continue
            block = os.read(stream.fileno(), _READ_AT_ONCE)
            if not block:
                return
            told += len(block)
            if told > _MOST:
                raise _nonsense("more than any export has to tell")
            end, *starts = block.split(b"\n")
            line.append(end)
            for start in starts:
                yield _decoded(b"".join(line))
                line = [start]


def _decoded(line: bytes) -> Message:
    try:
        return message_decoder.decode(line)
    except msgspec.DecodeError as error:
        raise _nonsense(str(error)) from error


def _nonsense(why: str) -> InvalidBundle:
    return InvalidBundle(
        f"the process that opened the model told what ours never tells ({why})", "do not use it"
    )


def _error_of(failed: Failed) -> TweetscoreError:
    kind = getattr(errors, failed.kind, None)
    if not (isinstance(kind, type) and issubclass(kind, TweetscoreError)):
        kind = TweetscoreError
    return kind(failed.problem, failed.remedy)


def _crash(code: int, limits: Limits, printed: str) -> TweetscoreError:
    """Return the error for a process that has ended without a word."""
    error: TweetscoreError
    if _ABORTED_BY_RUST in printed or is_shortage(RuntimeError(printed)):
        error = memory_used_up(limits)
    elif code == -signal.SIGXCPU:
        error = out_of_time(limits)
    elif code == -signal.SIGKILL:
        error = OutOfMemory(
            "the process that opened the model was killed (SIGKILL), as the kernel does where "
            "memory runs out",
            "free some memory, and run again",
        )
    else:
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        error = InvalidBundle(
            f"the process that opened the model crashed ({name})",
            "fetch the model again, or choose another one; --debug shows what it printed",
        )
    error.__cause__ = ChildError(printed)
    return error


def _tail(printed: IO[bytes]) -> str:
    """Return the end of what the libraries in the process have printed."""
    size = printed.seek(0, os.SEEK_END)
    printed.seek(max(0, size - _TAIL))
    return printed.read().decode(errors="replace")
