"""The steps of an export, each told with its seconds as soon as it is done."""

import time
from collections.abc import Callable

# Is called with what is done and the seconds that it took; without them it is a remark.
Show = Callable[[str, float | None], object]


class Steps:
    """Measures each step from the end of the one before it."""

    def __init__(self, show: Show = lambda _words, _seconds: None) -> None:
        self._show = show
        self._since = time.monotonic()

    def done(self, words: str) -> None:
        """Tell that a step is done: a clause such as "the weights are written"."""
        self.pass_on(words, time.monotonic() - self._since)

    def note(self, words: str) -> None:
        """Tell something that took no time, such as what is left out and why."""
        self._show(words, None)

    def pass_on(self, words: str, seconds: float | None) -> None:
        """Tell what another process has measured."""
        self._show(words, seconds)
        self._since = time.monotonic()
