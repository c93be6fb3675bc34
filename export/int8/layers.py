"""A transformer's layers in two streams: their parameters, and the forward pass of an encoder."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from export.int8 import Observers

Indices = torch.Tensor | slice  # of inputs or outputs of a linear map


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A linear map with a bias."""

    weight: torch.Tensor  # [outputs, inputs]
    bias: torch.Tensor  # [outputs]

    @classmethod
    def of_linear(cls, module: Any) -> Self:
        """Take the parameters of a ``torch.nn.Linear``."""
        return cls(module.weight, module.bias)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return [..., outputs] of [..., inputs]."""
        return self.linear(x) + self.bias

    def linear(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs without the bias."""
        return x @ self.weight.T

    def add_bias(self, bias: torch.Tensor) -> Self:
        """Return the map with `bias` added to its own."""
        return replace(self, bias=self.bias + bias)

    def absorb_input_scale(self, scale: torch.Tensor) -> Self:
        """Return the map that gives the same outputs for inputs multiplied by `scale`."""
        return replace(self, weight=self.weight / scale)

    def scaled(self, scale: torch.Tensor) -> Self:
        """Return the map whose outputs are multiplied by `scale`."""
        return replace(self, weight=self.weight * scale[:, None], bias=self.bias * scale)

    def select_inputs(self, inputs: Indices) -> Self:
        """Return the map restricted to some of the inputs."""
        return replace(self, weight=self.weight[:, inputs])

    def select_outputs(self, outputs: Indices) -> Self:
        """Return the map restricted to some of the outputs."""
        return replace(self, weight=self.weight[outputs], bias=self.bias[outputs])


@dataclass(frozen=True, slots=True, eq=False)
class SmoothingFactors:
    """The factors of the context's features in one layer, and the groups of its inner units."""

    attention_input: torch.Tensor  # [width], before query, key and value
    values: torch.Tensor  # [width], of the values, and so of the output of attention
    ffn_input: torch.Tensor  # [width], before the feed-forward network
    ffn_groups: tuple[Indices, ...]  # of inner units; none: their output product stays in fp32

    def to(self, kind: torch.dtype) -> "SmoothingFactors":
        """Return the same factors in a model's data type."""
        return SmoothingFactors(
            self.attention_input.to(kind),
            self.values.to(kind),
            self.ffn_input.to(kind),
            self.ffn_groups,
        )


@dataclass(frozen=True, slots=True)
class Layer:
    """The parameters of a transformer layer."""

    query: Affine
    key: Affine
    value: Affine
    out: Affine
    up: Affine
    down: Affine
    activation: Callable[[torch.Tensor], torch.Tensor]
    attention_norm: torch.nn.LayerNorm
    output_norm: torch.nn.LayerNorm

    def fold_value_bias(self, scale: torch.Tensor) -> Self:
        """Return the layer with values multiplied by `scale`, their bias added to that of `out`."""
        return replace(
            self,
            value=self.value.scaled(scale),
            out=self.out.absorb_input_scale(scale).add_bias(self.out.linear(self.value.bias)),
        )

    def with_scaled_input(self, scale: torch.Tensor) -> Self:
        """Return the layer for context whose features are multiplied by `scale`."""
        return replace(
            self,
            query=self.query.absorb_input_scale(scale),
            key=self.key.absorb_input_scale(scale),
            value=self.value.absorb_input_scale(scale),
        )


@dataclass(frozen=True, slots=True)
class Heads:
    """How attention divides a token's features."""

    number: int
    width: int  # of each head


@dataclass(frozen=True, slots=True)
class PostNorm:
    """The forward pass of an encoder (post-norm layers) in two streams."""

    layers: Sequence[Layer]
    factors: Sequence[SmoothingFactors]
    heads: Heads
    observers: Observers

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the pooled token [rows, 1, width] of [rows, tokens, width]."""
        self.observers.start()
        pooled, context = hidden[:, :1], hidden[:, 1:]
        *others, last = (
            (layer.fold_value_bias(factors.values), factors)
            for layer, factors in zip(self.layers, self.factors, strict=True)
        )
        for layer, factors in others:
            scaled_layer = layer.with_scaled_input(factors.attention_input)
            scaled_context = self.observers.observe(context * factors.attention_input)
            keys, values = _keys_and_values(layer, pooled, scaled_layer, scaled_context)
            attended = self.observers.observe(
                attention(scaled_layer.query(scaled_context), keys, values, self.heads)
            )
            pooled = self._pool(layer, pooled, keys, values)
            context = layer.attention_norm(layer.out(attended) + context)
            inner_input = self.observers.observe(context * factors.ffn_input)
            context = layer.output_norm(
                feed_forward(layer, factors, inner_input, self.observers) + context
            )
        layer, factors = last
        scaled_context = self.observers.observe(context * factors.attention_input)
        scaled_layer = layer.with_scaled_input(factors.attention_input)
        return self._pool(
            layer, pooled, *_keys_and_values(layer, pooled, scaled_layer, scaled_context)
        )

    def _pool(
        self, layer: Layer, pooled: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        attended = layer.out(attention(layer.query(pooled), keys, values, self.heads))
        pooled = layer.attention_norm(attended + pooled)
        output = layer.down(layer.activation(layer.up(pooled)))
        result: torch.Tensor = layer.output_norm(output + pooled)
        return result


def _keys_and_values(
    layer: Layer, pooled: torch.Tensor, scaled_layer: Layer, scaled_context: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return keys and values [rows, tokens, width] without biases, the pooled token's first."""
    keys = torch.cat([layer.key.linear(pooled), scaled_layer.key.linear(scaled_context)], dim=1)
    values = torch.cat(
        [layer.value.linear(pooled), scaled_layer.value.linear(scaled_context)], dim=1
    )
    return keys, values


def feed_forward(
    layer: Layer, factors: SmoothingFactors, scaled_context: torch.Tensor, observers: Observers
) -> torch.Tensor:
    """Return the output of the feed-forward network for context scaled by `factors.ffn_input`."""
    up = layer.up.absorb_input_scale(factors.ffn_input)
    if not factors.ffn_groups:
        return layer.down(layer.activation(up(scaled_context)))
    output = layer.down.bias
    for units in factors.ffn_groups:
        activated = observers.observe(
            layer.activation(up.select_outputs(units)(scaled_context)), activated=True
        )
        output = layer.down.select_inputs(units).linear(activated) + output
    return output


def attention(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: Heads,
    hidden: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return [rows, queries, width] of [rows, tokens, width]; no query attends where `hidden`."""

    def split_heads(x: torch.Tensor) -> torch.Tensor:
        # Of the tensor's sizes only the rows are read: each one costs the graph eight operators.
        return x.view(x.shape[0], -1, heads.number, heads.width).transpose(1, 2)

    weights = split_heads(queries) @ split_heads(keys).transpose(-1, -2) / math.sqrt(heads.width)
    if hidden is not None:
        weights = weights.masked_fill(hidden, torch.finfo(weights.dtype).min)
    attended = (weights.softmax(-1) @ split_heads(values)).transpose(1, 2)
    return attended.reshape(queries.shape[0], -1, heads.number * heads.width)


def heads_of(config: Any) -> Heads:
    """Return the heads of a model with this configuration."""
    number = config.num_attention_heads  # the name that all families' configurations have
    return Heads(number, config.hidden_size // number)
