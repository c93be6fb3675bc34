"""The values at one place in many lines, each decoded by msgspec into a type of that one member.

It checks a whole line and builds nothing but that value. What it may not judge as the rules of
`strict` do is a doubt: whatever it refuses, a line in which a key may be there twice or be spelled
by numbers, and one that may be nested too deep.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
from msgspec import UNSET

from scorer.formats.ndjson.strict import MOST_DEPTH, depth
from scorer.formats.text.columns import Keys

_SHALLOW = 2 * MOST_DEPTH  # bytes in which nothing is nested too deep
_LETTERS = frozenset('"\\/\b\f\n\r\t')  # that an escape of two characters can stand for
_REFUSED = (msgspec.MsgspecError, RecursionError)


class _Refused:
    """The type of members that no line may have: nothing becomes one."""


def _refuse(kind: type, _: object) -> None:
    raise ValueError(kind)


class Decoder:
    """Takes the value at a path out of lines.

    Args:
        path: Keys, from the outermost.
        leaf: The type of the value; None is what is missing.
        refused: Keys of the outermost object with which a line is a doubt.
    """

    def __init__(self, path: Keys, leaf: Any, refused: Sequence[str] = ()) -> None:
        self._path = path
        self._quoted = tuple(f'"{key}"'.encode() for key in path)
        self._spelled = re.compile(_spellings(chain(path, refused))).search
        kind = _type_of(path, leaf, filter(_is_literal, refused))
        decoder = msgspec.json.Decoder(kind, dec_hook=_refuse)
        self._decode, self._decode_all = decoder.decode, decoder.decode_lines
        self._members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

    def all_values(self, block: memoryview, lines: int) -> list[Any] | None:
        """Return the value of each line, None where it is missing; no list where one is a doubt.

        Half of the CPU time that `values` takes: nothing is done in Python for each line.

        Args:
            block: Lines that begin with `{` and end with `}`, not nested too deep. These two can
                meet only between two objects: with as many objects as lines, each line is one.
            lines: How many.
        """
        if len(self._path) > 1 or self._spelled(block):
            return None
        try:
            objects = self._decode_all(block)
        except _REFUSED:
            return None
        found = [each.member for each in objects]
        missing = found.count(UNSET)
        # Where the name is there as often as there are objects that have it, none has it twice.
        if len(found) != lines or bytes(block).count(self._quoted[0]) != lines - missing:
            return None
        return [None if each is UNSET else each for each in found] if missing else found

    def values(self, lines: Sequence[bytes], around: memoryview) -> tuple[list[Any], list[int]]:
        """Return the value of each line, None where it is missing, and the numbers of doubts.

        Args:
            lines: The lines.
            around: Bytes in which all of them stand.
        """
        found: list[Any] = [None] * len(lines)
        doubts: list[int] = []
        decode, quoted, last = self._decode, self._quoted, self._quoted[-1]
        spelled = self._spelled if self._spelled(around) else None
        nested = len(quoted) > 1
        # A million lines a second: no call that can be spared.
        for number, line in enumerate(lines):
            most = max(map(line.count, quoted)) if nested else line.count(last)
            if (
                (most > 1 and self._may_be_twice(line))
                or (spelled and spelled(line))
                or (len(line) > _SHALLOW and depth(line) > MOST_DEPTH)
            ):
                doubts.append(number)
            else:
                try:
                    value = decode(line).member
                    found[number] = None if value is UNSET else value
                except _REFUSED:
                    doubts.append(number)
        for _ in quoted[1:]:
            found = [None if each is None else each.member for each in found]
        return found, doubts

    def _may_be_twice(self, line: bytes) -> bool:
        """Tell whether a key of the path may be twice in its object.

        It is there once where all its other occurrences lie in the values beside it.
        """
        around = line
        for key, quoted in zip(self._path, self._quoted, strict=True):
            try:
                members = {name: bytes(value) for name, value in self._members(around).items()}
            except _REFUSED:
                return True
            beside = sum(value.count(quoted) for value in members.values())
            if around.count(quoted) > beside + (key in members):
                return True
            around = members.get(key, b"null")
            if around == b"null":
                break
        return False


def _type_of(path: Keys, leaf: Any, refused: Iterable[str]) -> Any:
    """Return a type of objects in objects, each with one member; the outermost refuses some."""
    refused = tuple(refused)
    if path[0] in refused or not all(map(_is_literal, path)):
        return _Refused  # a doubt, whatever the line
    kind = leaf
    for key in reversed(path[1:]):
        inner = [("member", kind, None)]
        kind = msgspec.defstruct("Inner", inner, rename={"member": key}, gc=False) | None
    fields: list[tuple[str, Any, Any]] = [("member", kind | msgspec.UnsetType, UNSET)]
    names = {"member": path[0]}
    for number, key in enumerate(refused):
        fields.append((f"refused{number}", _Refused, None))
        names[f"refused{number}"] = key
    return msgspec.defstruct("Outermost", fields, rename=names, gc=False)


def _is_literal(name: str) -> bool:
    """Tell whether a name stands in JSON as it is, unless it is spelled by numbers."""
    return all(c >= " " and c not in '"\\' for c in name)


def _spellings(names: Iterable[str]) -> bytes:
    """Return a regular expression for the escapes that can stand for characters of names."""
    letters = set(chain.from_iterable(names))
    units = {letter.encode("utf-16-be")[i : i + 2].hex() for letter in letters for i in (0, 2)}
    found = ["u" + "".join(f"[{d}{d.upper()}]" for d in unit) for unit in sorted(units - {""})]
    if letters & _LETTERS:
        found.append(r'["\\/bfnrt]')
    return rf"\\(?:{'|'.join(found)})".encode()
