"""Which weights of a model are looked up by token id and by position: a bundle names them."""

import re
from pathlib import Path
from typing import Any

from safetensors import safe_open
from transformers import PreTrainedModel

from export.source.sizes import first_position, stated_positions
from scorer.errors import InvalidBundle
from scorer.inference.bundle.metadata import Tables

# As the libraries' models call a table of absolute positions. Relative ones have few rows and other
# names.
_POSITIONS = re.compile(r"(.*\.)?(position_embeddings|embed_positions|wpe)\.weight")


def tables_of(model: PreTrainedModel, weights: Path) -> Tables:
    """Return the names, in the weights file, of a model's tables.

    Args:
        model: As it is exported.
        weights: Its file, of which a name that two tensors share is in only once.

    Raises:
        InvalidBundle: The model has no table of tokens.
    """
    with safe_open(weights, framework="numpy") as tensors:
        stored = set(tensors.keys())
    table: Any = model.get_input_embeddings()
    weight = getattr(table, "weight", None)
    named = [(name, each) for name, each in model.state_dict(keep_vars=True).items()]
    tokens = [name for name, each in named if each is weight and name in stored]
    if not tokens:
        raise InvalidBundle(
            f"the model of the type {model.config.model_type} looks up no token in a table",
            "choose a model of another type: docs/models.md lists those that are tested",
        )
    config = model.config.to_dict()
    longest = stated_positions(config) or 1
    for name, each in named:
        if name in stored and _POSITIONS.fullmatch(name) and len(each) >= longest:
            # OPT and BART have rows before the first position that their configs do not count.
            first = max(first_position(config), len(each) - longest)
            return Tables(tokens[0], name, first)
    return Tables(tokens[0])
