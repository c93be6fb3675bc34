"""Calls of a library that hears no signals: SIGTERM must not wait for a server."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from threading import Event
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_TICK = 0.2  # seconds


def heard(call: Callable[P, T], *args: P.args, **how: P.kwargs) -> T:
    """Call in a thread; an interrupt leaves it to itself."""
    return heard_and_ended(None, partial(call, *args, **how))


def heard_and_ended(stop: Event | None, call: Callable[[], T]) -> T:
    """Call in a thread; an interrupt sets `stop`, if there is one, and waits for the call's end."""
    pool = ThreadPoolExecutor(1)
    pending = pool.submit(call)
    try:
        while wait([pending], timeout=_TICK).not_done:
            pass  # whichever thread the system gives a signal to, this one hears it now
        return pending.result()
    except BaseException:
        if stop:
            stop.set()
            wait([pending])
        raise
    finally:
        pool.shutdown(wait=False)
