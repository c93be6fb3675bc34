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
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPastAndCrossAttentions as _Encoded

from export.graph.equivalence import largest_difference
from export.graph.unpadded import Pads, add_pad, difference_from_padded
from export.int8 import Observer, Observers
from export.int8.layers import Affine, Layer, PostNorm, SmoothingFactors, heads_of

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
    model: PreTrainedModel,
    streams: StreamSplit,
    texts: Sequence[Sequence[int]],
    pads: Pads | None = None,
) -> Split | None:
    """Return a copy of the model in two streams, calibrated on texts (token ids).

    Args:
        model: Is not changed.
        streams: Of its architecture.
        texts: Without pads.
        pads: Of a model that pools a pad; the copy takes unpadded texts.

    Returns:
        None where the copy's answers differ by more than `_TOLERANCE`: the model has a setting that
        is not known here.
    """
    factors = _calibrate(model, streams, texts, pads)
    exact = copy.deepcopy(model).double()
    split = _two_streams(exact, streams, factors, pads).model
    if pads is None:
        difference = largest_difference(split, exact, padded=False)
    else:
        difference = difference_from_padded(split, exact, pads)
    if difference <= _TOLERANCE:
        return _two_streams(model, streams, factors, pads)
    _log.warning("no int8 graph: logits in two streams would differ by %.1e", difference)
    return None


def _calibrate(
    model: PreTrainedModel,
    streams: StreamSplit,
    texts: Sequence[Sequence[int]],
    pads: Pads | None,
) -> list[SmoothingFactors]:
    """Return the factors of each layer, from the sizes of its features in single texts."""
    config = model.config
    layers = config.num_hidden_layers
    plain = _two_streams(model, streams, [identity_factors(config.hidden_size)] * layers, pads)
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
    model: PreTrainedModel,
    streams: StreamSplit,
    factors: Sequence[SmoothingFactors],
    pads: Pads | None = None,
) -> Split:
    activations = ("hidden_act", "activation", "activation_function")
    observers = Observers(
        next(getattr(model.config, a) for a in activations if hasattr(model.config, a))
    )
    copied = copy.deepcopy(model)
    factors = [each.to(model.dtype) for each in factors]
    streams(copied, observers, factors)
    if pads is not None:
        add_pad(copied, pads, numbered=True)
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
