"""Work in threads: one step ahead of its consumer, and calls that an interrupt can end."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_JOIN_TIMEOUT_S = 1.0  # that an ending run gives the item that is being made
_SIGNAL_CHECK_S = 0.2


@dataclass(frozen=True, slots=True)
class _End:
    error: BaseException | None = None


def one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the items while the next one is being made in another thread.

    Closing it does not wait long for an item that is being made: an interrupt must get through.
    The thread ends after that item.
    """
    made: queue.SimpleQueue[T | _End] = queue.SimpleQueue()
    wanted = threading.Semaphore()
    stopped = threading.Event()

    def make() -> None:
        try:
            while wanted.acquire() and not stopped.is_set():
                made.put(next(items))
        except StopIteration:
            made.put(_End())
        except BaseException as error:  # noqa: BLE001 - raised where the item is wanted
            made.put(_End(error))

    thread = threading.Thread(target=make, name="ahead")
    thread.start()
    try:
        while not isinstance(item := made.get(), _End):
            wanted.release()
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        wanted.release()
        thread.join(_JOIN_TIMEOUT_S)


def begun(call: Callable[[], T]) -> "Future[T]":
    """Begin a call in a thread of its own, which does not keep the program from ending."""
    outcome: Future[T] = Future()
    _begin(call, outcome)
    return outcome


def _begin(call: Callable[[], T], outcome: "Future[T]") -> None:
    def work() -> None:
        if outcome.set_running_or_notify_cancel():
            try:
                outcome.set_result(call())
            except BaseException as error:  # noqa: BLE001  result() raises it
                outcome.set_exception(error)

    threading.Thread(target=work, name="begun", daemon=True).start()


def interruptible(call: Callable[[], T], cancel: Callable[[], object] | None = None) -> T:
    """Return what a call of a library returns; a signal interrupts it.

    Python handles signals only between two steps of the main thread, which such a call may not
    leave for minutes. So the call is made in another thread.

    Args:
        call: What may take long.
        cancel: Ends the call when a signal comes. Its end is waited for, also where the library
            cannot cancel: a connection must not be closed under it. None where nothing is lost
            if the call is left alone and the program ends.
    """
    outcome: Future[T] = Future()
    try:
        _begin(call, outcome)
        while wait([outcome], _SIGNAL_CHECK_S).not_done:
            pass  # a signal that the system gives to another thread is handled here now
    except BaseException:
        if cancel and not outcome.cancel():  # the call has begun
            with suppress(Exception):  # the interrupt matters more than an error of `cancel`
                cancel()
            wait([outcome])
        raise
    return outcome.result()
