"""Statements that a signal can end, however long their library stays inside of them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def interruptibly(call: Callable[[], T], cancel: Callable[[], object]) -> T:
    """Return what a call returns; cancel it when a signal comes, and wait until it has ended.

    The call is made in a thread: Python hears signals only between two steps of the main one. An
    engine that cannot cancel is waited for, because its connection must not be closed under it.
    """
    with ThreadPoolExecutor(1, "database") as thread:
        running = thread.submit(call)
        try:
            return running.result()
        except KeyboardInterrupt:
            with suppress(Exception):  # the interrupt matters more, and the thread is waited for
                cancel()
            raise
