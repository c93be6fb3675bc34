"""Checks a bundle's configuration before a library reads it."""

from pathlib import Path

from scorer.inference.bundle.metadata import Metadata
from scorer.inference.bundle.untrusted import Weights, invalid, is_whole, parse_json, shown

# The tensors with a row per token id, and with a row per position.
_TABLES = {
    kind: tuple(f"{kind}.embeddings.{rows}_embeddings.weight" for rows in ("word", "position"))
    for kind in ("bert", "distilbert", "roberta")
} | {"gpt2": ("transformer.wte.weight", "transformer.wpe.weight")}


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
    words, places = (weights.shapes.get(name) or (0,) for name in _TABLES[bundle.model_type])
    tokens = config.get("vocab_size")
    if not is_whole(tokens, 1, 2**31) or words[0] != tokens:
        raise invalid(path, f"has vocab_size {shown(tokens)}, and the weights have {words[0]} rows")
    positions = config.get("n_positions", config.get("max_position_embeddings"))
    if not is_whole(positions, 1, 2**31) or places[0] != positions:
        raise invalid(path, f"has {shown(positions)} positions, and the weights have {places[0]}")
    # RoBERTa numbers its positions from pad_token_id + 1.
    reserved = bundle.pad_token_id + 1 if bundle.model_type == "roberta" else 0
    if bundle.max_length > places[0] - reserved:
        raise invalid(path, f"has {places[0]} positions, too few for {bundle.max_length} tokens")
    if bundle.pad_token_id >= words[0]:
        raise invalid(path, f"has {words[0]} tokens, and {bundle.pad_token_id} is not one of them")
    return words[0]
