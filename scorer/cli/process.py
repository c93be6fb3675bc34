"""The process of a command: its streams, signals and end, and its errors.

This is the one place where an error becomes a line on stderr and an exit code.
"""

import atexit
import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import IO, Any, NoReturn

import click
from click.core import ParameterSource

from scorer.cli.invocation import variable, with_command
from scorer.cli.log import forget_unwritten, in_json, log_message
from scorer.errors import StorageError, Terminated, TweetscoreError, UsageError, exit_code
from scorer.os_errors import as_out_of_memory

DEBUG = "tweetscore.debug"  # in the context's meta, which all commands share
_READER_GONE = 141  # as a shell reports a program that SIGPIPE ended
_CLICKS_OWN = (click.exceptions.Exit, click.Abort, SystemExit)
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


@contextmanager
def exit_codes() -> Iterator[None]:
    """Let no exception past but click's own: the others become a line and click's Exit."""
    try:
        yield
        sys.stdout.flush()
    except _CLICKS_OWN:
        raise
    except click.ClickException as error:
        line = _wrong_value(error)
        if not line and not in_json():
            raise  # click shows the usage too
        log_message("error", "usage", line or error.format_message(), exit_code=error.exit_code)
        raise click.exceptions.Exit(error.exit_code) from error
    except BaseException as error:  # the last stop: polars' panics are no Exceptions
        raise click.exceptions.Exit(end_with(error)) from error


def _wrong_value(error: click.ClickException) -> str:
    """Return the line for a value that an option does not take; nothing for another error."""
    if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter):
        return ""
    param, context = error.param, error.ctx
    if param is None or context is None:
        return ""
    from_environment = context.get_parameter_source(param.name or "") is ParameterSource.ENVIRONMENT
    where = variable(param) if from_environment else param.get_error_hint(context).replace("'", "")
    return str(UsageError(f"{where}: {error.message.rstrip('.')}"))


def end_with(error: BaseException) -> int:
    """Print the error that ends the process, unless it is a closed pipe; return its exit code."""
    code = _READER_GONE if isinstance(error, BrokenPipeError) else print_error(error)
    _forget_unwritten()
    return code


def print_error(error: BaseException, event: str = "error", **facts: Any) -> int:
    """Print an error as one line on stderr, after its traceback with --debug; return its exit code.

    `event` and `facts` are as of `log_message`.
    """
    error = as_out_of_memory(error)
    code = exit_code(error)
    context = click.get_current_context(silent=True)  # none before the command line is parsed
    debugging = context and context.meta.get(DEBUG)
    trace = "".join(traceback.format_exception(error)) if debugging else ""
    try:
        if trace and in_json():
            facts["traceback"] = trace
        elif trace:
            click.echo(trace, err=True, nl=False)
        log_message("error", event, _line(error, facts), **facts, exit_code=code)
    except OSError:  # stderr is full or gone: the exit code has to do
        _forget_unwritten()
    return code


def _line(error: BaseException, facts: Mapping[str, Any]) -> str:
    if isinstance(error, OSError):
        error = StorageError(_io_problem(error))
    if isinstance(error, TweetscoreError):
        return with_command(error, facts if "input" in facts else None)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; nothing is half-written, run the same command again"
    problem = f"a bug of ours: {type(error).__name__}: {error}"
    return str(TweetscoreError(problem, "please report it with what --debug shows"))


def _io_problem(error: OSError) -> str:
    words = error.strerror or str(error) or type(error).__name__
    name = errno.errorcode.get(error.errno or 0, "")
    return ": ".join(part for part in (name, words, str(error.filename or "")) if part)


def _forget_unwritten() -> None:
    """Let nothing be flushed to a full disk or a closed pipe once more as the program exits."""
    for stream in (sys.stdout, sys.stderr):
        forget_unwritten(stream)
