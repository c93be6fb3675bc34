"""What a training says while it runs; the command line prints it."""

from typing import Any, Literal, Protocol

Level = Literal["info", "warning", "error"]


class Notify(Protocol):
    """Takes one message."""

    def __call__(self, level: Level, event: str, message: str, **facts: Any) -> None:
        """Print it, or whatever else is to be done with it.

        Args:
            level: Whether anything is odd.
            event: Its kind, a word that programs can rely on.
            message: A sentence.
            facts: The numbers in it, as JSON has them.
        """


def silent(level: Level, event: str, message: str, **facts: Any) -> None:
    """Say nothing."""
