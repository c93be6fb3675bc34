"""Configurations that transformers 5 wrote, in the words of the version that exports.

The two name some settings otherwise, and transformers 4.57 passes over what it does not know:
without the base of its rotary positions a model answers something else, and no one is told.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle
from scorer.inference.bundle.untrusted import shown

# Settings of transformers 5 that change an answer and have no word in 4.57, unless they are off.
_NEW = ("use_bidirectional_attention", "swiglu_alpha", "swiglu_limit", "num_local_experts")
_THETA = {"gpt_neox": "rotary_emb_base"}
_PARTIAL = {"gpt_neox": "rotary_pct"}
_MODERNBERT = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
# Models whose two kinds of layers have bases of their own, with the names of those in 4.57.
_THETA_BY_LAYER: Mapping[str, Mapping[str, str]] = {
    "gemma3_text": {"full_attention": "rope_theta", "sliding_attention": "rope_local_base_freq"},
    "modernbert": _MODERNBERT,
    "modernbert-decoder": _MODERNBERT,
}
_REMEDY = "save the model with transformers 4.57"
_FAST = "PreTrainedTokenizerFast"


def config_of_4(path: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's configuration as transformers 4.57 reads it.

    Raises:
        InvalidBundle: transformers 5 wrote what decides an answer and 4.57 cannot say.
    """
    kind = str(config.get("model_type"))
    changed = dict(config)
    if _major(config) < 5:
        return changed
    for key in _NEW:
        if config.get(key):
            raise _unsaid(path, key, config[key])
    rope = changed.pop("rope_parameters", None)
    if isinstance(rope, dict):
        by_layer = _THETA_BY_LAYER.get(kind)
        changed |= _of_layers(path, rope, by_layer) if by_layer else _rope(path, rope, kind)
    if kind == "modernbert" and "layer_types" in changed:
        changed["global_attn_every_n_layers"] = _period(path, changed.pop("layer_types"))
    return changed


def _major(config: Mapping[str, Any]) -> int:
    """Return the release that wrote a configuration; one that only 5 writes gives it away."""
    version = str(config.get("transformers_version") or "")
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else 5 if "rope_parameters" in config else 4


def _rope(path: Path, rope: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return flat rotary positions in the words of 4.57."""
    if any(isinstance(value, dict) for value in rope.values()):
        raise _unsaid(path, "rope_parameters", rope)
    rest = dict(rope)
    found = {}
    for key, name in (
        ("rope_theta", _THETA.get(kind, "rope_theta")),
        ("partial_rotary_factor", _PARTIAL.get(kind, "partial_rotary_factor")),
    ):
        if rest.get(key) is not None:
            found[name] = rest.pop(key)
    if rest.get("rope_type", "default") != "default":
        found["rope_scaling"] = rest
    return found


def _of_layers(path: Path, rope: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the rotary positions of a model whose kinds of layers have bases of their own."""
    found: dict[str, Any] = {}
    for layer, name in names.items():
        part = rope.get(layer)
        if not isinstance(part, dict) or part.keys() - {"rope_theta", "rope_type"}:
            raise _unsaid(path, "rope_parameters", rope)
        if part.get("rope_type", "default") != "default" or "rope_theta" not in part:
            raise _unsaid(path, "rope_parameters", rope)
        found[name] = part["rope_theta"]
    return found


def _period(path: Path, layers: Any) -> int:
    """Return n where every n-th layer attends to the whole text, the first one included."""
    whole = [layer == "full_attention" for layer in layers] if isinstance(layers, list) else []
    every = next((place for place, is_whole in enumerate(whole) if place and is_whole), len(whole))
    if not whole or whole != [place % every == 0 for place in range(len(whole))]:
        raise _unsaid(path, "layer_types", layers)
    return every


def _unsaid(path: Path, key: str, value: object) -> InvalidBundle:
    return InvalidBundle(
        f"{path}, which transformers 5 wrote, has {key} {shown(value)}: transformers 4.57, which "
        "exports, has no such setting and would answer otherwise",
        _REMEDY,
    )


def tokenizer_config_of_4(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tokenizer's configuration as transformers 4.57 reads it, without names of files."""
    changed = {key: value for key, value in config.items() if not key.endswith("_file")}
    if changed.get("tokenizer_class") == "TokenizersBackend":
        changed["tokenizer_class"] = _FAST
    extra = changed.get("extra_special_tokens")
    if isinstance(extra, list):  # the list had another name, and this one was an object
        changed.pop("extra_special_tokens")
        changed.setdefault("additional_special_tokens", extra)
    for key in ("backend", "is_local", "local_files_only"):
        changed.pop(key, None)
    return changed
