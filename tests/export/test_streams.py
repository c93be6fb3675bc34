"""Two streams, and the int8 graph that is made of them."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import PreTrainedModel

from export import int8
from export.architectures import architecture_of
from export.graph import plain_graph
from export.graph.unpadded import Pads
from export.int8 import streams
from export.int8.layers import SmoothingFactors
from tests.export.test_prune import _SIZES, model

TYPES = sorted(_SIZES)
TEXTS = [[5, 6, 7, 8, 9], [11, 12, 13], [21, 22, 23, 24, 25, 26, 27, 28]]


def two_streams(whole: PreTrainedModel) -> streams.Split:
    known = architecture_of(whole.config.model_type).streams
    assert known is not None
    split = streams.split(whole, known, TEXTS)
    assert split is not None
    return split


def answers(graph: onnx.ModelProto, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    # On CPUs without VNNI the products of bytes overflow unless this is asked for.
    settings.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(graph.SerializeToString(), settings)
    constants = {"attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    names = [entry.name for entry in session.get_inputs()]
    feeds = {name: {"input_ids": ids, **constants}[name] for name in names}
    logits: NDArray[np.float32] = session.run(["logits"], feeds)[0]
    return logits


@cache
def quantized(model_type: str) -> tuple[PreTrainedModel, onnx.ModelProto]:
    """Return a model and the int8 graph that is made of it; nobody changes them."""
    whole = model(model_type)
    split = two_streams(whole)
    return whole, int8.int8_graph(plain_graph(split.model), [*split.observers])


@pytest.mark.parametrize("model_type", TYPES)
def test_two_streams_answer_as_the_model(model_type: str) -> None:
    """Splitting is exact to fp32 rounding, and two tokens are enough for it."""
    whole = model(model_type)
    split = two_streams(whole)
    ids = torch.tensor([[5, 6], [7, 8]])
    with torch.inference_mode():
        mine = split.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        theirs = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("left", [False, True])
def test_two_streams_answer_as_a_model_that_pools_a_pad(left: bool) -> None:
    """The pad is the stream in fp32, and all tokens of the text are its context."""
    whole = model("gpt2", pad_token_id=None)
    known = architecture_of("gpt2").streams
    assert known is not None
    pads = Pads(12, 3, left)
    split = streams.split(whole, known, TEXTS, pads)
    assert split is not None
    graph = int8.int8_graph(plain_graph(split.model), [*split.observers])
    for tokens in (1, 4, 12, 15):
        ids = torch.arange(20, 20 + tokens)[None]
        with torch.inference_mode():
            mine = split.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            theirs = whole(**pads.behind(ids)).logits
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)
        if left and tokens == 1:
            continue  # without a context there are no products of int8; the scorer takes fp32
        spread = theirs.abs().max().item()
        np.testing.assert_allclose(answers(graph, ids.numpy()), theirs, atol=0.1 * spread)


@pytest.mark.parametrize("model_type", TYPES)
def test_every_product_of_the_context_has_a_quantisation_point_but_the_first_down(
    model_type: str,
) -> None:
    """Before q, k and v, behind attention, before `up`, and before `down` for each group."""
    split = two_streams(model(model_type))
    observed = plain_graph(split.model)  # which runs it once
    first, second, last = [False] * 3, [*[False] * 3, True, True, True], [False]
    assert [observer.one_sided for observer in split.observers] == first + second + last
    count = [node.op_type for node in observed.graph.node].count(int8.POINT_OPERATOR)
    assert count == len(first + second + last)


def test_a_model_that_is_not_understood_gets_no_int8_graph() -> None:
    """Where two streams differ from the model, there is none: fp32 serves it."""

    def wrong(
        copy: PreTrainedModel, observers: int8.Observers, factors: Sequence[SmoothingFactors]
    ) -> None:
        streams.split_bert(copy, observers, factors)
        with torch.no_grad():
            next(copy.parameters()).mul_(1.01)

    assert streams.split(model("bert"), wrong, TEXTS) is None


def test_what_fp32_would_hide_is_noticed() -> None:
    """A difference smaller than the rounding of fp32, which a wide model's streams differ by."""

    def nearly_right(
        copy: PreTrainedModel, observers: int8.Observers, factors: Sequence[SmoothingFactors]
    ) -> None:
        streams.split_bert(copy, observers, factors)
        with torch.no_grad():
            copy.classifier.bias.add_(1e-7)  # type: ignore[union-attr, operator]

    assert streams.split(model("bert"), nearly_right, TEXTS) is None


@pytest.mark.parametrize("model_type", TYPES)
def test_int8_answers_are_near_those_of_the_model(model_type: str) -> None:
    """The graph that ONNX Runtime computes is the model's, to the precision of bytes."""
    whole, graph = quantized(model_type)
    ids = np.random.default_rng(0).integers(1, 90, (16, 12))
    with torch.inference_mode():
        tokens = torch.from_numpy(ids)
        expected = whole(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.numpy()
    got = answers(graph, ids)
    error = np.abs(got - expected).max() / expected.std()
    assert 0 < error < 0.25  # three random layers


@pytest.mark.parametrize("model_type", TYPES)
def test_int8_answers_do_not_depend_on_the_other_rows(model_type: str) -> None:
    """A row has a scale of its own: alone and in any batch it gets the same bits."""
    _, graph = quantized(model_type)
    ids = np.random.default_rng(1).integers(1, 90, (9, 7))
    together = answers(graph, ids)
    alone = np.concatenate([answers(graph, ids[row : row + 1]) for row in range(len(ids))])
    assert np.array_equal(together, alone)


def test_the_graph_multiplies_bytes_but_for_the_first_down() -> None:
    """Of three layers the first has q, k, v, out and up, the second three ups and downs."""
    _, graph = quantized("bert")
    operators = [node.op_type for node in graph.graph.node]
    assert operators.count("MatMulIntegerToFloat") == 5 + (4 + 3 + 3) + 2
    assert operators.count(int8.POINT_OPERATOR) == 0


def test_the_graph_holds_no_weights_but_those_of_the_model() -> None:
    """Weights are quantised when a session folds its constants."""
    whole, graph = quantized("bert")
    parameters = dict(whole.named_parameters())
    constants = graph.graph.initializer
    own = {tensor.name: numpy_helper.to_array(tensor) for tensor in constants}
    large = [name for name, value in own.items() if value.ndim > 1 and name not in parameters]
    assert not large


def test_behind_a_quantisation_point_is_a_product() -> None:
    """Another operator behind a point is a bug of ours, and raises."""
    split = two_streams(model("bert"))
    observed = plain_graph(split.model)
    (product, *_) = [
        node
        for node in observed.graph.node
        if node.op_type == "MatMul" and any("Sum" in name for name in node.input)
    ]
    product.op_type = "Gemm"
    with pytest.raises(ValueError, match="a Gemm, is no product"):
        int8.int8_graph(observed, [*split.observers])


def test_every_quantisation_point_has_an_observer() -> None:
    """Observers of another model are a bug of ours, and raise."""
    split = two_streams(model("bert"))
    with pytest.raises(ValueError, match="10 quantisation points for 9 observers"):
        int8.int8_graph(plain_graph(split.model), [*split.observers][:-1])
