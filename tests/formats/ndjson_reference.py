"""The NDJSON rules once more: a line at a time, with Python's own parser and nothing shared."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A row."""

    before: bytes  # the line up to its last brace
    after: bytes
    bare: bool
    text: str | None


@dataclass(frozen=True)
class Lost:
    """A reject."""

    line: int
    kind: str
    raw: bytes


def nesting(line: str) -> int:
    """Return how deep brackets are nested outside of strings."""
    deepest = depth = 0
    quoted = escaped = False
    for letter in line:
        if quoted:
            quoted = escaped or letter != '"'
            escaped = letter == "\\" and not escaped
        elif letter == '"':
            quoted = True
        else:
            depth += (letter in "[{") - (letter in "]}")
            deepest = max(deepest, depth)
    return deepest


def kind_and_text(  # noqa: C901, PLR0911 - the rules in the order in which they apply
    line: str, text: str, taken: set[str]
) -> tuple[str, str | None, bool]:
    """Return the kind of reject or '', the text, and whether the object is empty."""
    tops: list[list[tuple[str, Any]]] = []

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        tops.append(members)  # the outermost is the last
        return dict(members)

    constants: list[str] = []

    def constant(word: str) -> int:
        constants.append(word)
        return 0  # no text either

    if nesting(line) > 200:
        return "too-deep", None, False
    try:
        value = json.loads(
            line,
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_int=len,
            parse_float=len,
        )
    except ValueError:
        return "not-json", None, False
    if not isinstance(value, dict):
        return "not-json" if constants else "not-object", None, False
    members = tops[-1]
    names = [name for name, _ in members]
    if taken & set(names):
        return "key-taken", None, False
    if names.count(text) > 1:
        return "duplicate-key", None, False
    found = value.get(text)
    if found is not None and not isinstance(found, str):
        return "not-text", None, False
    if found and any("\ud800" <= letter <= "\udfff" for letter in found):
        return "not-text", None, False
    return "", found, not members


def split(content: bytes, text: str, taken: set[str], cap: int) -> list[Row | Lost]:
    """Return rows and rejects in order, of a content without byte-order mark."""
    found: list[Row | Lost] = []
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        last = number == len(lines) and not content.endswith(b"\n")
        ending = b"" if last else b"\n"
        raw = line
        if raw.endswith(b"\r"):
            raw, ending = raw[:-1], b"\r" + ending
        if len(raw) > cap:
            cut = cap
            while cut > cap - 4 and raw[cut] & 0xC0 == 0x80:
                cut -= 1
            found.append(Lost(number, "record-too-long", raw[:cut]))
            continue
        try:
            words = raw.decode()
        except UnicodeDecodeError:
            found.append(Lost(number, "encoding", raw))
            continue
        kind, value, bare = kind_and_text(words, text, taken)
        if kind:
            found.append(Lost(number, kind, raw))
        else:
            brace = raw.rindex(b"}")
            found.append(Row(raw[:brace], raw[brace:] + ending, bare, value))
    return found
