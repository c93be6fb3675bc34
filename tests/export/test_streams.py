"""Two streams, and the int8 graph that is made of them."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from transformers import PreTrainedModel

from export import int8, marks, streams, to_onnx
from tests.export.test_prune import _SIZES, model

TYPES = sorted(_SIZES)
TEXTS = [[5, 6, 7, 8, 9], [11, 12, 13], [21, 22, 23, 24, 25, 26, 27, 28]]


def apart(whole: PreTrainedModel) -> streams.Split:
    split = streams.split(whole)
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


def quantized(split: streams.Split) -> onnx.ModelProto:
    sites = streams.calibrated(split, TEXTS)
    return int8.int8_graph(to_onnx.plain_graph(split.model), sites)


@pytest.mark.parametrize("model_type", TYPES)
def test_two_streams_answer_as_the_model(model_type: str) -> None:
    """Splitting is exact to fp32 rounding, and two tokens are enough for it."""
    whole = model(model_type)
    split = apart(whole)
    ids = torch.tensor([[5, 6], [7, 8]])
    with torch.inference_mode():
        mine = split.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        theirs = whole(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", TYPES)
def test_every_product_of_the_context_is_marked(model_type: str) -> None:
    """Four places a layer, and in the last one only that of keys and values."""
    split = apart(model(model_type))
    marked = to_onnx.plain_graph(split.model)  # which runs it once
    kinds = ["down" if site.down else "other" for site in split.sites]
    assert kinds == [*["other", "other", "other", "down"] * 2, "other"]
    assert [node.op_type for node in marked.graph.node].count(marks.MARK) == len(kinds)


def test_a_model_that_is_not_understood_gets_no_int8_graph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where two streams differ from the model, there is none: fp32 serves it."""

    def wrong(copy: PreTrainedModel, sites: object) -> None:
        with torch.no_grad():
            next(copy.parameters()).mul_(1.01)

    monkeypatch.setitem(streams._SPLITS, "bert", wrong)
    assert streams.split(model("bert")) is None


def test_what_fp32_would_hide_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference smaller than the rounding of fp32, which a wide model's streams differ by."""
    split_bert = streams._SPLITS["bert"]

    def nearly_right(copy: PreTrainedModel, sites: marks.Sites) -> None:
        split_bert(copy, sites)
        with torch.no_grad():
            copy.classifier.bias.add_(1e-7)  # type: ignore[union-attr, operator]

    monkeypatch.setitem(streams._SPLITS, "bert", nearly_right)
    assert streams.split(model("bert")) is None


def test_calibration_is_the_mean_over_all_rows_of_the_context() -> None:
    """Not of texts, and without the pooled token: the mean of the rows that are multiplied."""
    split = apart(model("bert"))
    first, *_ = streams.calibrated(split, TEXTS)
    embeddings: Any = split.model.base_model.embeddings  # the first site takes what they give
    with torch.inference_mode():
        rows = [embeddings(torch.tensor([ids]))[0, 1:] for ids in TEXTS]
    torch.testing.assert_close(first.mean(), torch.cat(rows).mean(0))
    assert first.rows == sum(len(ids) - 1 for ids in TEXTS)


@pytest.mark.parametrize("model_type", TYPES)
def test_int8_answers_are_near_those_of_the_model(model_type: str) -> None:
    """The graph that ONNX Runtime computes is the model's, to the precision of bytes."""
    whole = model(model_type)
    ids = np.random.default_rng(0).integers(1, 90, (16, 12))
    with torch.inference_mode():
        tokens = torch.from_numpy(ids)
        expected = whole(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits.numpy()
    got = answers(quantized(apart(whole)), ids)
    error = np.abs(got - expected).max() / expected.std()
    assert 0 < error < 0.25  # three random layers; a row without its correction is off by 1


@pytest.mark.parametrize("model_type", TYPES)
def test_int8_answers_do_not_depend_on_the_other_rows(model_type: str) -> None:
    """A row has a scale of its own: alone and in any batch it gets the same bits."""
    graph = quantized(apart(model(model_type)))
    ids = np.random.default_rng(1).integers(1, 90, (9, 7))
    together = answers(graph, ids)
    alone = np.concatenate([answers(graph, ids[row : row + 1]) for row in range(len(ids))])
    assert np.array_equal(together, alone)


def test_the_graph_multiplies_bytes_but_for_the_first_half_of_the_downs() -> None:
    """Of three layers the first has all but its down, the second all six, the last k and v."""
    graph = quantized(apart(model("bert"))).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("MatMulIntegerToFloat") == 5 + 6 + 2
    assert operators.count(marks.MARK) == 0


def test_the_graph_holds_no_weights_but_the_calibrated_rows() -> None:
    """Weights are quantised when a session folds its constants."""
    own = [
        tensor
        for tensor in quantized(apart(model("bert"))).graph.initializer
        if tensor.name.startswith("context.")
    ]
    large = [tensor.name for tensor in own if numpy_helper.to_array(tensor).size > 4]
    assert large
    assert all(int8.is_center(name) for name in large)


def test_marks_and_sites_belong_together() -> None:
    """A graph of another model than the sites' is a bug of ours, and said."""
    split = apart(model("bert"))
    with pytest.raises(ValueError, match="9 marks for 8 sites"):
        int8.int8_graph(to_onnx.plain_graph(split.model), [*split.sites][:-1])
