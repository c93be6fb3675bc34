"""Rows handed out in numbers that the taker chooses."""

from collections.abc import Callable, Iterator, Sized
from typing import Generic, TypeVar

Piece = TypeVar("Piece", bound=Sized)


class RowFeed(Generic[Piece]):
    """Cuts a stream of row containers anew, holding one of them at a time."""

    def __init__(self, pieces: Iterator[Piece], cut: Callable[[Piece, int, int], Piece]) -> None:
        self._pieces = pieces
        self._cut = cut
        self._held: Piece | None = None
        self._at = 0

    def take(self, rows: int) -> Iterator[Piece]:
        """Yield the next `rows` rows in pieces, fewer at the end of the stream."""
        while rows and (held := self._current()) is not None:
            stop = min(len(held), self._at + rows)
            yield self._cut(held, self._at, stop)
            rows -= stop - self._at
            self._at = stop

    def has_more(self) -> bool:
        """Tell whether rows are left."""
        return self._current() is not None

    def _current(self) -> Piece | None:
        while self._held is None or self._at == len(self._held):
            self._held = next(self._pieces, None)
            self._at = 0
            if self._held is None:
                return None
        return self._held
