"""The parts of error messages: counts, shell words, and the command that installs an extra.

A hint can be pasted into a shell: bash, zsh and ksh read its words and options back as they are
meant.
"""

import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scorer.errors import MissingExtra


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


_NAME = "tweetscore"
_OURS = ("scorer", "export", "tweetscore")


@contextmanager
def needed(extra: str, what_needs: str) -> Iterator[None]:
    """Turn an import that fails in the block into the error that names the extra.

    Args:
        extra: What brings the library.
        what_needs: What cannot work without it, and the verb, such as "the page needs".

    Raises:
        MissingExtra: The library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise  # a bug of ours
        raise missing(extra, what_needs, error.name) from error


def missing(extra: str, what_needs: str, library: str) -> MissingExtra:
    """Return the error where a library of an extra is not installed."""
    return MissingExtra(
        f"{what_needs} the library {library}, which is not installed", f"try: {install(extra)}"
    )


def install(extra: str) -> str:
    """Return the command that adds an extra to what is installed here.

    The name alone helps only where an index has it: what came from a checkout or a wheel is
    installed from there, as the installer recorded it (PEP 610).
    """
    python = word(sys.executable or "python3")
    command = f"{python} -m pip install" if find_spec("pip") else f"uv pip install -p {python}"
    recorded = _recorded()
    place = _place(recorded)
    pins = Path(place, "requirements", "constraints.txt")
    options = [f"-c {word(str(pins))}"] if place != _NAME and pins.is_file() else []
    if recorded.get("dir_info", {}).get("editable"):
        options.append("-e")
    wanted = f"{_NAME}[{extra}] @ {place}" if "://" in place else f"{place}[{extra}]"
    return " ".join([command, *options, word(wanted)])


def _recorded() -> dict[str, Any]:
    """Return where tweetscore was installed from, as the installer recorded it; {} for an index."""
    from importlib import metadata  # which loads half of the library

    for each in metadata.distributions(name=_NAME):  # in a checkout its egg-info may come first
        with suppress(ValueError, OSError):
            found = json.loads(each.read_text("direct_url.json") or "{}")
            if found and isinstance(found, dict):
                return found
    return {}


def _place(recorded: dict[str, Any]) -> str:
    url = str(recorded.get("url", ""))
    if url.startswith("file://"):
        return unquote(urlsplit(url).path)
    system = recorded.get("vcs_info", {}).get("vcs")
    return f"{system}+{url}" if system else url or _NAME
