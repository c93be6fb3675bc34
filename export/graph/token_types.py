"""Token types of a model whose Optimum export knows none, or for which types of 0 are not nothing.

A graph of BERT asks for types, and the scorer feeds 0: the type that BERT itself takes where it is
given none. GPT-2 and XLM look a type up among the token embeddings, so a type of 0 adds the
embedding of token 0, and none adds nothing. Which of the two a model was trained with, its
tokenizer says: transformers' pipeline passes on all that the tokenizer gives.
"""

import types
from copy import deepcopy
from typing import Any

import torch
from transformers import PreTrainedModel

from export.graph.equivalence import TOLERANCE, largest_difference


def with_types_of_zero(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy that gives itself types of 0; the model itself where that changes nothing.

    Args:
        model: Whose forward pass takes token types.
    """
    typed = deepcopy(model)
    forward = type(model).forward

    def typed_forward(
        model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **_: Any
    ) -> Any:
        return forward(
            model,
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=torch.zeros_like(input_ids),
        )

    typed.forward = types.MethodType(typed_forward, typed)
    changes = largest_difference(typed, model, padded=False) > TOLERANCE
    return typed if changes else model
