"""The files that hold a model's weights: which there are, and whether they are what they say."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from export.source.files import plain_file, read_json
from scorer.errors import InvalidBundle
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.untrusted import shown

ADAPTER = "adapter_model.safetensors"
_INDEX = ".index.json"
# In the order of preference: a pickle is read only where there is nothing else.
_MAIN = (
    "model.safetensors",
    "model.safetensors" + _INDEX,
    "pytorch_model.bin",
    "pytorch_model.bin" + _INDEX,
)
_SHARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # a file of the same directory
_MAX_SHARDS = 1_000

Kind = Literal["safetensors", "pickle"]


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights of a model: one file, or shards with the index that names them."""

    kind: Kind
    files: tuple[Path, ...]  # in the order of their names
    index: Path | None
    shapes: Mapping[str, tuple[int, ...]]  # of the tensors; of pickles nothing is known


def main_file(names: Collection[str]) -> str | None:
    """Return the file that stands for the weights, of those in a directory: itself or an index."""
    return next((name for name in _MAIN if name in names), None)


def shards_of(index: Path) -> tuple[str, ...]:
    """Return the names of the files that an index names; none where the file is no index.

    Raises:
        InvalidBundle: It names something that is no file of its own directory.
    """
    if not index.name.endswith(_INDEX):
        return ()
    table = read_json(index).get("weight_map")
    names = {*table.values()} if isinstance(table, dict) and _are_texts(table) else set()
    if not 0 < len(names) <= _MAX_SHARDS:
        raise InvalidBundle(
            f"{index} does not say in which files the weights are", "save the model again"
        )
    ending = Path(index.name.removesuffix(_INDEX)).suffix
    for name in sorted(names):
        if not _SHARD.fullmatch(name) or Path(name).suffix != ending:
            raise InvalidBundle(
                f"{index} names {shown(name)}, which is no {ending} file of its directory",
                "save the model again",
            )
    return tuple(sorted(names))


def _are_texts(table: Mapping[str, object]) -> bool:
    return all(isinstance(name, str) for name in table.values())


def open_weights(directory: Path, name: str) -> Weights:
    """Check the weights that a file stands for; of pickles only that they are plain files.

    Raises:
        InvalidBundle: A file is missing, or is not what it says.
    """
    main = directory / name
    shards = [directory / shard for shard in shards_of(main)]
    files = tuple(shards or [main])
    index = main if shards else None
    real = [plain_file(file) for file in files]
    if files[0].suffix == ".bin":
        return Weights("pickle", files, index, {})
    shapes: dict[str, tuple[int, ...]] = {}
    for file, place in zip(files, real, strict=True):
        try:
            shapes |= untrusted.read_weights(place).shapes
        except InvalidBundle as error:
            problem = error.problem.replace(str(place), str(file))
            raise InvalidBundle(problem, "fetch or save the checkpoint again") from error
    return Weights("safetensors", files, index, shapes)
