"""One line of NDJSON, read strictly: the rules, for the few lines that need them one by one.

A line is one JSON object by RFC 8259, with white space around it or not: nothing after it, nested
at most `MOST_DEPTH` deep. Its text is a string, or null, or not there, which is the same as null,
also where an object on the way to it is not there. No key on that way is there twice, and none of
those that are to be appended. Everything else is its own business: other keys twice, numbers of
any size, half a surrogate pair, and the three constants that Python's `json.dumps` and others
write for floats that are no numbers: such a row is counted.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from scorer.formats.text.columns import Inside, Keys
from scorer.records import RejectKind

MOST_DEPTH = 200  # brackets in brackets; far from where a parser that calls itself would end

SPACE = b" \t\r\n"  # white space between tokens

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class TextKeys:
    """Which keys of an object matter."""

    path: Keys  # of the text
    appended: tuple[str, ...] = ()  # that no line may have yet


@dataclass(frozen=True, slots=True)
class Row:
    """What a line holds."""

    text: str | None
    brace: int  # where the object's last brace stands
    bare: bool  # the object has no members
    not_finite: bool  # it has a constant that is no JSON


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a line is no row."""

    kind: RejectKind
    reason: str


class Members(list[tuple[str, Any]]):
    """The members of an object in order, those that are there twice too."""

    def add_to(self, inside: dict[str, Inside]) -> None:
        """Add to what is known of such objects: what their members hold, objects before all."""
        for name, value in self:
            known = inside.get(name, "value")
            if isinstance(value, Members):
                known = known if isinstance(known, dict) else {}
                value.add_to(known)
            elif isinstance(value, list) and not isinstance(known, dict):
                known = "list"
            inside[name] = known


class _Number(str):
    """A number as it is spelled: never converted, however long it is."""

    __slots__ = ()


class _NotFinite(str):
    """NaN, Infinity or -Infinity: not JSON, but unambiguous."""

    __slots__ = ()


_decode = json.JSONDecoder(
    object_pairs_hook=Members, parse_int=_Number, parse_float=_Number, parse_constant=_NotFinite
).decode


def read_line(line: bytes, keys: TextKeys) -> Row | Failure:
    """Read a line, without its line ending, that is valid UTF-8."""
    members = read_members(line)
    if isinstance(members, Failure):
        return members
    names = {name for name, _ in members}
    if taken := [name for name in keys.appended if name in names]:
        return Failure("key-taken", f"it has a key {taken[0]!r} already")
    text = _value(members, keys.path)
    if isinstance(text, Failure):
        return text
    if problem := _not_text(text):
        return Failure("not-text", f"the value of {'.'.join(keys.path)!r} {problem}")
    brace = len(line.rstrip(SPACE)) - 1
    suspected = b"NaN" in line or b"Infinity" in line
    return Row(text, brace, not members, suspected and bool(_first_constant(members)))


def read_members(line: bytes) -> Members | Failure:
    """Return a line's object as names and values, numbers as they are spelled."""
    if not line.strip(SPACE):
        return Failure("not-json", "a blank line")
    if depth(line) > MOST_DEPTH:
        return Failure("too-deep", f"nested more than {MOST_DEPTH} deep")
    try:
        value = _decode(line.decode())
    except json.JSONDecodeError as error:
        words = error.msg[:1].lower() + error.msg[1:]
        return Failure("not-json", f"no JSON at character {error.pos + 1}: {words}")
    if not isinstance(value, Members):
        if constant := _first_constant(value):
            return Failure("not-json", f"{constant} is no JSON")
        return Failure("not-object", f"it is {_kind(value)}, not an object")
    return value


def depth(line: bytes) -> int:
    """Return how deep brackets are nested, as far as a line is JSON."""
    if line.count(b"{") + line.count(b"[") <= MOST_DEPTH:
        return 1  # it cannot matter
    brackets = np.frombuffer(_STRING.sub(b"", line).translate(None, _NO_BRACKET), np.uint8)
    opens = (brackets == ord("{")) | (brackets == ord("["))
    return int(np.cumsum(np.where(opens, 1, -1)).max(initial=0))


def text_or_spelled(line: bytes, path: Keys, others: re.Pattern[bytes]) -> str | None:
    """Return the value of a row at a path: a string, or how another one is spelled, else None."""
    members = read_members(line)
    value = members if isinstance(members, Failure) else _value(members, path)
    if isinstance(value, (_Number, bool)):
        spelled = str(value).lower()  # as JSON has them: true, 1e5
        return spelled if others.fullmatch(spelled.encode()) else None
    return value if isinstance(value, str) and not _not_text(value) else None


def _value(members: Members, path: Keys) -> Any:
    """Return what is at the end of a path, None where it breaks off, or why that is not known."""
    value: Any = members
    for number, key in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, Members):
            so_far = ".".join(path[:number])
            return Failure("not-text", f"the value of {so_far!r} is {_kind(value)}, not an object")
        found = [inner for name, inner in value if name == key]
        if len(found) > 1:
            so_far = ".".join(path[: number + 1])
            return Failure("duplicate-key", f"it has the key {so_far!r} twice")
        value = found[0] if found else None
    return value


def _first_constant(value: Any) -> str:
    """Return the first constant that is no JSON, or nothing."""
    if isinstance(value, list):
        inside = (inner for _, inner in value) if isinstance(value, Members) else value
        return next(filter(None, map(_first_constant, inside)), "")
    return value if isinstance(value, _NotFinite) else ""


def _not_text(value: Any) -> str:
    """Return what is wrong with a text; nothing where it is one, or null."""
    if value is None:
        return ""
    if isinstance(value, (_Number, _NotFinite)) or not isinstance(value, str):
        return f"is {_kind(value)}, not a string"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return ""


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, _NotFinite):
        return str(value)
    names = ((Members, "an object"), (list, "an array"), (_Number, "a number"))
    return next((name for kind, name in names if isinstance(value, kind)), "a string")
