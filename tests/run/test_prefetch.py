import os
import signal
import threading
from collections.abc import Iterator

import pytest

from scorer.prefetch import interruptible, one_ahead


def test_one_item_is_made_while_one_is_used() -> None:
    """The maker runs exactly one item ahead, so memory does not grow with the input."""
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    ahead = [len(made) - number for number in one_ahead(items())]
    assert len(ahead) == 50
    assert max(ahead) <= 2  # the one in hand and the next


def test_an_error_comes_through_after_the_items_before_it() -> None:
    """An error of the other thread is raised where the item is consumed."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    ahead = one_ahead(items())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="broken"):
        next(ahead)


def test_closing_does_not_wait_for_the_item_in_hand() -> None:
    """An interrupt gets through while a long item is being made; its thread then ends."""
    began, release, ended = threading.Event(), threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 1
        began.set()
        release.wait()
        ended.set()
        yield 2

    ahead = one_ahead(items())
    assert next(ahead) == 1
    began.wait()
    ahead.close()
    assert not ended.is_set()
    release.set()
    assert ended.wait(60)


def test_a_signal_cancels_what_runs_and_waits_for_its_end() -> None:
    """The statement is cancelled, and its connection is free when the interrupt is raised."""
    cancelled, ended = threading.Event(), threading.Event()

    def statement() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cancelled.wait()
        ended.set()
        raise OSError("the engine's own words for it")

    with pytest.raises(KeyboardInterrupt):
        interruptible(statement, cancelled.set)
    assert ended.is_set()


def test_an_engine_that_cannot_cancel_is_waited_for() -> None:
    """What it says of being asked does not take the place of the interrupt."""
    asked, ended = threading.Event(), threading.Event()

    def statement() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        asked.wait()
        ended.set()

    def cancel() -> None:
        asked.set()
        raise NotImplementedError

    with pytest.raises(KeyboardInterrupt):
        interruptible(statement, cancel)
    assert ended.is_set()


def test_results_and_errors_come_through() -> None:
    """Nothing else is changed by the thread."""
    assert interruptible(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, lambda: None)


def test_a_long_call_is_waited_for_however_often_signals_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its result comes back after many checks, none of which ends it."""
    monkeypatch.setattr("scorer.prefetch._SIGNAL_CHECK_S", 1e-4)
    assert interruptible(lambda: not threading.Event().wait(0.05))


def test_what_nobody_can_cancel_is_left_alone() -> None:
    """A login to a server that does not answer."""
    never = threading.Event()

    def login() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        never.wait()

    with pytest.raises(KeyboardInterrupt):
        interruptible(login)
    assert not never.is_set()
    never.set()


def test_a_call_that_has_not_begun_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes before the thread leaves nothing to cancel."""
    threads, made = [], []

    def start(thread: threading.Thread) -> None:
        threads.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: made.append(1), lambda: made.append(2))
    threads[0].run()
    assert not made
