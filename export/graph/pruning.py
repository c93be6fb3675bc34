"""The last layer for the pooled token alone, and attention without a mask: exact rewrites.

The mask goes, because batches that are served have no padding. In the last layer only the token
that is pooled is computed: the first of an encoder, the last of GPT-2. That token still attends to
all others, so keys and values are computed for every token, but query, output projection and
feed-forward only for one. The algebra is exact; a sixth of the work of a six-layer model goes away.

Which architecture gets which rewrite is in `export.architectures`. Optimum validates an export
against the very model that it traced, so it cannot notice a wrong patch: `prune` itself compares
with the model that it was given.
"""

import logging
import math
import types
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from export.graph.equivalence import TOLERANCE, largest_difference

_log = logging.getLogger(__name__)

#: Changes a model so that its last layer computes the pooled token only.
Patch = Callable[[Any], None]


def prune(model: PreTrainedModel, patch: Patch) -> PreTrainedModel:
    """Return a pruned copy of the model.

    Where the copy's answers differ by more than `TOLERANCE` (a setting of the attention that
    the patch does not know), the model itself is returned: slower, and right.
    """
    pruned = deepcopy(model)
    patch(pruned)
    difference = largest_difference(pruned, model)
    if difference <= TOLERANCE:
        return pruned
    _log.warning("the last layer is not pruned: logits would differ by %.1e", difference)
    return model


def drop_attention_mask(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy without an attention mask; exact for batches without padding.

    Only for encoders that get their mask from `get_extended_attention_mask`, as BERT does. Where
    the copy's answers differ by more than `TOLERANCE`, the model itself is returned.
    """
    copied = deepcopy(model)
    encoder: Any = copied.base_model
    encoder.get_extended_attention_mask = lambda *_, **__: None
    difference = largest_difference(copied, model, padded=False)
    if difference <= TOLERANCE:
        return copied
    _log.warning("the attention mask stays: without it logits would differ by %.1e", difference)
    return model


def prune_encoder(model: Any) -> None:
    """Patch BERT and its kin, whose cross-attention path takes fewer queries than keys."""

    def forward(
        layer: Any, hidden: torch.Tensor, mask: torch.Tensor | None = None, *_: Any, **__: Any
    ) -> tuple[torch.Tensor]:
        pooled = layer.attention(
            hidden[:, :1],
            attention_mask=None if mask is None else mask[:, :, :1],
            encoder_hidden_states=hidden,
        )[0]
        return (layer.feed_forward_chunk(pooled),)

    layer = model.base_model.encoder.layer[-1]
    layer.forward = types.MethodType(forward, layer)


def prune_distilbert(model: Any) -> None:
    """Patch DistilBERT, whose attention takes query and keys apart."""

    def forward(
        layer: Any, x: torch.Tensor, mask: torch.Tensor | None, *_: Any, **__: Any
    ) -> tuple[torch.Tensor]:
        if mask is not None and mask.dim() == 4:  # eager attention gets [rows, tokens]
            mask = mask[:, :, :1]
        attended = layer.attention(query=x[:, :1], key=x, value=x, mask=mask)[0]
        pooled = layer.sa_layer_norm(attended + x[:, :1])
        return (layer.output_layer_norm(layer.ffn(pooled) + pooled),)

    layer = model.base_model.transformer.layer[-1]
    layer.forward = types.MethodType(forward, layer)


def prune_gpt2(model: Any) -> None:
    """Take the last block and the final norm out of the transformer; run them on one token."""
    transformer = model.base_model
    block = transformer.h[-1]
    final_norm = type(transformer.ln_f).forward

    def forward(
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        hidden = transformer(
            input_ids, attention_mask=attention_mask, position_ids=position_ids
        ).last_hidden_state
        last, visible = _last_token(input_ids, attention_mask, model.config.pad_token_id)
        pooled = hidden[:, -1:]
        if last is not None:
            index = last.long()[:, None, None].expand(-1, 1, hidden.shape[-1])
            pooled = hidden.gather(1, index)
        pooled = pooled + _attend(block.attn, block.ln_1(pooled), block.ln_1(hidden), visible)
        pooled = pooled + block.mlp(block.ln_2(pooled))
        logits = model.score(final_norm(transformer.ln_f, pooled))[:, 0]
        return SequenceClassifierOutput(logits=logits)

    # Patched rather than removed: the parameters keep the names of the checkpoint.
    block.forward = lambda hidden, *_, **__: (hidden,)
    transformer.ln_f.forward = lambda hidden: hidden
    transformer.config.use_cache = False
    model.forward = types.MethodType(forward, model)


def _last_token(
    ids: torch.Tensor, mask: torch.Tensor, pad: int | None
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Return the place of the token that GPT-2 pools, and the tokens that it attends to.

    As transformers pools: the last token that is not the pad token, whatever the mask says. None
    where there is no pad id, and the last one is pooled.
    """
    if pad is None:
        return None, mask.bool()
    position = torch.arange(ids.shape[1], dtype=torch.int32, device=ids.device)
    last = (position * (ids != pad).int()).argmax(-1)
    return last, (position <= last[:, None]) & mask.bool()


def _attend(
    attention: Any, query: torch.Tensor, keys: torch.Tensor, visible: torch.Tensor
) -> torch.Tensor:
    """Return GPT-2's attention output [rows, 1, width] of one token over [rows, tokens, width]."""
    width, weight, bias = attention.embed_dim, attention.c_attn.weight, attention.c_attn.bias
    q = query @ weight[:, :width] + bias[:width]
    k, v = (keys @ weight[:, width:] + bias[width:]).split(width, dim=-1)

    def heads(x: torch.Tensor) -> torch.Tensor:
        # Not unflatten: the tracer would take its sizes for constants.
        return x.view(*x.shape[:-1], attention.num_heads, attention.head_dim).transpose(1, 2)

    weights = heads(q) @ heads(k).transpose(-1, -2) / math.sqrt(attention.head_dim)
    hidden = torch.finfo(weights.dtype).min
    weights = weights.masked_fill(~visible[:, None, None], hidden).softmax(-1)
    attended = (weights @ heads(v)).transpose(1, 2).reshape(query.shape)
    projected: torch.Tensor = attention.c_proj(attended)
    return projected
