"""A transformer's layers in two streams: their parameters, and the forward pass of an encoder."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import torch

from export.int8.smoothing import Affine, Equalized, Observers


@dataclass(frozen=True, slots=True)
class Layer:
    """The parts of a transformer layer that take part."""

    query: Affine
    key: Affine
    value: Affine
    out: Affine
    up: Affine
    down: Affine
    activation: Callable[[torch.Tensor], torch.Tensor]
    attention_norm: torch.nn.LayerNorm
    output_norm: torch.nn.LayerNorm

    def fold_value_bias(self, gain: torch.Tensor) -> Self:
        """Return the layer with values multiplied by `gain`; the bias of `out` absorbs theirs."""
        return replace(
            self,
            value=self.value.scaled(gain),
            out=self.out.absorb_input_scale(gain).add_bias(self.out.linear(self.value.bias)),
        )

    def with_scaled_input(self, gain: torch.Tensor) -> Self:
        """Return the layer for context whose features are already multiplied by `gain`."""
        return replace(
            self,
            query=self.query.absorb_input_scale(gain),
            key=self.key.absorb_input_scale(gain),
            value=self.value.absorb_input_scale(gain),
        )


@dataclass(frozen=True, slots=True)
class Heads:
    """How attention divides a token's features."""

    number: int
    width: int  # of each head


@dataclass(frozen=True, slots=True)
class PostNorm:
    """Layers that normalise after each sum, in two streams: an encoder's."""

    layers: Sequence[Layer]
    chosen: Sequence[Equalized]
    heads: Heads
    observers: Observers

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the pooled token [rows, 1, width] of [rows, tokens, width]."""
        self.observers.start()
        pooled, context = hidden[:, :1], hidden[:, 1:]
        *others, last = (
            (layer.fold_value_bias(chosen.attended), chosen)
            for layer, chosen in zip(self.layers, self.chosen, strict=True)
        )
        for layer, chosen in others:
            inside = layer.with_scaled_input(chosen.entering)
            marked = self.observers.observe(context * chosen.entering)
            keys, values = _seen(layer, pooled, inside, marked)
            attended = self.observers.observe(
                attend(inside.query(marked), keys, values, self.heads)
            )
            pooled = self._pool(layer, pooled, keys, values)
            context = layer.attention_norm(layer.out(attended) + context)
            raised = self.observers.observe(context * chosen.raising)
            context = layer.output_norm(
                feed_forward(layer, chosen, raised, self.observers) + context
            )
        layer, chosen = last
        marked = self.observers.observe(context * chosen.entering)
        inside = layer.with_scaled_input(chosen.entering)
        return self._pool(layer, pooled, *_seen(layer, pooled, inside, marked))

    def _pool(
        self, layer: Layer, pooled: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        attended = layer.out(attend(layer.query(pooled), keys, values, self.heads))
        pooled = layer.attention_norm(attended + pooled)
        lowered = layer.down(layer.activation(layer.up(pooled)))
        result: torch.Tensor = layer.output_norm(lowered + pooled)
        return result


def _seen(
    layer: Layer, pooled: torch.Tensor, inside: Layer, marked: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return keys and values [rows, tokens, width], without biases: the pooled token's first."""
    keys = torch.cat([layer.key.linear(pooled), inside.key.linear(marked)], dim=1)
    values = torch.cat([layer.value.linear(pooled), inside.value.linear(marked)], dim=1)
    return keys, values


def feed_forward(
    layer: Layer, chosen: Equalized, marked: torch.Tensor, observers: Observers
) -> torch.Tensor:
    """Return the output of the wide inner layer for context multiplied by `chosen.raising`."""
    up = layer.up.absorb_input_scale(chosen.raising)
    if not chosen.groups:
        return layer.down(layer.activation(up(marked)))
    lowered = layer.down.bias
    for units in chosen.groups:
        raised = observers.observe(
            layer.activation(up.select_outputs(units)(marked)), activated=True
        )
        lowered = layer.down.select_inputs(units).linear(raised) + lowered
    return lowered


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: Heads,
    hidden: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return [rows, queries, width] from [rows, tokens, width]; `hidden` is what none may see."""

    def parts(x: torch.Tensor) -> torch.Tensor:
        # Only the rows are asked of the tensor: each size that is costs the graph eight operators.
        return x.view(x.shape[0], -1, heads.number, heads.width).transpose(1, 2)

    weights = parts(queries) @ parts(keys).transpose(-1, -2) / math.sqrt(heads.width)
    if hidden is not None:
        weights = weights.masked_fill(hidden, torch.finfo(weights.dtype).min)
    attended = (weights.softmax(-1) @ parts(values)).transpose(1, 2)
    return attended.reshape(queries.shape[0], -1, heads.number * heads.width)


def heads_of(config: Any) -> Heads:
    """Read them from a model's configuration."""
    number = config.num_attention_heads  # which all families' configurations know by this name
    return Heads(number, config.hidden_size // number)
