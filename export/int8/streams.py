"""Two streams: the pooled token's in full precision, its context's marked for int8.

A classifier reads one token, and in int8 nothing hurts an answer more than what is rounded on
that token's own way through the layers: in BERT its features reach fifty times their usual
size. So the model is rewritten into two streams that meet only in attention. The pooled token
(the first of an encoder, the last of GPT-2) queries keys and values of all tokens; the others
go along as its context, and what they are multiplied with is marked for `export.int8`. In the
last layer the context gives keys and values and nothing else, as in `export.graph.prune`.

On the way the context's features are scaled and its inner units grouped, as `export.int8.smoothing`
chooses. A key's bias changes no answer, since all keys of a query have it; a value's is added
once, behind attention, whose weights sum to one.

The rewriting is exact; `split` compares with the model that it was given. There is no padding
in the batches that are served, so there is no mask either.
"""

import copy
import logging
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as _Encoded
from transformers.modeling_outputs import SequenceClassifierOutput

from export.graph.prune import largest_difference
from export.int8.layers import Heads, Layer, PostNorm, attend, feed_forward, heads_of
from export.int8.smoothing import Affine, Equalized, Observers, equalized, unchanged

_log = logging.getLogger(__name__)

# Of any logit, in fp64. The two streams multiply in other shapes than the model, and so sum in
# another order: in fp32 that moves a logit of GPT-2 small by 1.4e-5, as much as a setting that is
# not known here moves some model's. In fp64 the one is below 1e-13 and the other still there.
_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Split:
    """A model in two streams."""

    model: PreTrainedModel
    observers: Observers  # known after a forward pass


def split(model: PreTrainedModel, texts: Sequence[Sequence[int]]) -> Split | None:
    """Return a copy of the model in two streams, equalized for texts like the given token ids.

    Nothing is returned where the copy's answers differ by more than `_TOLERANCE`: a setting of
    the model that is not known here.
    """
    chosen = _choose(model, texts)
    exact = copy.deepcopy(model).double()
    difference = largest_difference(_apart(exact, chosen).model, exact, padded=False)
    if difference <= _TOLERANCE:
        return _apart(model, chosen)
    _log.warning("no int8 graph: logits in two streams would differ by %.1e", difference)
    return None


def _choose(model: PreTrainedModel, texts: Sequence[Sequence[int]]) -> list[Equalized]:
    """Look at each text alone, in two streams that change nothing."""
    config = model.config
    layers = config.num_hidden_layers
    plain = _apart(model, [unchanged(config.hidden_size)] * layers)
    plain.observers.recording = True
    with torch.inference_mode():
        for ids in texts:
            if len(ids) > 1:  # one token is the pooled one, and has no context
                one = torch.tensor([ids])
                plain.model(input_ids=one, attention_mask=torch.ones_like(one))
    return equalized(plain.observers, layers)


def _apart(model: PreTrainedModel, chosen: Sequence[Equalized]) -> Split:
    activations = ("hidden_act", "activation", "activation_function")
    observers = Observers(
        next(getattr(model.config, a) for a in activations if hasattr(model.config, a))
    )
    copied = copy.deepcopy(model)
    chosen = [each.to(model.dtype) for each in chosen]
    _SPLITS[model.config.model_type](copied, observers, chosen)
    return Split(copied, observers)


def _split_bert(model: Any, observers: Observers, chosen: Sequence[Equalized]) -> None:
    """Patch BERT and RoBERTa: the encoder gives the pooled token and no other."""
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
    streams = PostNorm(layers, chosen, heads_of(model.config), observers)

    def forward(_: Any, hidden: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(hidden))

    encoder.forward = types.MethodType(forward, encoder)


def _split_distilbert(model: Any, observers: Observers, chosen: Sequence[Equalized]) -> None:
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
    streams = PostNorm(layers, chosen, heads_of(model.config), observers)

    def forward(_: Any, x: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(x))

    transformer.forward = types.MethodType(forward, transformer)


def _encoded(pooled: Any) -> _Encoded:  # torch's names for a tensor are not transformers'
    return _Encoded(last_hidden_state=pooled)


def _split_gpt2(model: Any, observers: Observers, chosen: Sequence[Equalized]) -> None:
    """Patch GPT-2: the last token sees all others, and none of them sees it."""
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
        for block, gains in zip(transformer.h, chosen, strict=True):
            layer = _gpt2_layer(block, config).fold_value_bias(gains.attended)
            marked = observers.observe(_scaled(layer.attention_norm, gains.entering)(context))
            inside = layer.with_scaled_input(gains.entering)
            keys, values = inside.key.linear(marked), inside.value.linear(marked)
            pooled = _gpt2_pool(layer, pooled, keys, values, heads)
            if block is transformer.h[-1]:
                break
            attended = attend(inside.query(marked), keys, values, heads, later)
            context = context + layer.out(observers.observe(attended))
            raised = observers.observe(_scaled(layer.output_norm, gains.raising)(context))
            context = context + feed_forward(layer, gains, raised, observers)
        return SequenceClassifierOutput(logits=model.score(transformer.ln_f(pooled))[:, 0])

    model.forward = types.MethodType(forward, model)


def _gpt2_layer(block: Any, config: Any) -> Layer:
    """Return a block's parts; to be called under the tracer, which must see the parameters."""

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


def _scaled(norm: Any, gain: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a normalisation whose results are multiplied by `gain`."""
    weight, bias = norm.weight * gain, norm.bias * gain
    return lambda x: functional.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


def _gpt2_pool(
    layer: Layer, pooled: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, heads: Heads
) -> torch.Tensor:
    normal = layer.attention_norm(pooled)
    keys = torch.cat([keys, layer.key.linear(normal)], dim=1)
    values = torch.cat([values, layer.value.linear(normal)], dim=1)
    pooled = pooled + layer.out(attend(layer.query(normal), keys, values, heads))
    return pooled + layer.down(layer.activation(layer.up(layer.output_norm(pooled))))


_SPLITS: dict[str, Callable[[Any, Observers, Sequence[Equalized]], None]] = {
    "bert": _split_bert,
    "roberta": _split_bert,
    "distilbert": _split_distilbert,
    "gpt2": _split_gpt2,
}
