"""How tweetscore was installed here: the commands that add to it, and whether its parts fit.

What an installer recorded decides: pip and uv say where tweetscore came from (PEP 610), `uv tool`
and pipx leave a file in the environment that is theirs.
"""

import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from scorer.errors import InvalidBundle, MissingExtra
from scorer.hints import word

_NAME = "tweetscore"
_OURS = ("scorer", "export", "tweetscore")
_GPU, _CPU = "onnxruntime-gpu", "onnxruntime"
_RECORDS = {  # a file in the environment, and the command of the tool that left it there
    "uv-receipt.toml": "uv tool install --force -p",
    "pipx_metadata.json": "pipx install --force --python",
}


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
    installed from there.
    """
    recorded = _recorded()
    place = _place(recorded)
    pins = Path(place, "requirements", "constraints.txt")
    options = [f"-c {word(str(pins))}"] if place != _NAME and pins.is_file() else []
    if _is_light():
        return " && ".join(_beside_the_light_runtime(extra, options))
    for file, command in _RECORDS.items():
        record = Path(sys.prefix, file)
        if record.is_file():  # which upgrades with what it has noted, and with nothing else
            interpreter = word(os.path.realpath(sys.executable))
            return f"{command} {interpreter} {word(_wanted(place, _extras(record) | {extra}))}"
    if recorded.get("dir_info", {}).get("editable"):
        options.append("-e")
    return " ".join([_pip("install"), *options, word(_wanted(place, {extra}))])


def add(distribution: str) -> str:
    """Return the command that installs a library beside tweetscore, in the version it asks for."""
    asked = (text for text, _ in _requirements() if text.startswith(f"{distribution}=="))
    return f"{_pip('install')} {word(next(asked, distribution))}"


@cache  # nobody installs anything meanwhile
def check_onnx_runtime() -> None:
    """Check that one of the two distributions of ONNX Runtime is installed.

    Raises:
        InvalidBundle: Both are, which own the same files, or neither.
    """
    found = [name for name in (_GPU, _CPU) if _version(name)]
    if len(found) == 1:
        return
    right = add(_GPU if _has_gpu_wheels() else _CPU)
    if found:
        problem = f"{_CPU} and {_GPU} are both installed: each has overwritten files of the other"
        first = f"{_pip('uninstall')} {'' if _uses_uv() else '-y '}{_CPU} {_GPU} && "
    else:
        problem, first = "ONNX Runtime is not installed", ""
    raise InvalidBundle(problem, f"try: {first}{right}")


def _is_light() -> bool:
    """Tell whether ONNX Runtime without CUDA stands in for the one that has it."""
    return _has_gpu_wheels() and bool(_version(_CPU)) and not _version(_GPU)


def _has_gpu_wheels() -> bool:
    """Tell whether pyproject.toml asks for the distribution with CUDA here."""
    return (sys.platform, platform.machine()) in (("linux", "x86_64"), ("win32", "AMD64"))


def _beside_the_light_runtime(extra: str, options: list[str]) -> Iterator[str]:
    """Yield commands that install what an extra names, and not tweetscore.

    Its own requirements would bring the other distribution of ONNX Runtime.
    """
    if extra == "cuda":
        yield f"{_pip('uninstall')} {'' if _uses_uv() else '-y '}{_CPU}"
    marker = f"extra == '{extra}'"
    names = [text for text, condition in _requirements() if condition.replace('"', "'") == marker]
    yield " ".join([_pip("install"), *options, *map(word, names)])


def _pip(action: str) -> str:
    python = word(sys.executable or "python3")
    return f"uv pip {action} -p {python}" if _uses_uv() else f"{python} -m pip {action}"


def _uses_uv() -> bool:
    return find_spec("pip") is None


def _version(distribution: str) -> str:
    from importlib import metadata  # which loads half of the library

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def _requirements() -> list[tuple[str, str]]:
    """Return what tweetscore asks for, and under which condition ("" for none)."""
    from importlib import metadata

    parts = (line.partition(";") for line in metadata.requires(_NAME) or ())
    return [(text.strip(), condition.strip()) for text, _, condition in parts]


def _extras(record: Path) -> set[str]:
    """Return the extras that uv or pipx has noted."""
    text = record.read_text("utf-8")
    if record.suffix == ".json":
        spec = str(json.loads(text)["main_package"]["package_or_url"])
        found = re.search(r"\[([\w, -]+)\]", spec)
        return set(re.split(r"[, ]+", found[1])) if found else set()
    import tomllib

    return set(tomllib.loads(text)["tool"]["requirements"][0].get("extras", ()))


def _wanted(place: str, extras: set[str]) -> str:
    names = ",".join(sorted(extras))
    return f"{_NAME}[{names}] @ {place}" if "://" in place else f"{place}[{names}]"


def _recorded() -> dict[str, Any]:
    """Return where tweetscore was installed from, as the installer recorded it; {} for an index."""
    from importlib import metadata

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
