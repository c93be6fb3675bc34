import threading
from collections.abc import Iterator

import pytest

from scorer.ahead import one_ahead


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
    """What the other thread meets is raised where the item is wanted."""

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
