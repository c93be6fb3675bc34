"""Decoders without a pad id: served unpadded, with the answers of the padded model.

transformers pools the last token that such a model is given. Behind a text that was padded on the
right to N tokens that is the pad at position N - 1, which attends to the real tokens only, and to
which none of them attends. So one such token behind the real ones gives the same logits, for the
price of one token instead of N. A text of N tokens or more has no pad, and its own last token is
pooled. Where pads stand on the left, the real tokens are at the last N positions, and no pad has
any part in the answer.

How a model numbers positions is its own affair (a table, angles, a count of what the mask shows),
and some attend to near tokens only. So each way is held against the padded model, by numbers.
"""

import inspect
import math
import types
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from scorer.errors import InvalidBundle

# Of any logit. What is not the same computation differs by far more, and the gate holds
# the probabilities to 1e-5.
_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Pads:
    """The pads of a model without a pad id."""

    length: int | None  # tokens of a padded text; None: texts are not padded
    token: int
    left: bool = False  # where they stand

    def behind(self, ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the inputs of the padded model for one text, [1, tokens]."""
        count = max(0, (self.length or 0) - ids.shape[1])
        pads = torch.full((1, count), self.token)
        real, hidden = torch.ones_like(ids), torch.zeros_like(pads)
        order = -1 if self.left else 1
        return {
            "input_ids": torch.cat([ids, pads][::order], 1),
            "attention_mask": torch.cat([real, hidden][::order], 1),
        }


def served_unpadded(model: PreTrainedModel, whole: PreTrainedModel, pads: Pads) -> PreTrainedModel:
    """Return a model that answers to unpadded texts of any length as `whole` does to padded ones.

    Args:
        model: `whole`, or its pruned copy, which pools the last token; a copy is changed.
        whole: As it was trained, without a pad id.
        pads: With which `whole` is used.

    Raises:
        InvalidBundle: No way is exact for this model.
    """
    if model is whole:
        model = deepcopy(model)
        _pool_last(model)
    last_token = model.forward
    numbered: tuple[bool, ...] = (False,)
    if pads.length and "position_ids" in inspect.signature(model.base_model.forward).parameters:
        numbered = (True, False)
    differences = []
    for each in numbered:
        model.forward = last_token
        add_pad(model, pads, numbered=each)
        differences.append(difference_from_padded(model, whole, pads))
        if differences[-1] <= _TOLERANCE:
            return model
    raise InvalidBundle(
        f"the {whole.config.model_type} padded to {pads.length} tokens cannot be served: without "
        f"the pads its logits would differ by {min(differences):.1e}",
        "give the model a pad id, train it so, and leave out --pad-to",
    )


def _pool_last(model: Any) -> None:
    """Let a classifier take several texts without a pad id, and pool the last token of each."""
    if not hasattr(model, "score"):
        raise InvalidBundle(
            f"a {model.config.model_type} without a pad id cannot be served",
            "set pad_token_id in its config.json to the id that the tokenizer pads with",
        )

    def forward(model: Any, **inputs: torch.Tensor) -> SequenceClassifierOutput:
        hidden = model.base_model(**inputs, use_cache=False)[0]
        return SequenceClassifierOutput(logits=model.score(hidden[:, -1]))

    model.forward = types.MethodType(forward, model)


def add_pad(model: Any, pads: Pads, *, numbered: bool) -> None:
    """Let a model that pools the last token take unpadded texts of one length.

    Args:
        model: Is changed.
        pads: With which the model is used.
        numbered: Whether the model is given the positions that the tokens have in the padded text.
    """
    last_token: Callable[..., SequenceClassifierOutput] = model.forward

    def forward(
        _: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **__: Any
    ) -> SequenceClassifierOutput:
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        if pads.length and pads.left:
            # A size as a tensor, or the tracer would take it for a constant.
            positions = positions + (pads.length - _tokens(input_ids)).clamp(min=0)
        elif pads.length:
            inputs, positions = _with_a_pad(input_ids, attention_mask, positions, pads)
        if numbered:
            inputs["position_ids"] = positions[None]
        return last_token(**inputs)

    model.forward = types.MethodType(forward, model)


def _with_a_pad(
    ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, pads: Pads
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Append the last pad to texts that have fewer tokens than the padded model is given."""
    length = pads.length or 0
    tokens = _tokens(ids)
    end = tokens + (tokens < length).long()
    pad = torch.full_like(ids[:, :1], pads.token)
    last = torch.full_like(positions[:1], length - 1)
    inputs = {
        "input_ids": torch.cat([ids, pad], 1)[:, :end],
        "attention_mask": torch.cat([mask, torch.zeros_like(pad)], 1)[:, :end],
    }
    return inputs, torch.cat([positions, last])[:end]


def _tokens(ids: torch.Tensor) -> torch.Tensor:
    sizes: torch.Tensor = torch._shape_as_tensor(ids)  # noqa: SLF001  # what the tracer records
    return sizes[1]


def difference_from_padded(model: Any, whole: Any, pads: Pads) -> float:
    """Return the largest difference of any logit: unpadded texts here, padded ones in `whole`."""
    with torch.inference_mode():
        differences = [
            (model(**Pads(None, pads.token).behind(ids)).logits - whole(**pads.behind(ids)).logits)
            .abs()
            .max()
            .item()
            for ids in _texts(whole.config, pads)
        ]
    return math.inf if any(map(math.isnan, differences)) else max(differences)


def _texts(config: Any, pads: Pads) -> Iterator[torch.Tensor]:
    """Yield random texts [1, tokens]: short ones, those around the padded length, a longer one."""
    generator = torch.Generator().manual_seed(0)
    most = getattr(config, "max_position_embeddings", None) or 2**31
    length = pads.length or 16
    for tokens in sorted({1, 2, 7, length // 2, length - 1, length, length + 3}):
        if 0 < tokens <= most:
            yield torch.randint(config.vocab_size, (1, tokens), generator=generator)
