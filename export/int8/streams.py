"""A model in two streams: the pooled token's in full precision, its context's for int8.

A classifier pools one token, and the largest errors of int8 come from rounding that token's own
features: in BERT they reach fifty times their usual size. So the model is rewritten into two
streams that meet only in attention. The pooled token (the first of an encoder, the last of GPT-2)
attends to all tokens in fp32. The other tokens are its context; their products with the weights get
quantisation points. In the last layer the context gives keys and values only, as in
`export.graph.pruning`.

Calibration chooses the smoothing factors of the context's features, and sorts the inner units of
the feed-forward networks into groups of like size, each with a scale of its own. The bias of the
keys is left out: it adds the same number to all scores of a query. The bias of the values is added
once, behind attention, whose weights sum to one.

The rewriting is exact; `split` compares its result with the model. Batches that are served have no
padding, so there is no mask either.
"""

import copy
import logging
import types
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as _Encoded
from transformers.modeling_outputs import SequenceClassifierOutput

from export.graph.equivalence import largest_difference
from export.int8 import Observer, Observers
from export.int8.layers import (
    Affine,
    Heads,
    Layer,
    PostNorm,
    SmoothingFactors,
    attention,
    feed_forward,
    heads_of,
)

_log = logging.getLogger(__name__)

# Of any logit, in fp64. The two streams multiply matrices of other shapes than the model does, and
# so sum in another order: in fp32 that moves a logit of GPT-2 small by 1.4e-5, as much as an
# unknown setting moves some model's. In fp64 the order moves it by less than 1e-13.
_TOLERANCE = 1e-9
_LEAST_SIZE = 1e-2  # of a feature, in shares of the mean size
_GROUP_ENDS = (1 / 8, 3 / 8)  # shares of the inner units, the largest ones first
_EXACT_SHARE = 1 / 6  # of the layers, at least one: the first, whose `down` product stays in fp32
_POINTS = 4  # quantisation points of a layer with one group; the last layer has only the first


#: Patches a model of one architecture so that it computes two streams.
StreamSplit = Callable[[Any, Observers, Sequence[SmoothingFactors]], None]


@dataclass(frozen=True, slots=True)
class Split:
    """A model in two streams."""

    model: PreTrainedModel
    observers: Observers  # created by the first forward pass


def split(
    model: PreTrainedModel, streams: StreamSplit, texts: Sequence[Sequence[int]]
) -> Split | None:
    """Return a copy of the model in two streams, calibrated on texts (token ids).

    Returns:
        None where the copy's answers differ by more than `_TOLERANCE`: the model has a setting that
        is not known here.
    """
    factors = _calibrate(model, streams, texts)
    exact = copy.deepcopy(model).double()
    difference = largest_difference(
        _two_streams(exact, streams, factors).model, exact, padded=False
    )
    if difference <= _TOLERANCE:
        return _two_streams(model, streams, factors)
    _log.warning("no int8 graph: logits in two streams would differ by %.1e", difference)
    return None


def _calibrate(
    model: PreTrainedModel, streams: StreamSplit, texts: Sequence[Sequence[int]]
) -> list[SmoothingFactors]:
    """Return the factors of each layer, from the sizes of its features in single texts."""
    config = model.config
    layers = config.num_hidden_layers
    plain = _two_streams(model, streams, [identity_factors(config.hidden_size)] * layers)
    plain.observers.recording = True
    with torch.inference_mode():
        for ids in texts:
            if len(ids) > 1:  # the pooled token has no context in a text of one
                one = torch.tensor([ids])
                plain.model(input_ids=one, attention_mask=torch.ones_like(one))
    return smoothing_factors(plain.observers, layers)


def identity_factors(width: int) -> SmoothingFactors:
    """Return factors of one, and all inner units in one group."""
    ones = torch.ones(width)
    return SmoothingFactors(ones, ones, ones, (slice(None),))


def smoothing_factors(observers: Iterable[Observer], layers: int) -> list[SmoothingFactors]:
    """Return the factors and groups of each layer; the last one uses only its first factors.

    Args:
        observers: Of a model with `identity_factors`, after it has run on the calibration texts.
        layers: Their number.
    """
    remaining, found = iter(observers), []
    exact = max(1, round(_EXACT_SHARE * layers))
    for number in range(layers - 1):
        attention_input, attended, ffn_input, inner = (next(remaining) for _ in range(_POINTS))
        groups = () if number < exact else _groups(inner)
        found.append(
            SmoothingFactors(
                _factors(attention_input), _factors(attended), _factors(ffn_input), groups
            )
        )
    last = _factors(next(remaining))
    return [*found, SmoothingFactors(last, torch.ones_like(last), torch.ones_like(last), ())]


def _factors(observer: Observer) -> torch.Tensor:
    sizes = observer.sizes()
    if not sizes.any():
        return torch.ones_like(sizes)  # no context was observed
    return sizes.clamp(min=_LEAST_SIZE * sizes.mean()).rsqrt()


def _groups(observer: Observer) -> tuple[torch.Tensor, ...]:
    largest_first = observer.sizes().argsort(descending=True, stable=True)
    return largest_first.tensor_split([round(share * observer.width) for share in _GROUP_ENDS])


def _two_streams(
    model: PreTrainedModel, streams: StreamSplit, factors: Sequence[SmoothingFactors]
) -> Split:
    activations = ("hidden_act", "activation", "activation_function")
    observers = Observers(
        next(getattr(model.config, a) for a in activations if hasattr(model.config, a))
    )
    copied = copy.deepcopy(model)
    factors = [each.to(model.dtype) for each in factors]
    streams(copied, observers, factors)
    return Split(copied, observers)


def split_bert(model: Any, observers: Observers, factors: Sequence[SmoothingFactors]) -> None:
    """Patch BERT and RoBERTa: the encoder returns the pooled token only."""
    encoder = model.base_model.encoder
    layers = [
        Layer(
            query=Affine.of_linear(layer.attention.self.query),
            key=Affine.of_linear(layer.attention.self.key),
            value=Affine.of_linear(layer.attention.self.value),
            out=Affine.of_linear(layer.attention.output.dense),
            up=Affine.of_linear(layer.intermediate.dense),
            down=Affine.of_linear(layer.output.dense),
            activation=layer.intermediate.intermediate_act_fn,
            attention_norm=layer.attention.output.LayerNorm,
            output_norm=layer.output.LayerNorm,
        )
        for layer in encoder.layer
    ]
    streams = PostNorm(layers, factors, heads_of(model.config), observers)

    def forward(_: Any, hidden: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(hidden))

    encoder.forward = types.MethodType(forward, encoder)


def split_distilbert(model: Any, observers: Observers, factors: Sequence[SmoothingFactors]) -> None:
    """Patch DistilBERT: the transformer returns the pooled token only."""
    transformer = model.base_model.transformer
    layers = [
        Layer(
            query=Affine.of_linear(layer.attention.q_lin),
            key=Affine.of_linear(layer.attention.k_lin),
            value=Affine.of_linear(layer.attention.v_lin),
            out=Affine.of_linear(layer.attention.out_lin),
            up=Affine.of_linear(layer.ffn.lin1),
            down=Affine.of_linear(layer.ffn.lin2),
            activation=layer.ffn.activation,
            attention_norm=layer.sa_layer_norm,
            output_norm=layer.output_layer_norm,
        )
        for layer in transformer.layer
    ]
    streams = PostNorm(layers, factors, heads_of(model.config), observers)

    def forward(_: Any, x: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(x))

    transformer.forward = types.MethodType(forward, transformer)


def _encoded(pooled: Any) -> _Encoded:  # torch's names for a tensor are not transformers'
    return _Encoded(last_hidden_state=pooled)


def split_gpt2(model: Any, observers: Observers, factors: Sequence[SmoothingFactors]) -> None:
    """Patch GPT-2: the last token attends to all others, and none of them attends to it."""
    transformer, config = model.base_model, model.config
    heads = heads_of(config)

    def forward(
        model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        observers.start()
        position = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = transformer.wte(input_ids) + transformer.wpe(position)
        pooled, context = hidden[:, -1:], hidden[:, :-1]
        later = position[None, :-1] > position[:-1, None]
        for block, layer_factors in zip(transformer.h, factors, strict=True):
            layer = _gpt2_layer(block, config).fold_value_bias(layer_factors.values)
            scaled = observers.observe(
                _scaled(layer.attention_norm, layer_factors.attention_input)(context)
            )
            scaled_layer = layer.with_scaled_input(layer_factors.attention_input)
            keys, values = scaled_layer.key.linear(scaled), scaled_layer.value.linear(scaled)
            pooled = _gpt2_pool(layer, pooled, keys, values, heads)
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
    layer: Layer, pooled: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: Heads
) -> torch.Tensor:
    normal = layer.attention_norm(pooled)
    keys = torch.cat([keys, layer.key.linear(normal)], dim=1)
    values = torch.cat([values, layer.value.linear(normal)], dim=1)
    pooled = pooled + layer.out(attention(layer.query(normal), keys, values, heads))
    return pooled + layer.down(layer.activation(layer.up(layer.output_norm(pooled))))
