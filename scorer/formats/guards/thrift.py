"""Thrift's compact protocol, in which Parquet writes its footer and its page headers.

Values are read where they are wanted, and passed over elsewhere: a footer may hold a million
column chunks, whose bytes are kept as they are.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

BINARY, LIST, STRUCT = 8, 9, 12
I32, I64 = 5, 6
_SET, _MAP = 10, 11
_TRUE, _FALSE = 1, 2
_WHOLE = (4, 5, 6)  # whole numbers of 16, 32 and 64 bits
_DEEPEST = 16  # structs and lists in each other; Parquet's are six deep
_TOO_DEEP = "there are fields in fields without an end"
_MOST = (1 << 63) - 1


class Field(NamedTuple):
    """A field of a struct."""

    number: int
    kind: int
    head: int  # where it begins
    at: int  # where its value begins


class Compact:
    """A reader; IndexError where the bytes end too early, ValueError if they are none."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def fields(self) -> Iterator[Field]:
        """Yield a struct's fields; the caller moves `at` behind each value before the next."""
        number = 0
        while head := self._byte():
            begin = self.at - 1
            number = number + (head >> 4) if head >> 4 else self.integer()
            yield Field(number, head & 15, begin, self.at)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields' values by their numbers."""
        return {field.number: self._value(field.kind, depth + 1) for field in self.fields()}

    def list_head(self) -> tuple[int, int]:
        """Return the number of a list's elements, and their kind."""
        head = self._byte()
        size = self.size() if head >> 4 == 15 else head >> 4
        if size > len(self.data) - self.at:  # no element takes less than a byte
            raise IndexError
        return size, head & 15

    def pass_over(self, kind: int, depth: int = 0) -> None:
        """Move behind a value."""
        self.at = _END[kind](self.data, self.at, depth)

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {_TRUE, _FALSE}:
            return kind == _TRUE
        if kind in _WHOLE:
            return self.integer()
        if kind == BINARY:
            return self.binary()
        if kind in {LIST, STRUCT} and depth < _DEEPEST:
            return self.struct(depth) if kind == STRUCT else self._elements(depth)
        return self.pass_over(kind, depth)

    def binary(self) -> bytes:
        """Return bytes after their length."""
        size = self.size()
        self.at += size
        if self.at > len(self.data):
            raise IndexError
        return self.data[self.at - size : self.at]

    def integer(self) -> int:
        """Return a whole number that may be negative."""
        number = self.size()
        return number >> 1 ^ -(number & 1)

    def _elements(self, depth: int) -> list[Any]:
        size, kind = self.list_head()
        kind = 3 if kind in {_TRUE, _FALSE} else kind  # a truth value takes a byte here
        return [self._value(kind, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def size(self) -> int:
        """Return a number that is not negative."""
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number has no end")
        return number | byte << shift


# What follows is called millions of times: each moves behind a value and returns where it ends.


def _end_of_nothing(data: bytes, at: int, depth: int) -> int:
    return at


def _end_of_byte(data: bytes, at: int, depth: int) -> int:
    return at + 1


def _end_of_eight(data: bytes, at: int, depth: int) -> int:
    return at + 8


def _end_of_number(data: bytes, at: int, depth: int) -> int:
    while data[at] > 127:
        at += 1
    return at + 1


def _end_of_binary(data: bytes, at: int, depth: int) -> int:
    size = data[at]
    if size < 128:
        return at + 1 + size
    compact = Compact(data, at)
    size = compact.size()
    return compact.at + size


def _end_of_list(data: bytes, at: int, depth: int) -> int:
    if depth > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    head = data[at]
    size, kind, at = head >> 4, head & 15, at + 1
    if size == 15:
        compact = Compact(data, at - 1)
        size, kind = compact.list_head()
        at = compact.at
    end_of = _END[_IN_LISTS.get(kind, kind)]
    for _ in range(size):
        at = end_of(data, at, depth + 1)
    return at


def _end_of_map(data: bytes, at: int, depth: int) -> int:
    if depth > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    compact = Compact(data, at)
    if not (size := compact.size()):
        return compact.at
    if size > len(data) - compact.at:
        raise IndexError
    kinds, at = data[compact.at], compact.at + 1
    ends = [_END[_IN_LISTS.get(kind, kind)] for kind in (kinds >> 4, kinds & 15)]
    for _ in range(size):
        for end_of in ends:
            at = end_of(data, at, depth + 1)
    return at


def _end_of_struct(data: bytes, at: int, depth: int = 0) -> int:
    """Return where a struct ends; IndexError or ValueError where it does not."""
    if depth > _DEEPEST:
        raise ValueError(_TOO_DEEP)
    while head := data[at]:
        at += 1
        if head < 16:  # the field's number of its own
            at = _end_of_number(data, at, depth)
        if 4 <= (kind := head & 15) <= 6:
            while data[at] > 127:
                at += 1
            at += 1
        else:
            at = _END[kind](data, at, depth + 1)
    return at + 1


def end_of_value(data: bytes, at: int, kind: int) -> int:
    """Return where a value of a kind ends; IndexError or ValueError where it does not."""
    return _END[kind](data, at, 0)


def _end_of_unknown(data: bytes, at: int, depth: int) -> int:
    raise ValueError("there is a field of an unknown type")


_IN_LISTS = {_TRUE: 3, _FALSE: 3}  # a truth value takes a byte there
_END: list[Callable[[bytes, int, int], int]] = [
    _end_of_unknown,
    _end_of_nothing,
    _end_of_nothing,
    _end_of_byte,
    _end_of_number,
    _end_of_number,
    _end_of_number,
    _end_of_eight,
    _end_of_binary,
    _end_of_list,
    _end_of_list,  # a set
    _end_of_map,
    _end_of_struct,
    _end_of_unknown,
    _end_of_unknown,
    _end_of_unknown,
]


def number(value: int) -> bytes:
    """Return a whole number that is not negative as it is written."""
    if value > _MOST:
        raise ValueError("a number is too large")
    return length(value << 1)


def length(value: int) -> bytes:
    """Return a length as it is written."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def list_of(kind: int, size: int) -> bytes:
    """Return what stands before a list's elements."""
    return bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + length(size)


def field_head(before: int, field: int, kind: int) -> bytes:
    """Return what stands before a field's value, behind a field of a lower number."""
    return bytes([(field - before) << 4 | kind])
