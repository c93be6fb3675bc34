"""Weights are stored once, in fp16, and graphs refer to them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from export.graph import (
    WEIGHTS_NAME,
    full_precision_graph,
    plain_graph,
    save_weights,
    write_graph,
)
from export.parity.pytorch import load_model
from scorer.errors import InvalidBundle
from scorer.inference.bundle.onnx_graph import read_graph


@pytest.fixture(scope="module")
def plain(bundles: Callable[[str], Path]) -> onnx.ModelProto:
    return plain_graph(load_model(bundles("bert"), attention="eager"))


def _answers(graph: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph)
    ids = np.arange(5, 35).reshape(3, 10)
    feeds = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    (logits,) = session.run(["logits"], feeds)
    assert logits.dtype == np.float32
    return np.asarray(logits)


def test_a_graph_without_weights_answers_bitwise_as_one_with(
    plain: onnx.ModelProto, bundles: Callable[[str], Path], tmp_path: Path
) -> None:
    """Pointing into the safetensors file changes no bit of the fp32 answers."""
    whole = tmp_path / "whole.onnx"
    onnx.save(plain, whole)
    linked = tmp_path / "model.onnx"
    weights = tmp_path / WEIGHTS_NAME
    weights.write_bytes((bundles("bert") / weights.name).read_bytes())
    write_graph(full_precision_graph(plain, weights), linked)
    assert np.array_equal(_answers(linked), _answers(whole))


@pytest.mark.parametrize("graph", ["model.onnx", "model_fp16.onnx", "model_int8.onnx"])
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "gpt2"])
def test_graphs_hold_no_weights(
    bundles: Callable[[str], Path], model_type: str, graph: str
) -> None:
    """A graph is small, and every weight that it uses lies in model.safetensors."""
    path = bundles(model_type) / graph
    assert path.stat().st_size < 150_000
    loaded = onnx.load(path, load_external_data=False)
    inside = [
        numpy_helper.to_array(tensor).size
        for tensor in loaded.graph.initializer
        if tensor.data_location != onnx.TensorProto.EXTERNAL
    ]
    assert max(inside, default=0) <= 1024
    places = read_graph(path.read_bytes()).places
    assert {place.location for place in places} == {"model.safetensors"}


def test_weights_are_rounded_once(
    checkpoints: Callable[[str], Path], bundles: Callable[[str], Path]
) -> None:
    """The bundle's weights are the checkpoint's, rounded to fp16, under the same names."""
    trained = load_file(checkpoints("gpt2") / "model.safetensors")
    stored = load_file(bundles("gpt2") / "model.safetensors")
    assert stored.keys() == trained.keys()
    for name, tensor in stored.items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, trained[name].half())


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "gpt2"])
def test_transformers_finds_every_weight(bundles: Callable[[str], Path], model_type: str) -> None:
    """`from_pretrained(bundle)` misses nothing and finds nothing that it does not know."""
    _, report = AutoModelForSequenceClassification.from_pretrained(
        bundles(model_type), output_loading_info=True
    )
    assert not any(report.values())


@pytest.mark.parametrize(("value", "words"), [(7e4, "fp16 ends at 65504"), (np.nan, "not finite")])
def test_a_weight_that_fp16_cannot_hold_is_an_error(
    checkpoints: Callable[[str], Path], tmp_path: Path, value: float, words: str
) -> None:
    """An overflow is named before anything is written."""
    model = load_model(checkpoints("bert"))
    with torch.no_grad():
        next(model.parameters())[3, 3] = value
    with pytest.raises(InvalidBundle, match=words):
        save_weights(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_graph_of_other_weights_is_refused(
    plain: onnx.ModelProto, bundles: Callable[[str], Path]
) -> None:
    """A weight whose values are not those of the file stops the export."""
    other = onnx.ModelProto()
    other.CopyFrom(plain)
    tensor = other.graph.initializer[0]
    changed = numpy_helper.from_array(numpy_helper.to_array(tensor) + 1, tensor.name)
    tensor.CopyFrom(changed)
    with pytest.raises(ValueError, match="differs between graph"):
        full_precision_graph(other, bundles("bert") / "model.safetensors")
