"""How a missing extra is installed: the command for this very installation."""

import json
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scorer.hints import word

_NAME = "tweetscore"


def install(extra: str) -> str:
    """Return the command that adds an extra to what is installed here.

    The name alone helps only where an index has it: what came from a checkout or a wheel is
    installed from there, as the installer recorded it (PEP 610).
    """
    python = word(sys.executable or "python3")
    command = f"{python} -m pip install" if find_spec("pip") else f"uv pip install -p {python}"
    recorded = _recorded()
    place = _place(recorded)
    pins = Path(place, "constraints.txt")
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
