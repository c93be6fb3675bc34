"""What a model's own config says of its sizes: positions and the pad token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scorer.errors import InvalidBundle


def positions_of(path: Path, config: Mapping[str, Any]) -> int:
    """Return how many tokens a model reads at most; InvalidBundle where its config does not say."""
    # RoBERTa numbers its positions from the pad token's id + 1.
    reserved = config.get("pad_token_id", 1) + 1 if config["model_type"] == "roberta" else 0
    positions = config.get("n_positions") or config.get("max_position_embeddings")
    if not isinstance(positions, int) or positions <= reserved:
        raise InvalidBundle(f"{path} does not say how many positions there are", "add them to it")
    return positions - reserved


def pad_token_id_of(directory: Path, config: dict[str, Any]) -> int:
    """Return the id of the pad token; InvalidBundle where the config has none."""
    # BERT, DistilBERT and RoBERTa have one by definition; a config.json may leave it out.
    defaults = {"bert": 0, "distilbert": 0, "roberta": 1}
    pad = config.get("pad_token_id")
    pad = defaults.get(config["model_type"]) if pad is None else pad
    if not isinstance(pad, int) or not 0 <= pad < config["vocab_size"]:
        raise InvalidBundle(
            f"{directory / 'config.json'} has pad_token_id {pad!r}",
            "set pad_token_id in model and tokenizer and save both: GPT-2 finds a text's last "
            "token by it",
        )
    return pad
