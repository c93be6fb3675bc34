"""A base model: a directory, or a name on the Hub."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.source.files import digest, read_json, refuse_code
from export.source.sizes import positions_of
from scorer.errors import InputMissing, InvalidBundle
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.tokenizer_file import verify_tokenizer

_HUB_FILES = (
    "config.json",
    "merges.txt",
    "model*.safetensors",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)


@dataclass(frozen=True, slots=True)
class Base:
    """A base model in a directory, judged safe to load."""

    name: str  # as it was asked for; of a directory, its last part
    directory: Path
    model_type: str
    sha256: str  # of its weights
    positions: int  # tokens that it can read at most, special ones included


def open_base(name: str) -> Base:
    """Find a base by directory or by name on the hub, and check it.

    Raises:
        InputMissing: There is no such directory, or the hub does not give it.
        InvalidBundle: It is of a kind that is not allowed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return _check(path, path.absolute().name)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") != 1:
        raise InputMissing(
            f"there is no base model in {name}",
            "name a directory with config.json and model.safetensors, or OWNER/NAME on the hub",
        )
    return _check(_from_hub(name), name)


def _from_hub(name: str) -> Path:
    """Download a base; its config is judged before the rest is fetched."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        _check_config(Path(hf_hub_download(name, "config.json")))
        return Path(snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError) as error:  # the hub's own errors are children of OSError
        reason = str(error).strip().split("\n")[0]
        raise InputMissing(
            f"base model {name} cannot be fetched from the hub ({type(error).__name__}: {reason})",
            "check the name and the network, or give --base a local directory",
        ) from error


def _check(directory: Path, name: str) -> Base:
    path = directory / "config.json"
    if not path.is_file():
        raise InputMissing(
            f"{directory} holds no config.json, so it is no base model",
            "name the directory that a model was saved in",
        )
    config = _check_config(path)
    tokenizer_path = directory / "tokenizer_config.json"
    if tokenizer_path.is_file():
        refuse_code(tokenizer_path, read_json(tokenizer_path))
    tokens_path = (directory / "tokenizer.json").resolve()
    if tokens_path.is_file():
        verify_tokenizer(tokens_path, untrusted.read_bytes(tokens_path))
    weights = sorted(directory.glob("model*.safetensors"))
    if not weights:
        raise InvalidBundle(
            f"{directory} has no weights as safetensors, and pickled ones are not loaded",
            "save the base with safe_serialization=True",
        )
    return Base(
        name, directory, str(config["model_type"]), digest(weights), positions_of(path, config)
    )


def _check_config(path: Path) -> Mapping[str, Any]:
    config = read_json(path)
    refuse_code(path, config)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise InvalidBundle(
            f"{path} has the model type {model_type!r}, which is no name",
            "fetch the model again, or save it again with save_pretrained",
        )
    return config
