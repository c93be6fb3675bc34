"""What a path means that is no bundle: a model that one is made of, and the commands for it."""

import os
import re
from pathlib import Path

from scorer.errors import InvalidBundle, Step
from scorer.hints import path_word, word
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.metadata import METADATA_NAME

_PREFIX = "hf:"
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_HUB = re.compile(rf"{_PREFIX}[\w./-]+(?:@[\w./-]+)?|{_HUB_NAME.pattern}", re.ASCII)
_CONFIGS = ("config.json", "adapter_config.json")


def refuse_hub_name(path: Path) -> None:
    """Raise InvalidBundle where a path that leads nowhere is the name of a model of the Hub."""
    name = os.fspath(path)
    if not _HUB.fullmatch(name) or (not name.startswith(_PREFIX) and path.parent.exists()):
        return
    asked = name if name.startswith(_PREFIX) else _PREFIX + name
    raise _unmade(
        f"there is no directory {name}: if it is a model of the Hub, it is made a bundle once, and "
        "then served without the network",
        word(asked),
        asked.partition("@")[0].rpartition("/")[2].removeprefix(_PREFIX),
    )


def refuse_checkpoint(path: Path, directory: Path) -> None:
    """Raise InvalidBundle where a directory holds a model that no bundle has been made of.

    Args:
        path: As the user named it.
        directory: Where it leads.
    """
    if os.path.lexists(directory / METADATA_NAME):
        return
    names = {entry.name for entry in directory.iterdir()}
    graphs = any(name.endswith(".onnx") for name in names) or "onnx" in names
    if "canary.json" in names or (not graphs and names.isdisjoint(_CONFIGS)):
        return  # a bundle that has lost a file, or no model at all
    output = f"{directory.name or 'model'}-bundle"
    if any(name.endswith((".safetensors", ".bin")) for name in names):
        raise _unmade(f"{directory} is a checkpoint, and not yet a bundle", path_word(path), output)
    if graphs:
        raise _unmade(
            f"{directory} is a model in ONNX without the weights of PyTorch, which a bundle is "
            "made of and compared with",
            _origin(directory),
            output,
        )


def _origin(directory: Path) -> str:
    """Return as one word what a model was made of, if its configuration names one of the Hub."""
    try:
        name = untrusted.read_json(directory / "config.json").get("_name_or_path")
    except InvalidBundle:
        name = None
    known = isinstance(name, str) and _HUB_NAME.fullmatch(name)
    return word(f"{_PREFIX}{name}") if known else "CHECKPOINT"


def _unmade(problem: str, source: str, output: str) -> InvalidBundle:
    bundle = f"{output}/"
    export = f"tweetscore model export {source} -o {path_word(bundle)}"
    return InvalidBundle(
        problem,
        f"try: {export} && tweetscore run ... --model {path_word(bundle)}",
        options={"--model": bundle},
        step=Step(export, "&&", ""),
    )
