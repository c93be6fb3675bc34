"""A LoRA adapter: the few weights that a fine-tuning adds to a base, which lies elsewhere."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.source.files import read_json
from export.source.weight_files import ADAPTER, Weights, open_weights
from scorer.errors import InvalidBundle
from scorer.hints import path_word, word
from scorer.inference.bundle.untrusted import shown

CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."
# What decides the merged weights and needs nothing but the adapter's own file.
_KEPT = (
    "alpha_pattern",
    "bias",
    "fan_in_fan_out",
    "lora_alpha",
    "lora_bias",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "use_dora",
    "use_rslora",
)
# What only training reads, or says again what the names of the tensors say.
_IDLE = frozenset(
    "arrow_config auto_mapping base_model_name_or_path corda_config ensure_weight_tying "
    "eva_config exclude_modules inference_mode init_lora_weights kasa_config layers_pattern "
    "layers_to_transform loftq_config lora_dropout lora_ga_config megatron_core peft_version "
    "qalora_group_size revision runtime_config target_modules task_type".split()
)
# A beginning that changes the base's own weights, which are then not those of its name.
_CHANGES_BASE = re.compile(r"pissa|olora|corda|loftq|lora_ga", re.IGNORECASE)
_PLAIN = re.compile(r"[A-Za-z0-9_.]{1,200}")  # the library takes a pattern for a regular expression
_HEAD = re.compile(r"\.(?:out_proj|classifier|score|logits_proj|summary)\.weight$")


@dataclass(frozen=True, slots=True, eq=False)
class Adapter:
    """A LoRA adapter in a directory, judged safe to load."""

    directory: Path
    base: str  # as it is named in the adapter: a directory, or a name on the Hub
    revision: str | None  # of the base
    config: dict[str, Any] = field(repr=False)  # what the library is told
    weights: Weights = field(repr=False)

    @property
    def classes(self) -> int | None:
        """How many rows the classifier's last layer has; None where the base's own is kept."""
        shapes = self.weights.shapes
        rows = [
            shape[0]
            for name, shape in shapes.items()
            if ".lora_" not in name and _HEAD.search(name) and len(shape) == 2
        ]
        return min(rows, default=None)


def open_adapter(directory: Path) -> Adapter:
    """Check an adapter and return it.

    Raises:
        InvalidBundle: It is none that can be merged into its base.
    """
    path = directory / CONFIG
    config = read_json(path)
    if config.get("peft_type") != "LORA":
        raise _unmerged(path, f"is an adapter of the type {shown(config.get('peft_type'))}")
    mapping = config.get("auto_mapping")
    library = str(mapping.get("parent_library", "")) if isinstance(mapping, dict) else ""
    if mapping and not re.fullmatch(r"transformers(\.models\.\w+)*\.\w+", library):
        raise InvalidBundle(
            f"{path} has auto_mapping {shown(mapping)}, which can run code that came "
            "with the model",
            "choose a model without it",
        )
    if _CHANGES_BASE.search(str(config.get("init_lora_weights"))):
        raise _unmerged(path, f"has init_lora_weights {shown(config['init_lora_weights'])}")
    for key, value in config.items():
        if value and key not in (*_KEPT, *_IDLE):
            raise _unmerged(path, f"has {key} {shown(value)}")
    _check_patterns(path, config)
    base, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(base, str) or not base.isprintable():
        base = ""
    weights = open_weights(directory, ADAPTER)
    kept = {key: config[key] for key in _KEPT if config.get(key) is not None}
    kept["target_modules"] = _targets(path, weights)
    return Adapter(directory, base, revision if isinstance(revision, str) else None, kept, weights)


def _check_patterns(path: Path, config: Mapping[str, Any]) -> None:
    for key in ("alpha_pattern", "rank_pattern", "modules_to_save"):
        names = config.get(key) or ()
        if not all(isinstance(name, str) and _PLAIN.fullmatch(name) for name in names):
            raise _unmerged(path, f"has {key} {shown(names)}")


def _targets(path: Path, weights: Weights) -> list[str]:
    """Return the modules that the adapter changes, by the names of its tensors."""
    found = set()
    for name in weights.shapes:
        module, lora, _ = name.partition(".lora_")
        if lora:
            found.add(module.removeprefix(_PREFIX))
    if not found or not all(map(_PLAIN.fullmatch, found)):
        raise _unmerged(path, "lies beside weights that are not those of LoRA")
    return sorted(found)


def without_weights(directory: Path) -> InvalidBundle:
    """Return the error where an adapter's weights are not there as safetensors."""
    old = path_word(directory / "adapter_model.bin")
    code = (
        "import sys, torch; from safetensors.torch import save_file; "
        "save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])"
    )
    convert = f"python3 -c {word(code)} {old} {path_word(directory / ADAPTER)}"
    return InvalidBundle(
        f"{directory} is an adapter without {ADAPTER}",
        f"if it has adapter_model.bin, try: {convert}",
    )


def _unmerged(path: Path, what: str) -> InvalidBundle:
    return InvalidBundle(
        f"{path} {what}, which is not merged here",
        "merge it where it was trained, with model.merge_and_unload().save_pretrained(...), and "
        "export that",
    )
