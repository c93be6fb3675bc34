"""The one place where an error becomes a line on stderr and an exit code."""

import errno
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from click.core import ParameterSource

from scorer.cli.invocation import variable, with_command
from scorer.cli.log import forget_unwritten, in_json, log_message
from scorer.errors import StorageError, TweetscoreError, UsageError, exit_code
from scorer.os_errors import as_out_of_memory

DEBUG = "tweetscore.debug"  # in the context's meta, which all commands share
_READER_GONE = 141  # as a shell reports a program that SIGPIPE ended
_CLICKS_OWN = (click.exceptions.Exit, click.Abort, SystemExit)


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
    """Print an error as one line on stderr, after its traceback with --debug.

    Args:
        error: What went wrong.
        event: The kind of the event in the JSON log.
        facts: Further members of the JSON object.

    Returns:
        Its exit code.
    """
    error = as_out_of_memory(error)
    code = exit_code(error)
    trace = "".join(traceback.format_exception(error)) if _debugging() else ""
    try:
        if trace and in_json():
            facts["traceback"] = trace
        elif trace:
            click.echo(trace, err=True, nl=False)
        log_message("error", event, _line(error, facts), **facts, exit_code=code)
    except OSError:  # stderr is full or gone: the exit code has to do
        _forget_unwritten()
    return code


def _debugging() -> bool:
    context = click.get_current_context(silent=True)  # none before the command line is parsed
    return bool(context and context.meta.get(DEBUG))


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
