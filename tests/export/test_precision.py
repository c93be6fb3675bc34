"""Weights are stored once, and graphs refer to them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification

from export.chain import ExportOptions, _save_model, export_bundle
from export.graph import plain_graph
from export.graph.weights import (
    WEIGHTS_NAME,
    full_precision_graph,
    half_precision_graph,
    save_weights,
    write_graph,
)
from export.loadable import loadable
from export.parity.pytorch import load_model
from export.source.checkpoint import read_checkpoint
from export.source.text_rules import text_rules
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


def saved_weights(directory: Path, stage: Path) -> dict[str, torch.Tensor]:
    """Return the weights that an export without options writes for a checkpoint."""
    checkpoint = read_checkpoint(directory)
    stage.mkdir()
    with loadable(checkpoint.base, stage) as base:
        rules = text_rules(checkpoint, None, None)
        _save_model(replace(checkpoint, base=base), rules, ExportOptions(), stage)
    return load_file(stage / WEIGHTS_NAME)


def test_weights_are_kept(foreign: Callable[[str], Path], tmp_path: Path) -> None:
    """A checkpoint that was trained elsewhere keeps each weight, bit for bit, under its name."""
    trained = load_file(foreign("gpt2") / "model.safetensors")
    stored = saved_weights(foreign("gpt2"), tmp_path / "stage")
    assert stored.keys() == trained.keys()
    for name, tensor in stored.items():
        assert tensor.dtype == trained[name].dtype == torch.float32
        assert torch.equal(tensor, trained[name])


def test_ours_are_rounded(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    """What `model train` wrote becomes fp16, wherever transformers reads it from."""
    stored = saved_weights(checkpoints("gpt2"), tmp_path / "stage")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}


def test_weights_are_rounded_once(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    """Where fp16 is the choice, the weights are the checkpoint's, rounded, under the same names."""
    trained = load_file(checkpoints("gpt2") / "model.safetensors")
    save_weights(load_model(checkpoints("gpt2")), tmp_path)
    stored = load_file(tmp_path / WEIGHTS_NAME)
    assert stored.keys() == trained.keys()
    for name, tensor in stored.items():
        assert tensor.dtype == torch.float16
        assert torch.equal(tensor, trained[name].half())


@pytest.fixture(scope="module")
def mixed(foreign: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkpoint with matrices in bf16, biases in fp16, and norms in fp32."""
    directory = tmp_path_factory.mktemp("mixed")
    for path in foreign("bert").iterdir():
        (directory / path.name).write_bytes(path.read_bytes())
    weights = directory / WEIGHTS_NAME
    tensors = {}
    for name, tensor in load_file(weights).items():
        if "LayerNorm" in name:
            # So an old checkpoint calls it, and transformers renames it.
            tensors[name.replace("LayerNorm.weight", "LayerNorm.gamma")] = tensor
        else:
            tensors[name] = tensor.to(torch.bfloat16 if tensor.dim() > 1 else torch.float16)
    # A buffer that models had once.
    tensors["bert.embeddings.position_ids"] = torch.arange(66)[None]
    save_file(tensors, weights, {"format": "pt"})
    return directory


@pytest.fixture(scope="module")
def mixed_bundle(mixed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mixed") / "bundle"
    export_bundle(mixed, directory, ExportOptions())
    return directory


def test_each_weight_keeps_its_own_type(mixed: Path, mixed_bundle: Path) -> None:
    """Three types in one file pass the gate, and what the model has not is dropped."""
    given = load_file(mixed / WEIGHTS_NAME)
    stored = load_file(mixed_bundle / WEIGHTS_NAME)
    assert "bert.embeddings.position_ids" not in stored
    assert {tensor.dtype for tensor in stored.values()} == {
        torch.float32,
        torch.float16,
        torch.bfloat16,
    }
    for name, tensor in stored.items():
        before = given[name.replace("LayerNorm.weight", "LayerNorm.gamma")]
        assert tensor.dtype == before.dtype
        assert torch.equal(tensor, before)


@pytest.mark.parametrize("graph", ["model.onnx", "model_fp16.onnx", "model_int8.onnx"])
def test_a_graph_reads_weights_of_all_types(mixed_bundle: Path, graph: str) -> None:
    """Each reference has the type that the weight has in the file."""
    loaded = onnx.load(mixed_bundle / graph, load_external_data=False)
    types = {
        tensor.data_type
        for tensor in loaded.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
    }
    assert types == {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_weight_beyond_fp16_leaves_out_the_fp16_graph(
    checkpoints: Callable[[str], Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: torch.dtype,
) -> None:
    """The graph for GPUs would compute with infinity; the fp32 graph does not."""
    model: Any = load_model(checkpoints("bert"), attention="eager")
    with torch.no_grad():
        model.base_model.embeddings.word_embeddings.weight[7, 7] = 2.0**17
        for parameter in model.parameters():
            parameter.copy_(parameter.to(kind))
    names = {name: kind for name, _ in model.named_parameters()}
    plain = plain_graph(model)
    save_weights(model, tmp_path, names)
    assert half_precision_graph(plain, tmp_path / WEIGHTS_NAME) is None
    assert "embeddings.word_embeddings.weight is too large" in caplog.text
    write_graph(full_precision_graph(plain, tmp_path / WEIGHTS_NAME), tmp_path / "model.onnx")
    assert np.isfinite(_answers(tmp_path / "model.onnx")).all()


def test_a_weight_that_its_type_cannot_hold_is_kept_in_fp32(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Merged or renamed weights are no longer those of the file: nothing is rounded unasked."""
    model = load_model(checkpoints("bert"))
    save_weights(model, tmp_path, {name: torch.float16 for name, _ in model.named_parameters()})
    stored = load_file(tmp_path / WEIGHTS_NAME)
    assert stored["classifier.weight"].dtype == torch.float32
    # All ones, which fp16 has.
    assert stored["bert.embeddings.LayerNorm.weight"].dtype == torch.float16


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


def test_weights_that_the_classifier_does_not_use_are_named(
    foreign: Callable[[str], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Models of the Hub carry a pooler or the pretraining's head; a missing weight is refused."""
    directory = Path(shutil.copytree(foreign("roberta"), tmp_path / "checkpoint"))
    path = directory / "model.safetensors"
    weights = load_file(path)
    pooler = {f"roberta.pooler.dense.{part}": torch.ones(2) for part in ("bias", "weight")}
    save_file(weights | pooler, path, {"format": "pt"})
    alone, among = load_model(foreign("roberta")), load_model(directory, warns=True)
    assert among.state_dict().keys() == alone.state_dict().keys()
    assert caplog.messages == [
        (
            "2 weights of the checkpoint are no part of the classifier: roberta.pooler.dense.bias, "
            "roberta.pooler.dense.weight"
        )
    ]
    del weights["classifier.out_proj.bias"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(InvalidBundle, match=r"missing: classifier\.out_proj\.bias"):
        load_model(directory)
