"""What the JSON files of a model must not say: code, and files that are not the model's.

transformers believes a configuration: by one of these keys it fetches a kernel and runs it, opens a
file by any path, or takes another class than the one that is asked for, whether or not remote code
is trusted. So they are refused, at any depth, before transformers is imported.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from scorer.errors import InvalidBundle
from scorer.inference.bundle.untrusted import shown

# What each can do, in the words of the message.
_RUNS_CODE = "can run code that came with the model"
_OPENS_FILES = "opens files that are not the model's"
_FORBIDDEN: Mapping[str, str] = {
    "__slow_tokenizer": _RUNS_CODE,
    "_attn_implementation": _RUNS_CODE,  # a kernel by its name on the Hub: CVE-2026-4372
    "_attn_implementation_internal": _RUNS_CODE,
    "_experts_implementation": _RUNS_CODE,
    "_experts_implementation_internal": _RUNS_CODE,
    "attn_implementation": _RUNS_CODE,
    "auto_map": _RUNS_CODE,
    "compression_config": _RUNS_CODE,
    "custom_pipelines": _RUNS_CODE,
    "experts_implementation": _RUNS_CODE,
    "gguf_file": _OPENS_FILES,
    "kernel_config": _RUNS_CODE,
    "quantization_config": _RUNS_CODE,
    "tokenizer_object": _RUNS_CODE,
    "transformers_weights": _OPENS_FILES,
    "trust_remote_code": _RUNS_CODE,  # in the place of the caller's: CVE-2026-5241
    "use_kernels": _RUNS_CODE,
}
# Of what a tokenizer writes about the files it came from, transformers never opens this one.
_NEVER_OPENED = frozenset({"special_tokens_map_file"})
_MAX_VALUES = 1_000_000  # in a file; a tokenizer's configuration of 100 added tokens has 700


def refuse_code(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InvalidBundle where a config names code, or a loader that the user did not choose."""
    for key, value in _members(path, config):
        if key in _FORBIDDEN and value not in (None, False):
            raise InvalidBundle(
                f"{path} has {key}, which {_FORBIDDEN[key]}", "choose a model without it"
            )


def refuse_foreign_files(path: Path, config: Mapping[str, Any]) -> None:
    """Raise InvalidBundle where a tokenizer's configuration names a file by a path.

    transformers opens what is named there in the place of the model's own file.
    """
    if config.get("init_inputs"):  # its arguments by position: the first is a vocabulary's path
        raise InvalidBundle(f"{path} has init_inputs, which {_OPENS_FILES}", "remove it")
    for key, value in config.items():
        if key.endswith("_file") and key not in _NEVER_OPENED and _is_path(value):
            raise InvalidBundle(
                f"{path} has {key} {shown(value)}, a file that is not the model's",
                f"remove {key} from it, if the model has that file itself",
            )


def _is_path(value: object) -> bool:
    """Whether a value is anything but the plain name of a file, or nothing."""
    if value is None:
        return False
    if not isinstance(value, str) or value in (".", ".."):
        return True
    return {PurePosixPath(value).name, PureWindowsPath(value).name} != {value}


def _members(path: Path, config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the keys of an object and of all objects in it, with their values."""
    waiting: list[Any] = [config]
    seen = 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if isinstance(value, Mapping):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        if seen > _MAX_VALUES:
            raise InvalidBundle(
                f"{path} has more than {_MAX_VALUES:,} values", "choose another model"
            )
