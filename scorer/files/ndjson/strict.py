"""One line of NDJSON, read strictly: the rules, for the few lines that need them one by one.

A line is one JSON object by RFC 8259, with white space around it or not: no NaN, nothing after
it, nested at most `MOST_DEPTH` deep. Its text is a string, or null, or not there, which is the
same as null. It has the text's key once, and none of those that are to be appended. Everything
else is its own business: other keys twice, numbers of any size, half a surrogate pair.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scorer.records import RejectKind

MOST_DEPTH = 200  # brackets in brackets; far from where a parser that calls itself would end

SPACE = b" \t\r\n"  # white space between tokens

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_WHOLE = re.compile(r"-?[0-9]+")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class Keys:
    """Which keys of an object matter."""

    text: str
    appended: tuple[str, ...] = ()  # that no line may have yet


@dataclass(frozen=True, slots=True)
class Row:
    """What a line holds."""

    text: str | None
    brace: int  # where the object's last brace stands
    bare: bool  # the object has no members


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a line is no row."""

    kind: RejectKind
    reason: str


class _Object(list[tuple[str, Any]]):
    """The members of an object in order, those that are there twice too."""


class _Number(str):
    """A number as it is spelled: never converted, however long it is."""

    __slots__ = ()


class _NotJson(ValueError):
    """A constant that only Python takes for JSON."""


def _refuse(constant: str) -> None:
    raise _NotJson(f"{constant} is no JSON")


_decode = json.JSONDecoder(
    object_pairs_hook=_Object, parse_int=_Number, parse_float=_Number, parse_constant=_refuse
).decode


def read_line(line: bytes, keys: Keys) -> Row | Failure:
    """Read a line, without its line ending, that is valid UTF-8."""
    members = read_members(line)
    if isinstance(members, Failure):
        return members
    names = [name for name, _ in members]
    if taken := [name for name in keys.appended if name in names]:
        return Failure("key-taken", f"it has a key {taken[0]!r} already")
    if names.count(keys.text) > 1:
        return Failure("duplicate-key", f"it has the key {keys.text!r} twice")
    text = next((value for name, value in members if name == keys.text), None)
    if problem := _not_text(text):
        return Failure("not-text", f"the value of {keys.text!r} {problem}")
    brace = len(line.rstrip(SPACE)) - 1
    return Row(text, brace, bare=not members)


def read_members(line: bytes) -> Sequence[tuple[str, Any]] | Failure:
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
    except _NotJson as error:
        return Failure("not-json", str(error))
    if not isinstance(value, _Object):
        return Failure("not-object", f"it is {_kind(value)}, not an object")
    return value


def depth(line: bytes) -> int:
    """Return how deep brackets are nested, as far as a line is JSON."""
    if line.count(b"{") + line.count(b"[") <= MOST_DEPTH:
        return 1  # it cannot matter
    brackets = np.frombuffer(_STRING.sub(b"", line).translate(None, _NO_BRACKET), np.uint8)
    opens = (brackets == ord("{")) | (brackets == ord("["))
    return int(np.cumsum(np.where(opens, 1, -1)).max(initial=0))


def text_or_number(line: bytes, key: str) -> str | None:
    """Return the value of a key of a row if it is a string or a whole number, else None."""
    members = read_members(line)
    found = [] if isinstance(members, Failure) else [v for name, v in members if name == key]
    value = found[0] if len(found) == 1 else None
    if isinstance(value, _Number):
        return str(value) if _WHOLE.fullmatch(value) else None
    return value if isinstance(value, str) and not _not_text(value) else None


def _not_text(value: Any) -> str:
    """Return what is wrong with a text; nothing where it is one, or null."""
    if value is None:
        return ""
    if isinstance(value, _Number) or not isinstance(value, str):
        return f"is {_kind(value)}, not a string"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair"
    return ""


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = ((_Object, "an object"), (list, "an array"), (_Number, "a number"))
    return next((name for kind, name in names if isinstance(value, kind)), "a string")
