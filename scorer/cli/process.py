"""The start and the end of the process: standard streams, signals, thread pools, the exit."""

import atexit
import os
import signal
import sys
from types import FrameType
from typing import IO, NoReturn

from scorer.errors import StorageError, Terminated

_INTERRUPTED = (130, 143)
_kept_models: list[object] = []
_closed: set[int] = set()  # standard streams that the process was started without


def prepare_process() -> None:
    """Open closed standard streams on the null device, and let SIGTERM and SIGINT clean up."""
    _fill_standard_streams()
    # Nothing here multiplies with numpy, whose threads would spin at the start: 0.1 s of a core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def stdout_for_data() -> IO[bytes] | None:
    """Return standard output for rows, or None where the process was started without it."""
    return None if 1 in _closed else sys.stdout.buffer


def keep_until_exit(model: object) -> None:
    """Keep a reference to the last model, so that it is not freed before the process ends."""
    _kept_models[:] = [model]


def end(code: int) -> NoReturn:
    """End the process without freeing the model, for which OpenVINO alone needs 0.3 s.

    The functions of `atexit` are called first, except after an interrupt.
    """
    if code not in _INTERRUPTED:
        atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter's own, and it has no public name
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the pipe is closed, or the disk full: the exit code has to do
            code = code or StorageError.exit_code
    os._exit(code)


def _fill_standard_streams() -> None:
    """Occupy the descriptors 0 to 2.

    With stderr closed, the next file to be opened would get its number, and a library that
    logs to stderr would write into our output.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
            _closed.add(descriptor)
    # Python found them closed and has no object for them.
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8")
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8")


def _interrupt(number: int, _: FrameType | None) -> None:
    """Raise once. `timeout` sends SIGTERM twice; a second Ctrl-C means at once."""
    if signal.getsignal(signal.SIGTERM) is _interrupt:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is _interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
