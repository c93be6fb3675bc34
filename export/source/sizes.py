"""What a model's own config says of its sizes: positions, tokens and the pad token.

A ``config.json`` may leave out what is the default of its model type: only then is transformers
asked for it, by the name of the type.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from export.model_types import defaults_of
from scorer.errors import InvalidBundle

# The first position of a text is that of the pad token's id + 1 in these families: RoBERTa's, and
# those whose code was made from it.
_NUMBERED_FROM_PAD = frozenset(
    {"camembert", "data2vec-text", "esm", "ibert", "longformer", "mpnet", "roberta"}
    | {"roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"}
)
# The names that model types give to one setting.
_NAMES = {
    "positions": ("max_position_embeddings", "n_positions", "max_seq_len"),
    "tokens": ("vocab_size", "n_words"),
    "pad": ("pad_token_id",),
}
_MOST_POSITIONS = 2**31
# Tokens that a model without a table of positions reads, if its tokenizer does not say.
_WITHOUT_A_MAXIMUM = 512


def _setting(config: Mapping[str, Any], name: str) -> Any:
    """Return a setting of a ``config.json``, or its model type's default; None where it has none.

    A setting that the file sets to null counts as left out.
    """
    found = (config[each] for each in _NAMES[name] if config.get(each) is not None)
    value = next(found, None)
    if value is not None:
        return value
    for each in _NAMES[name]:
        value = getattr(defaults_of(config["model_type"]), each, None)
        if value is not None and value >= 0:  # XLNet's positions are -1: there is no maximum
            return value
    return None


def first_position(config: Mapping[str, Any]) -> int:
    """Return the position of a text's first token in the model's own numbering."""
    if config["model_type"] not in _NUMBERED_FROM_PAD:
        return 0
    pad = _setting(config, "pad")
    return pad + 1 if isinstance(pad, int) else 1


def stated_positions(config: Mapping[str, Any], path: Path = Path("config.json")) -> int | None:
    """Return how many tokens a model reads at most by its config; None where that names no maximum.

    Raises:
        InvalidBundle: The config has a maximum that is none.
    """
    positions = _setting(config, "positions")
    if positions is None:
        return None
    first = first_position(config)
    if isinstance(positions, bool) or not isinstance(positions, int) or positions <= first:
        raise InvalidBundle(
            f"{path} says that there are {str(positions)[:80]} positions",
            "fetch the model again, or save it again with save_pretrained",
        )
    return min(positions, _MOST_POSITIONS) - first


def positions_of(path: Path, config: Mapping[str, Any]) -> int:
    """Return how many tokens a model reads at most.

    Where its config names no maximum, as for models whose positions are relative, it is that of
    the tokenizer beside it, or 512.

    Args:
        path: Of ``config.json``.
        config: Its content.

    Raises:
        InvalidBundle: The config has a maximum that is none.
    """
    stated = stated_positions(config, path)
    if stated is not None:
        return stated
    return _tokenizer_maximum(path.parent / "tokenizer_config.json") or _WITHOUT_A_MAXIMUM


def _tokenizer_maximum(path: Path) -> int | None:
    """Return the tokenizer's model_max_length; None where there is none that means something."""
    with suppress(OSError, ValueError, AttributeError):
        # transformers writes 10^30 where nothing is known.
        length = json.loads(path.read_bytes()).get("model_max_length")
        if isinstance(length, int) and 0 < length < _MOST_POSITIONS:
            return length
    return None


def tokens_of(config: Mapping[str, Any]) -> int:
    """Return how many tokens a model knows; 0 where its config does not say."""
    tokens = _setting(config, "tokens")
    return tokens if isinstance(tokens, int) else 0


def pad_token_id_of(directory: Path, config: dict[str, Any]) -> int | None:
    """Return the id of the pad token, None where the config has none; InvalidBundle for no id."""
    pad = _setting(config, "pad")
    if pad is None:
        return None
    if not isinstance(pad, int) or not 0 <= pad < tokens_of(config):
        raise InvalidBundle(
            f"{directory / 'config.json'} has pad_token_id {pad!r}",
            "set it there to the id that the tokenizer pads with",
        )
    return pad
