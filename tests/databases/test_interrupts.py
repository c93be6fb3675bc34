import os
import signal
import threading

import pytest

from scorer.databases.interrupts import interruptibly


def test_a_signal_cancels_what_runs_and_waits_for_its_end() -> None:
    """The statement hears of it, and its connection is free when the interrupt goes on."""
    cancelled, ended = threading.Event(), threading.Event()

    def statement() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cancelled.wait()
        ended.set()
        raise OSError("the engine's own words for it")

    with pytest.raises(KeyboardInterrupt):
        interruptibly(statement, cancelled.set)
    assert ended.is_set()


def test_an_engine_that_cannot_cancel_is_waited_for() -> None:
    """What it says of being asked does not take the place of the interrupt."""
    heard, ended = threading.Event(), threading.Event()

    def statement() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        heard.wait()
        ended.set()

    def cancel() -> None:
        heard.set()
        raise NotImplementedError

    with pytest.raises(KeyboardInterrupt):
        interruptibly(statement, cancel)
    assert ended.is_set()


def test_results_and_errors_come_through() -> None:
    """Nothing else is changed by the thread."""
    assert interruptibly(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        interruptibly(lambda: 1 // 0, lambda: None)


def test_what_nobody_can_cancel_is_left_alone() -> None:
    """A login to a server that does not answer."""
    never = threading.Event()

    def login() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        never.wait()

    with pytest.raises(KeyboardInterrupt):
        interruptibly(login, None)
    assert not never.is_set()
    never.set()
