"""Checks a bundle's configuration before a library reads it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from scorer.inference.bundle.metadata import Metadata, Tables
from scorer.inference.bundle.untrusted import Weights, invalid, is_whole, parse_json, shown

# Of bundles of version 1, which do not name them.
_TABLES = {
    kind: Tables(
        f"{kind}.embeddings.word_embeddings.weight", f"{kind}.embeddings.position_embeddings.weight"
    )
    for kind in ("bert", "distilbert", "roberta")
} | {"gpt2": Tables("transformer.wte.weight", "transformer.wpe.weight")}

_POSITIONS = ("n_positions", "max_position_embeddings", "max_seq_len")
_MOST_POSITIONS = 2**31


def verify_config(path: Path, raw: bytes, bundle: Metadata, weights: Weights) -> int:
    """Hold the content of a bundle's ``config.json`` against ``tweetscore.json`` and the weights.

    Returns:
        How many tokens the model knows.

    Raises:
        InvalidBundle: They describe different models.
    """
    config = parse_json(path, raw)
    if config.get("model_type") != bundle.model_type:
        raise invalid(
            path, f"has model_type {shown(config.get('model_type'))}, not {bundle.model_type}"
        )
    if "auto_map" in config:
        raise invalid(path, "asks for code of its own (auto_map), which is not allowed")
    names = config.get("id2label")
    if names != {str(i): label for i, label in enumerate(bundle.labels)}:
        raise invalid(path, f"has id2label {shown(names)}, not the labels of tweetscore.json")
    tables = _tables(path, bundle)
    rows, tokens = _rows(weights, tables.tokens), config.get("vocab_size", config.get("n_words"))
    if not is_whole(tokens, 1, 2**31) or rows != tokens:
        raise invalid(path, f"has vocab_size {shown(tokens)}, and the weights have {rows} rows")
    if bundle.pad_token_id >= rows:
        raise invalid(path, f"has {rows} tokens, and {bundle.pad_token_id} is not one of them")
    _check_positions(path, config, bundle, tables, weights)
    return rows


def _tables(path: Path, bundle: Metadata) -> Tables:
    if bundle.tables is not None:
        return bundle.tables
    if bundle.model_type not in _TABLES:
        raise invalid(
            path, f"is of the type {shown(bundle.model_type)}, whose tables are not named"
        )
    known = _TABLES[bundle.model_type]
    # RoBERTa numbers its positions from pad_token_id + 1.
    return (
        replace(known, first=bundle.pad_token_id + 1) if bundle.model_type == "roberta" else known
    )


def _rows(weights: Weights, name: str) -> int:
    return (weights.shapes.get(name) or (0,))[0]


def _check_positions(
    path: Path, config: Mapping[str, Any], bundle: Metadata, tables: Tables, weights: Weights
) -> None:
    """Check that the model has a position for each token that it is to read.

    Where positions are computed there is no table, and the maximum that the config states holds.
    """
    stated = (config.get(name) for name in _POSITIONS)
    positions = next((each for each in stated if each is not None), None)
    if tables.positions is None:
        count, first = _MOST_POSITIONS if positions is None else positions, 0
        if not is_whole(count, 1, _MOST_POSITIONS):
            raise invalid(path, f"has {shown(positions)} positions")
    else:
        count, first = _rows(weights, tables.positions), tables.first
        # OPT and BART have a row for each position and those before the first beside them.
        if not is_whole(positions, 1, _MOST_POSITIONS) or count not in (
            positions,
            positions + first,
        ):
            raise invalid(path, f"has {shown(positions)} positions, and the weights have {count}")
    if bundle.max_length > count - first:
        raise invalid(path, f"has {count} positions, too few for {bundle.max_length} tokens")
