"""Work that is one step ahead, in a thread that an ending run does not wait for."""

import queue
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 1.0  # seconds that an ending run gives the step in hand


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
        thread.join(_PATIENCE)
