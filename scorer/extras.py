"""Libraries of extras: the error where one is missing, and the command that installs it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scorer.errors import MissingExtra
from scorer.hints import word

_NAME = "tweetscore"
_OURS = ("scorer", "export")


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
    return " ".join([command, *options, word(_requirement(place, extra))])


def _recorded() -> dict[str, Any]:
    """Return what the installer says of where tweetscore came from; {} for an index."""
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


def _requirement(place: str, extra: str) -> str:
    return f"{_NAME}[{extra}] @ {place}" if "://" in place else f"{place}[{extra}]"
