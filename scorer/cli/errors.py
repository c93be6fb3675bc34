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
_CLICKS_OWN = (click.ClickException, click.exceptions.Exit, SystemExit)


@contextmanager
def exit_codes(ctx: click.Context) -> Iterator[None]:
    """Let no exception past but click's own: the others become a line and click's Exit."""
    try:
        yield
        sys.stdout.flush()
    except _CLICKS_OWN:
        raise
    except BrokenPipeError:
        _forget_stdout()
        ctx.exit(_READER_GONE)
    except BaseException as error:  # the last stop: polars' panics are no Exceptions
        ctx.exit(print_error(error))


def print_error(error: BaseException) -> int:
    """Print an error as one line on stderr, after its traceback with --debug.

    Returns:
        Its exit code.
    """
    if click.get_current_context().meta.get(DEBUG):
        click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    if isinstance(error, OSError):
        error = StorageError(_io_problem(error))
    if isinstance(error, TweetscoreError):
        line = str(error)
    elif isinstance(error, KeyboardInterrupt):
        line = "interrupted; no output is half-written, run the same command again"
    else:
        line = str(
            TweetscoreError(
                f"a bug of ours: {type(error).__name__}: {error}",
                "please report it with what --debug shows",
            )
        )
    click.echo(f"tweetscore: {line}", err=True)
    return exit_code(error)


def _io_problem(error: OSError) -> str:
    words = error.strerror or str(error) or type(error).__name__
    name = errno.errorcode.get(error.errno or 0, "")
    return ": ".join(part for part in (name, words, str(error.filename or "")) if part)


def _forget_stdout() -> None:
    """Keep the interpreter from flushing to the closed pipe once more as it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
