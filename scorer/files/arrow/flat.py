"""FlatBuffers, in which Arrow IPC writes what it says of itself: the little of it that we read."""

import struct
from collections.abc import Iterator


class Table:
    """A table in such bytes; struct.error or ValueError where there is none.

    Offsets are taken as they come: whatever a forged one leads to is read as numbers, and no more
    than the bytes that are there.
    """

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at
        self._names = at - self._number("<i", at)
        self._size = self._number("<H", self._names)

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """Return the outermost table."""
        (at,) = struct.unpack_from("<I", data)
        return cls(data, at)

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a field of a struct format such as `<q`."""
        at = self._place(field)
        return self._number(kind, at) if at else default

    def table(self, field: int) -> "Table | None":
        """Return the table that a field leads to."""
        at = self._place(field)
        return Table(self._data, at + self._number("<I", at)) if at else None

    def structs(self, field: int, kind: str) -> Iterator[tuple[int, ...]]:
        """Return the elements of a vector of structs, each as a struct format reads it."""
        at = self._place(field)
        if not at:
            return iter(())
        at += self._number("<I", at)
        size = self._number("<I", at) * struct.calcsize(kind)
        if at + 4 + size > len(self._data):
            raise ValueError("a list is longer than what holds it")
        return struct.iter_unpack(kind, memoryview(self._data)[at + 4 : at + 4 + size])

    def _place(self, field: int) -> int:
        """Return where a field is, or 0 where it is left out."""
        entry = 4 + 2 * field
        if entry >= self._size:
            return 0
        offset = self._number("<H", self._names + entry)
        return self._at + offset if offset else 0

    def _number(self, kind: str, at: int) -> int:
        if at < 0:
            raise ValueError("an offset leads out of the message")
        number: int = struct.unpack_from(kind, self._data, at)[0]
        return number
