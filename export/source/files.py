"""Reads the JSON files of a model that came from anywhere, and refuses what would run code."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle
from scorer.inference.bundle import untrusted

# Keys that make transformers fetch or run something that is not in the file.
_FORBIDDEN_KEYS = (
    "_attn_implementation",
    "_attn_implementation_internal",
    "attn_implementation",
    "auto_map",
    "quantization_config",
)


def read_json(path: Path) -> Mapping[str, Any]:
    """Return a JSON object; InvalidBundle where the file holds something else."""
    try:
        content = json.loads(
            untrusted.read_bytes(path.resolve())
        )  # of the hub's cache it is a link
    except (ValueError, RecursionError) as error:
        raise InvalidBundle(f"{path} is not JSON ({error})", "fetch the base again") from error
    if not isinstance(content, dict):
        raise InvalidBundle(f"{path} is not a JSON object", "fetch the base again")
    return content


def refuse_code(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InvalidBundle where a config names code, or a loader that the user did not choose."""
    for key in _FORBIDDEN_KEYS:
        if key in config:
            raise InvalidBundle(
                f"{path} has {key}, which can run code that came with the model",
                "choose a base without it",
            )


def digest(weights: list[Path]) -> str:
    """Return the sha256 of the weights, of several shards end to end."""
    digest = hashlib.sha256()
    for path in weights:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def optional(path: Path) -> dict[str, Any] | None:
    """Return a JSON object; None where there is no such file."""
    return untrusted.read_json(path) if path.exists() else None
