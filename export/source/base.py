"""A model to start from: a directory, or a name on the Hub, judged safe to load."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from export.source import adapter, fields, hub
from export.source.adapter import Adapter, open_adapter
from export.source.files import digest, names_in, plain_file, read_json
from export.source.licence import licence_of
from export.source.refusals import refuse_code, refuse_foreign_files
from export.source.sizes import positions_of
from export.source.versions import config_of_4
from export.source.weight_files import ADAPTER, Weights, main_file, open_weights
from scorer.errors import InputMissing, InvalidBundle
from scorer.hints import path_word, word
from scorer.inference.bundle import untrusted
from scorer.inference.bundle.metadata import Source
from scorer.inference.bundle.tokenizer_file import verify_tokenizer

# JSON files of a tokenizer that are read besides its configuration.
_TOKENIZER_JSON = ("added_tokens.json", "special_tokens_map.json", "vocab.json")
_CLASSES = ("id2label", "label2id", "num_labels", "problem_type")


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A model in a directory, judged safe to load."""

    name: str  # OWNER/NAME on the Hub, or the directory's last part
    directory: Path
    model_type: str
    sha256: str  # of its weights
    positions: int  # tokens that it can read at most, special ones included
    config: Mapping[str, Any] = field(repr=False)  # config.json, as transformers 4.57 says it
    weights: Weights = field(repr=False)
    tokenizer: Path  # the directory that holds the tokenizer's files
    source: Source
    licence: str | None
    adapter: Adapter | None = None  # that has to be merged into these weights


def open_base(name: str, base: str | None = None) -> Base:
    """Find a model by directory or by name on the Hub, and check it.

    Args:
        name: A directory, `hf:OWNER/NAME[@REVISION]`, or `OWNER/NAME` where there is no such path.
        base: Of an adapter, where it is; by default where the adapter says.

    Raises:
        InputMissing: There is no such directory, or the Hub does not give it.
        InvalidBundle: It is of a kind that is not allowed.
    """
    directory = _located(name)
    names = names_in(directory)
    if _is_adapter(names):
        return _merged(directory, names, base)
    if base is not None:
        raise InvalidBundle(
            f"{directory} holds no {adapter.CONFIG} with {ADAPTER}, so it needs no base",
            "leave out --base",
        )
    return _whole(directory, names)


def with_tokenizer(base: Base, name: str) -> Base:
    """Return a model with a tokenizer from elsewhere: a directory, or `hf:OWNER/NAME[@REVISION]`.

    Raises:
        InputMissing: There is none.
        InvalidBundle: It is of a kind that is not allowed.
    """
    asked = hub.parse(name)
    place = hub.fetched(*asked, weights=False) if asked else Path(name).expanduser()
    if not place.is_dir() or not hub.has_tokenizer(names_in(place)):
        raise InputMissing(
            f"there is no tokenizer in {name}",
            "name a directory that it was saved in, or hf:OWNER/NAME of the Hub",
        )
    place = place.absolute()
    _check_tokenizer(place, names_in(place))
    return replace(base, tokenizer=place)


def _located(name: str) -> Path:
    """Return the directory that a name means; one of the Hub is fetched."""
    path = Path(name).expanduser()
    if (asked := hub.parse(name)) is not None:
        return hub.fetched(*asked)
    if path.is_dir():
        return path
    if name.count("/") != 1 or not hub.is_name(name):
        raise InputMissing(
            f"there is no base model in {name}",
            "name a directory with config.json and model.safetensors, or OWNER/NAME on the Hub",
        )
    return hub.fetched(name)


def _is_adapter(names: frozenset[str]) -> bool:
    return adapter.CONFIG in names and ADAPTER in names


def _whole(directory: Path, names: frozenset[str]) -> Base:
    """Check a directory that holds a whole model."""
    path = directory / "config.json"
    if path.name not in names and adapter.CONFIG in names:
        raise adapter.without_weights(directory)
    if path.name not in names:
        raise InputMissing(
            f"{directory} holds no config.json, so it is no model",
            "name the directory that a model was saved in",
        )
    config = read_json(path)
    refuse_code(path, config)
    config = config_of_4(path, config)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise InvalidBundle(
            f"{path} has the model type {model_type!r}, which is no name",
            "fetch the model again, or save it again with save_pretrained",
        )
    fields.check(path, config, fields.Config)
    main = main_file(names)
    if main is None:
        raise _without_weights(directory, config)
    _check_tokenizer(directory, names)
    weights = open_weights(directory, main)
    source = hub.source_of(directory)
    return Base(
        name=source.name,
        directory=directory,
        model_type=str(config["model_type"]),
        sha256=digest(weights.files),
        positions=positions_of(path, config),
        config=config,
        weights=weights,
        tokenizer=directory,
        source=source,
        licence=licence_of(directory),
    )


def _merged(directory: Path, names: frozenset[str], base: str | None) -> Base:
    """Check an adapter and the base that it is merged into."""
    if main := main_file(names):
        raise InvalidBundle(
            f"{directory} holds a whole model, {main}, and an adapter, {ADAPTER}",
            "put the one that is meant into a directory of its own",
        )
    found = open_adapter(directory)
    place = _located(base) if base else _named(directory, found)
    if _is_adapter(names_in(place)):
        raise InvalidBundle(
            f"the base {place} of {directory} is an adapter itself",
            "merge it into its own base first, and name the result with --base",
        )
    below = _whole(place, names_in(place))
    own = directory / "config.json"
    config = {**below.config, **_classes(found, read_json(own) if own.name in names else {})}
    fields.check(own, config, fields.Config)
    tokenizer = directory if hub.has_tokenizer(names) else below.tokenizer
    _check_tokenizer(tokenizer, names_in(tokenizer))
    source = hub.source_of(directory)
    return replace(
        below,
        name=source.name,
        directory=directory,
        sha256=digest([*found.weights.files, *below.weights.files]),
        config=config,
        tokenizer=tokenizer,
        source=Source(source.name, source.revision, base=_place(below.source)),
        licence=licence_of(directory) or below.licence,
        adapter=found,
    )


def _place(source: Source) -> str:
    return f"{source.name}@{source.revision}" if source.revision else source.name


def _classes(found: Adapter, own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a configuration beside an adapter says of classes, or names of their numbers."""
    said = {key: own[key] for key in _CLASSES if key in own}
    if "id2label" in said or found.classes is None:
        return said
    names = {str(number): f"LABEL_{number}" for number in range(found.classes)}
    ids = {name: int(key) for key, name in names.items()}
    return {**said, "id2label": names, "label2id": ids}


def _named(directory: Path, found: Adapter) -> Path:
    """Return the base that an adapter names: a directory, or a model of the Hub.

    What came from the Hub may name a model of the Hub alone, not a directory of this box.
    """
    place = Path(found.base).expanduser()
    local = hub.source_of(directory).revision is None
    if found.base and local and place.is_dir():
        return place
    if hub.is_name(found.base):
        return hub.fetched(found.base, found.revision)
    raise InputMissing(
        f"{directory / adapter.CONFIG} names the base {untrusted.shown(found.base)}, which is not "
        "found",
        f"say where it is: tweetscore model export {path_word(directory)} --base BASE",
    )


def _check_tokenizer(directory: Path, names: frozenset[str]) -> None:
    """Check the files of a tokenizer, whichever of them there are."""
    path = directory / "tokenizer_config.json"
    if path.name in names:
        config = read_json(path)
        refuse_code(path, config)
        refuse_foreign_files(path, config)
    for name in _TOKENIZER_JSON:
        if name in names:
            refuse_code(directory / name, read_json(directory / name))
    for name in names.intersection(hub.TOKENIZER_FILES):
        plain_file(directory / name)
    tokens = directory / "tokenizer.json"
    if tokens.name in names:
        verify_tokenizer(tokens, untrusted.read_bytes(plain_file(tokens)))


def _without_weights(directory: Path, config: Mapping[str, Any]) -> InvalidBundle:
    """Return the error where a directory has no weights that are read here."""
    found = sorted(
        Path(above, name).relative_to(directory)
        for above, _, names in os.walk(directory)
        for name in names
        if name.endswith((".onnx", ".h5", ".msgpack", ".gguf", ".ckpt"))
    )[:1]
    origin = str(config.get("_name_or_path") or "")
    place = f"hf:{origin}" if hub.is_name(origin) and "/" in origin else "CHECKPOINT"
    if found and found[0].suffix == ".onnx":
        return InvalidBundle(
            f"{directory} holds an ONNX graph, {found[0]}, without the PyTorch weights that it was "
            "made of: answers cannot be compared with those of the model",
            f"export from the checkpoint: tweetscore model export {word(place)} -o BUNDLE",
        )
    other = f", only {found[0]}" if found else ""
    return InvalidBundle(
        f"{directory} has no weights of PyTorch: no model.safetensors and no "
        f"pytorch_model.bin{other}",
        "save the model with save_pretrained of transformers",
    )
