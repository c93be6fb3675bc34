"""Two streams: the pooled token's in full precision, its context's marked for int8.

A classifier reads one token, and in int8 nothing hurts an answer more than what is rounded on
that token's own way through the layers: in BERT its features reach fifty times their usual
size. So the model is rewritten into two streams that meet only in attention. The pooled token
(the first of an encoder, the last of GPT-2) queries keys and values of all tokens; the others
go along as its context, and what they are multiplied with is marked for `export.int8`. In the
last layer the context gives keys and values and nothing else, as in `export.prune`.

The rewriting is exact; `split` compares with the model that it was given. There is no padding
in the batches that are served, so there is no mask either.
"""

import copy
import logging
import math
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.activations import ACT2FN
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as _Encoded
from transformers.modeling_outputs import SequenceClassifierOutput

from export.marks import Site, Sites
from export.prune import largest_difference

_log = logging.getLogger(__name__)

# Of any logit, in fp64. The two streams multiply in other shapes than the model, and so sum in
# another order: in fp32 that moves a logit of GPT-2 small by 1.4e-5, as much as a setting that is
# not known here moves some model's. In fp64 the one is below 1e-13 and the other still there.
_TOLERANCE = 1e-9

Linear = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """The parts of a transformer layer that take part."""

    query: Linear
    key: Linear
    value: Linear
    out: Linear
    up: Linear
    down: Linear
    activation: Linear
    attention_norm: Linear
    output_norm: Linear


@dataclass(frozen=True, slots=True)
class _Heads:
    """How attention divides a token's features."""

    number: int
    width: int  # of each head


@dataclass(frozen=True, slots=True)
class Split:
    """A model in two streams."""

    model: PreTrainedModel
    sites: Sites  # known after a forward pass


def calibrated(apart: Split, texts: Sequence[Sequence[int]]) -> Sequence[Site]:
    """Return the sites with the means over the given texts' token ids, each text alone."""
    apart.sites.recording = True
    with torch.inference_mode():
        for ids in texts:
            if len(ids) > 1:  # one token is the pooled one, and has no context
                one = torch.tensor([ids])
                apart.model(input_ids=one, attention_mask=torch.ones_like(one))
    apart.sites.recording = False
    return tuple(apart.sites)


def split(model: PreTrainedModel) -> Split | None:
    """Return a copy of the model in two streams.

    Nothing is returned where the copy's answers differ by more than `_TOLERANCE`: a setting of
    the model that is not known here.
    """
    exact = copy.deepcopy(model).double()
    difference = largest_difference(_apart(exact).model, exact, padded=False)
    if difference <= _TOLERANCE:
        return _apart(model)
    _log.warning("no int8 graph: logits in two streams would differ by %.1e", difference)
    return None


def _apart(model: PreTrainedModel) -> Split:
    activations = ("hidden_act", "activation", "activation_function")
    sites = Sites(next(getattr(model.config, a) for a in activations if hasattr(model.config, a)))
    copied = copy.deepcopy(model)
    _SPLITS[model.config.model_type](copied, sites)
    return Split(copied, sites)


def _split_bert(model: Any, sites: Sites) -> None:
    """Patch BERT and RoBERTa: the encoder gives the pooled token and no other."""
    encoder = model.base_model.encoder
    layers = [
        _Layer(
            query=layer.attention.self.query,
            key=layer.attention.self.key,
            value=layer.attention.self.value,
            out=layer.attention.output.dense,
            up=layer.intermediate.dense,
            down=layer.output.dense,
            activation=layer.intermediate.intermediate_act_fn,
            attention_norm=layer.attention.output.LayerNorm,
            output_norm=layer.output.LayerNorm,
        )
        for layer in encoder.layer
    ]
    streams = _PostNorm(layers, _heads(model.config), sites)

    def forward(_: Any, hidden: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(hidden))

    encoder.forward = types.MethodType(forward, encoder)


def _split_distilbert(model: Any, sites: Sites) -> None:
    transformer = model.base_model.transformer
    layers = [
        _Layer(
            query=layer.attention.q_lin,
            key=layer.attention.k_lin,
            value=layer.attention.v_lin,
            out=layer.attention.out_lin,
            up=layer.ffn.lin1,
            down=layer.ffn.lin2,
            activation=layer.ffn.activation,
            attention_norm=layer.sa_layer_norm,
            output_norm=layer.output_layer_norm,
        )
        for layer in transformer.layer
    ]
    streams = _PostNorm(layers, _heads(model.config), sites)

    def forward(_: Any, x: torch.Tensor, *__: Any, **___: Any) -> _Encoded:
        return _encoded(streams(x))

    transformer.forward = types.MethodType(forward, transformer)


def _encoded(pooled: Any) -> _Encoded:  # torch's names for a tensor are not transformers'
    return _Encoded(last_hidden_state=pooled)


@dataclass(frozen=True, slots=True)
class _PostNorm:
    """Layers that normalise after each sum, in two streams: an encoder's."""

    layers: Sequence[_Layer]
    heads: _Heads
    sites: Sites

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the pooled token [rows, 1, width] of [rows, tokens, width]."""
        self.sites.start()
        pooled, context = hidden[:, :1], hidden[:, 1:]
        *layers, last = self.layers
        for layer in layers:
            marked = self.sites.mark(context)
            keys = torch.cat([layer.key(pooled), layer.key(marked)], dim=1)
            values = torch.cat([layer.value(pooled), layer.value(marked)], dim=1)
            pooled = self._pool(layer, pooled, keys, values)
            attended = layer.out(
                self.sites.mark(_attend(layer.query(marked), keys, values, self.heads))
            )
            context = layer.attention_norm(attended + context)
            raised = layer.activation(layer.up(self.sites.mark(context)))
            lowered = layer.down(self.sites.mark(raised, down=True))
            context = layer.output_norm(lowered + context)
        marked = self.sites.mark(context)
        keys = torch.cat([last.key(pooled), last.key(marked)], dim=1)
        values = torch.cat([last.value(pooled), last.value(marked)], dim=1)
        return self._pool(last, pooled, keys, values)

    def _pool(
        self, layer: _Layer, pooled: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> torch.Tensor:
        attended = layer.out(_attend(layer.query(pooled), keys, values, self.heads))
        pooled = layer.attention_norm(attended + pooled)
        return layer.output_norm(layer.down(layer.activation(layer.up(pooled))) + pooled)


def _split_gpt2(model: Any, sites: Sites) -> None:
    """Patch GPT-2: the last token sees all others, and none of them sees it."""
    transformer, config = model.base_model, model.config
    layers, heads = [_gpt2_layer(block, config) for block in transformer.h], _heads(config)

    def forward(
        model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any
    ) -> SequenceClassifierOutput:
        sites.start()
        position = torch.arange(input_ids.shape[1], device=input_ids.device)
        hidden = transformer.wte(input_ids) + transformer.wpe(position)
        pooled, context = hidden[:, -1:], hidden[:, :-1]
        later = position[None, :-1] > position[:-1, None]
        for layer in layers[:-1]:
            marked, normal = sites.mark(layer.attention_norm(context)), layer.attention_norm(pooled)
            keys, values = layer.key(marked), layer.value(marked)
            attended = _attend(layer.query(marked), keys, values, heads, later)
            pooled = _gpt2_pool(layer, pooled, normal, keys, values, heads)
            context = context + layer.out(sites.mark(attended))
            raised = layer.activation(layer.up(sites.mark(layer.output_norm(context))))
            context = context + layer.down(sites.mark(raised, down=True))
        last = layers[-1]
        marked, normal = sites.mark(last.attention_norm(context)), last.attention_norm(pooled)
        keys, values = last.key(marked), last.value(marked)
        pooled = _gpt2_pool(last, pooled, normal, keys, values, heads)
        return SequenceClassifierOutput(logits=model.score(transformer.ln_f(pooled))[:, 0])

    model.forward = types.MethodType(forward, model)


def _gpt2_layer(block: Any, config: Any) -> _Layer:
    width = config.n_embd
    weight, bias = block.attn.c_attn.weight, block.attn.c_attn.bias

    def part(number: int) -> Linear:
        columns = slice(number * width, (number + 1) * width)
        return lambda x: x @ weight[:, columns] + bias[columns]

    def whole(convolution: Any) -> Linear:
        return lambda x: x @ convolution.weight + convolution.bias

    return _Layer(
        query=part(0),
        key=part(1),
        value=part(2),
        out=whole(block.attn.c_proj),
        up=whole(block.mlp.c_fc),
        down=whole(block.mlp.c_proj),
        activation=ACT2FN[config.activation_function],
        attention_norm=block.ln_1,
        output_norm=block.ln_2,
    )


def _gpt2_pool(
    layer: _Layer,
    pooled: torch.Tensor,
    normal: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: _Heads,
) -> torch.Tensor:
    keys = torch.cat([keys, layer.key(normal)], dim=1)
    values = torch.cat([values, layer.value(normal)], dim=1)
    pooled = pooled + layer.out(_attend(layer.query(normal), keys, values, heads))
    return pooled + layer.down(layer.activation(layer.up(layer.output_norm(pooled))))


def _attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    heads: _Heads,
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


def _heads(config: Any) -> _Heads:
    number = config.num_attention_heads  # which all families' configurations know by this name
    return _Heads(number, config.hidden_size // number)


_SPLITS: dict[str, Callable[[Any, Sites], None]] = {
    "bert": _split_bert,
    "roberta": _split_bert,
    "distilbert": _split_distilbert,
    "gpt2": _split_gpt2,
}
