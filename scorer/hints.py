"""The parts of error messages: counts and shell words.

A hint can be pasted into a shell: bash, zsh and ksh read its words and options back as they are
meant.
"""

import os
import shlex
from collections.abc import Mapping


def word(text: str) -> str:
    """Return a text as one word of a command line.

    What is not printable, such as a byte-order mark or a byte that is no UTF-8, is spelled by the
    numbers of its bytes, which is the same in every locale.
    """
    if text.isprintable():
        return shlex.quote(text)
    return f"$'{''.join(map(_spelled, _bytes(text)))}'"


def path_word(path: str | os.PathLike[str]) -> str:
    """Return a path as one word that is never taken for an option."""
    name = os.fspath(path)
    return word(f"./{name}" if name.startswith("-") else name)


def options(values: Mapping[str, str | None]) -> str:
    """Return options with their values, or flags, as they are added to a command: `--limit 5`."""
    return " ".join(
        name if value is None else f"{name} {word(value)}" for name, value in values.items()
    )


def _bytes(text: str) -> bytes:
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:  # half a surrogate pair, which no shell can hand over
        return text.encode("utf-8", "surrogatepass")


def _spelled(byte: int) -> str:
    character = chr(byte)
    if not (" " <= character <= "~"):
        return f"\\{byte:03o}"
    return f"\\{character}" if character in "\\'" else character


def counted(count: int, noun: str, shown: str = "") -> str:
    """Return a number with its noun, which gets an s unless there is exactly one.

    `shown` is the number as it is to be read, where it is an estimate, say.
    """
    return f"{shown or f'{count:,}'} {noun if count == 1 else f'{noun}s'}"
