"""Under which licence a model came: what its card says, or the file that holds the licence."""

import re
from pathlib import Path

from export.source.files import names_in, plain_file
from export.source.hub import CARD, LICENCE_FILES
from scorer.inference.bundle import untrusted

_FRONT = re.compile(r"\s*---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_MAX_LETTERS = 100


def licence_of(directory: Path) -> str | None:
    """Return the licence of a model, such as `apache-2.0`; None where nothing says it.

    A card that says `other` may name it; else a file's name stands for what the file says.
    """
    found = names_in(directory).intersection(LICENCE_FILES)
    for name in found:
        plain_file(directory / name)
    files = found - {"NOTICE"}
    card = directory / CARD
    front = _FRONT.match(_text(card)) if card.is_file() else None
    if front and (said := _value(front[1], "license")):
        named = _value(front[1], "license_name") if said == "other" else None
        return named or said
    return f"see {min(files)}" if files else None


def _text(path: Path) -> str:
    raw = untrusted.read_bytes(plain_file(path))
    return raw[: 1 << 16].decode("utf-8", "replace").replace("\r\n", "\n").removeprefix("\ufeff")


def _value(front: str, key: str) -> str | None:
    """Return a YAML entry at the top: a text, or the first of a list of texts."""
    match = re.search(rf"^{key}:[ \t]*(?:\n[ \t]*-[ \t]*|\[)?([^\n\]#,]+)", front, re.MULTILINE)
    value = match[1].strip().strip("\"'").strip() if match else ""
    fits = value.isprintable() and 0 < len(value) <= _MAX_LETTERS
    return value if fits and value.lower() not in ("null", "none", "unknown", "~") else None
