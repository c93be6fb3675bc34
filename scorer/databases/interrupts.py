"""Statements that a signal can end, however long their library stays inside of them."""

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def interruptibly(call: Callable[[], T], cancel: Callable[[], object] | None) -> T:
    """Return what a call returns; cancel it when a signal comes, and wait until it has ended.

    The call is made in a thread: Python hears signals only between two steps of the main one. An
    engine that cannot cancel is waited for, because its connection must not be closed under it.

    Args:
        call: What may take long.
        cancel: Ends it; None where nothing is lost if it is left alone and the program ends.
    """
    outcome: Future[T] = Future()

    def work() -> None:
        if outcome.set_running_or_notify_cancel():
            try:
                outcome.set_result(call())
            except BaseException as error:  # noqa: BLE001  result() raises it
                outcome.set_exception(error)

    try:
        Thread(target=work, name="database", daemon=True).start()
        return outcome.result()
    except KeyboardInterrupt:
        if cancel and not outcome.cancel():  # it has begun
            with suppress(Exception):  # the interrupt matters more than what cancelling says
                cancel()
            wait([outcome])
        raise
