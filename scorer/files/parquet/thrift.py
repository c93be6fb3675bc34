"""Thrift's compact protocol, in which Parquet writes its footer and its page headers."""

from collections.abc import Iterator
from typing import Any

_DEEPEST = 16  # structs and lists in each other; Parquet's are six deep


class Compact:
    """A reader of such bytes; IndexError where they end too early, ValueError if they are none."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields by their numbers."""
        fields: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            number = number + (kind >> 4) if kind >> 4 else self._integer()
            fields[number] = self._value(kind & 15, depth + 1)
        return fields

    def elements_of_field(self, number: int) -> Iterator[Any]:
        """Read a struct and yield the elements of one of its lists, one in memory at a time."""
        at = 0
        while kind := self._byte():
            at = at + (kind >> 4) if kind >> 4 else self._integer()
            if at == number and kind & 15 == 9:
                yield from self._elements(1)
            else:
                self._value(kind & 15, 1)

    def _elements(self, depth: int) -> Iterator[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        for _ in range(size):
            # A truth value takes a byte here, as a small number does.
            yield self._value(3 if head & 15 in {1, 2} else head & 15, depth + 1)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {1, 2}:
            return kind == 1
        if kind in {4, 5, 6}:
            return self._integer()
        if kind == 8:
            return self._skip(self._varint())
        if kind in {3, 7}:
            return self._skip(1 if kind == 3 else 8)
        if kind in {9, 12} and depth < _DEEPEST:
            return self.struct(depth) if kind == 12 else list(self._elements(depth))
        raise ValueError(f"there is a field of type {kind}")

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number has no end")
        return number | byte << shift

    def _integer(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _skip(self, size: int) -> None:
        self.at += size
        if self.at > len(self.data):
            raise IndexError
