"""GPT-2 in two streams: the last token, which may be a pad, and those before it."""

import types
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional
from transformers.activations import ACT2FN
from transformers.modeling_outputs import SequenceClassifierOutput

from export.int8 import Observers
from export.int8.layers import (
    Affine,
    Heads,
    Layer,
    SmoothingFactors,
    attention,
    feed_forward,
    heads_of,
)


def split_gpt2(model: Any, observers: Observers, factors: Sequence[SmoothingFactors]) -> None:
    """Patch GPT-2: the last token attends to all others, and none of them attends to it."""
    transformer, config = model.base_model, model.config
    heads = heads_of(config)

    def forward(
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        position_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        observers.start()
        position = torch.arange(input_ids.shape[1], device=input_ids.device)
        own = position if position_ids is None else position_ids
        hidden = transformer.wte(input_ids) + transformer.wpe(own)
        # Only a pad is told its position, and a pad does not attend to itself.
        unseen = None if position_ids is None else attention_mask[:, None, None] == 0
        pooled, context = hidden[:, -1:], hidden[:, :-1]
        later = position[None, :-1] > position[:-1, None]
        for block, layer_factors in zip(transformer.h, factors, strict=True):
            layer = _gpt2_layer(block, config).fold_value_bias(layer_factors.values)
            scaled = observers.observe(
                _scaled(layer.attention_norm, layer_factors.attention_input)(context)
            )
            scaled_layer = layer.with_scaled_input(layer_factors.attention_input)
            keys, values = scaled_layer.key.linear(scaled), scaled_layer.value.linear(scaled)
            pooled = _gpt2_pool(layer, pooled, (keys, values), heads, unseen)
            if block is transformer.h[-1]:
                break
            attended = attention(scaled_layer.query(scaled), keys, values, heads, later)
            context = context + layer.out(observers.observe(attended))
            inner_input = observers.observe(
                _scaled(layer.output_norm, layer_factors.ffn_input)(context)
            )
            context = context + feed_forward(layer, layer_factors, inner_input, observers)
        return SequenceClassifierOutput(logits=model.score(transformer.ln_f(pooled))[:, 0])

    model.forward = types.MethodType(forward, model)


def _gpt2_layer(block: Any, config: Any) -> Layer:
    """Return a block's parameters; called under the tracer, which must see them."""

    def affine(convolution: Any, part: slice = slice(None)) -> Affine:
        return Affine(convolution.weight[:, part].T, convolution.bias[part])

    parts = [slice(i * config.n_embd, (i + 1) * config.n_embd) for i in range(3)]
    query, key, value = (affine(block.attn.c_attn, part) for part in parts)
    return Layer(
        query=query,
        key=key,
        value=value,
        out=affine(block.attn.c_proj),
        up=affine(block.mlp.c_fc),
        down=affine(block.mlp.c_proj),
        activation=ACT2FN[config.activation_function],
        attention_norm=block.ln_1,
        output_norm=block.ln_2,
    )


def _scaled(norm: Any, scale: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a normalisation whose results are multiplied by `scale`."""
    weight, bias = norm.weight * scale, norm.bias * scale
    return lambda x: functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _gpt2_pool(
    layer: Layer,
    pooled: torch.Tensor,
    context: tuple[torch.Tensor, torch.Tensor],
    heads: Heads,
    unseen: torch.Tensor | None,
) -> torch.Tensor:
    """Return the last token after a block; `context` has keys and values of the others."""
    normal = layer.attention_norm(pooled)
    keys = torch.cat([context[0], layer.key.linear(normal)], dim=1)
    values = torch.cat([context[1], layer.value.linear(normal)], dim=1)
    pooled = pooled + layer.out(attention(layer.query(normal), keys, values, heads, unseen))
    return pooled + layer.down(layer.activation(layer.up(layer.output_norm(pooled))))
