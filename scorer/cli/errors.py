"""The one place where an error becomes a line on stderr and an exit code."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import click

from scorer.errors import StorageError, TweetscoreError, exit_code

DEBUG = "tweetscore.debug"  # in the context's meta, which all commands share
_READER_GONE = 141  # as a shell reports a program that SIGPIPE ended
_CLICKS_OWN = (click.ClickException, click.exceptions.Exit, click.Abort, SystemExit)


@contextmanager
def exit_codes() -> Iterator[None]:
    """Let no exception past but click's own: the others become a line and click's Exit."""
    try:
        yield
        sys.stdout.flush()
    except _CLICKS_OWN:
        raise
    except BaseException as error:  # the last stop: polars' panics are no Exceptions
        raise click.exceptions.Exit(end_with(error)) from error


def end_with(error: BaseException) -> int:
    """Print what ends the process, unless nobody reads it, and return its exit code."""
    code = _READER_GONE if isinstance(error, BrokenPipeError) else print_error(error)
    _forget_unwritten()
    return code


def print_error(error: BaseException) -> int:
    """Print an error as one line on stderr, after its traceback with --debug.

    Returns:
        Its exit code.
    """
    context = click.get_current_context(silent=True)  # none before the command line is parsed
    if context and context.meta.get(DEBUG):
        _say("".join(traceback.format_exception(error)))
    if isinstance(error, OSError):
        error = StorageError(_io_problem(error))
    if isinstance(error, TweetscoreError):
        line = str(error)
    elif isinstance(error, KeyboardInterrupt):
        line = "interrupted; nothing is half-written, run the same command again"
    else:
        line = str(
            TweetscoreError(
                f"a bug of ours: {type(error).__name__}: {error}",
                "please report it with what --debug shows",
            )
        )
    _say(f"tweetscore: {line}\n")
    return exit_code(error)


def _io_problem(error: OSError) -> str:
    words = error.strerror or str(error) or type(error).__name__
    name = errno.errorcode.get(error.errno or 0, "")
    return ": ".join(part for part in (name, words, str(error.filename or "")) if part)


def _say(words: str) -> None:
    """Print on stderr; where that is full or gone, the exit code has to do."""
    try:
        click.echo(words, err=True, nl=False)
    except OSError:
        _forget_unwritten()


def _forget_unwritten() -> None:
    """Keep the interpreter from flushing to a full disk or a closed pipe once more as it exits."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
