"""The confined process: `python -m export.isolation.child`.

Its order comes through standard input; what it tells goes to what was its standard output. It is
confined before anything foreign is opened, and before any library of size is loaded.
"""

import errno
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

from msgspec import Raw

from export.isolation.limits import Limits, file_too_large, is_near, memory_used_up
from export.isolation.messages import (
    Done,
    Failed,
    Lacking,
    Message,
    Order,
    StepDone,
    encode,
    order_decoder,
)
from export.isolation.sandbox import confine, die_with
from export.steps import Steps
from scorer.errors import InvalidBundle, TweetscoreError, one_line
from scorer.installation import needed
from scorer.os_errors import is_shortage

Target = Callable[[bytes, Steps], Any]  # takes an argument in JSON; returns what JSON can say

_LONGEST_TRACE = 1 << 16  # characters
_WITHHELD = (errno.EACCES, errno.EPERM)


def main() -> None:
    """Do what the order says, and tell how it ended."""
    order = order_decoder.decode(sys.stdin.buffer.read())
    die_with(order.parent)
    channel = os.dup(1)
    os.dup2(2, 1)  # libraries print; the channel is for messages alone

    def tell(message: Message) -> None:
        line = encode(message) + b"\n"
        while line:
            line = line[os.write(channel, line) :]

    try:
        tell(Done(Raw(encode(_do(order, tell)))))
    except BaseException as error:  # the parent prints it, as its own
        tell(_failure(error, order.limits))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # freeing a model takes its time


def _do(order: Order, tell: Callable[[Message], None]) -> Any:
    readable = map(os.fsdecode, order.readable)
    writable = map(os.fsdecode, order.writable)
    if lacking := confine(readable, writable, order.limits):
        tell(Lacking(lacking))
    steps = Steps(lambda words, took: tell(StepDone(words, took)))
    logging.getLogger("export").addHandler(_Notes(steps))
    module, _, name = order.target.partition(":")
    with needed("export", "training and exporting need"):
        target: Target = getattr(importlib.import_module(module), name)
        return target(bytes(order.argument), steps)


class _Notes(logging.Handler):
    """Tells what our modules warn of; standard error is the libraries'."""

    def __init__(self, steps: Steps) -> None:
        super().__init__(logging.WARNING)
        self._steps = steps

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one message."""
        self._steps.note(record.getMessage())


def _failure(error: BaseException, limits: Limits) -> Failed:
    trace = "".join(traceback.format_exception(error))[-_LONGEST_TRACE:]
    known = _explained(error, limits)
    return Failed(type(known).__name__, one_line(known.problem), one_line(known.remedy), trace)


def _explained(error: BaseException, limits: Limits) -> TweetscoreError:
    """Return the error as one of ours; where a limit is the cause, with what to do about it."""
    if is_shortage(error):
        return memory_used_up(limits)
    if isinstance(error, TweetscoreError):
        return error
    number = error.errno if isinstance(error, OSError) else None
    if number in _WITHHELD:
        return InvalidBundle(
            f"the model wants a file, the network or a process, which no conversion has ({error})",
            "do not use it; --debug shows what it tried",
        )
    if number == errno.EFBIG:
        return file_too_large(limits)
    if is_near(limits):
        return memory_used_up(limits)
    problem = f"a bug of ours: {type(error).__name__}: {error}"
    return TweetscoreError(problem, "please report it with what --debug shows")


if __name__ == "__main__":
    main()
