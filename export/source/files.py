"""Opens the files of a model that came from anywhere: plain files, of a sane size, of its own."""

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle
from scorer.hints import path_word
from scorer.inference.bundle import untrusted

_MIB = 1 << 20
# In bytes. A vocabulary is smaller than 16 MiB; a weights file, of which a model has several, is
# rarely larger than 5 GiB.
_LARGEST = {".json": 16 * _MIB, ".safetensors": 8192 * _MIB, ".bin": 8192 * _MIB}
_LARGEST_OF_OTHERS = 16 * _MIB
_AGAIN = "fetch or save the checkpoint again"


def names_in(directory: Path) -> frozenset[str]:
    """Return the names of what lies in a directory, without its subdirectories."""
    return frozenset(entry.name for entry in directory.iterdir() if not entry.is_dir())


def plain_file(path: Path) -> Path:
    """Return where a file of a model really lies.

    A link may lead to another file of the same directory, or to the file of the Hub's cache that a
    snapshot's link stands for.

    Raises:
        InvalidBundle: It leads elsewhere, is no regular file, or is too large.
    """
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (OSError, RuntimeError) as error:  # the second: a circle of links
        reason = getattr(error, "strerror", None) or "its links go in a circle"
        raise InvalidBundle(f"{path} cannot be read ({reason})", _AGAIN) from error
    directory = path.parent.resolve()
    if not any(real.is_relative_to(place) for place in _places(directory)):
        copy = path_word(f"{directory.name}-copy")
        raise InvalidBundle(
            f"{path} is a link to a file outside of its directory",
            f"put the file itself there: cp -rL {path_word(directory)} {copy}",
        )
    if not stat.S_ISREG(status.st_mode):
        raise InvalidBundle(f"{path} is not a regular file", _AGAIN)
    limit = _LARGEST.get(path.suffix, _LARGEST_OF_OTHERS)
    if status.st_size > limit:
        raise InvalidBundle(
            f"{path} has {status.st_size:,} bytes, more than {limit:,} are not read", _AGAIN
        )
    return real


def _places(directory: Path) -> Iterable[Path]:
    yield directory
    if (repository := hub_repository(directory)) is not None:
        yield repository / "blobs"


def hub_repository(directory: Path) -> Path | None:
    """Return the directory of a repository in the Hub's cache, if this is a snapshot in it."""
    snapshots, repository = directory.parent, directory.parent.parent
    if snapshots.name == "snapshots" and repository.name.startswith("models--"):
        return repository
    return None


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object; InvalidBundle where the file holds something else."""
    real = plain_file(path)
    try:
        return untrusted.parse_json(path, untrusted.read_bytes(real))
    except InvalidBundle as error:
        raise InvalidBundle(error.problem, _AGAIN) from error


def optional(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None where there is no such file."""
    return read_json(path) if os.path.lexists(path) else None


def digest(weights: Iterable[Path]) -> str:
    """Return the sha256 of the weights, of several shards end to end."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
