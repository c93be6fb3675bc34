"""The parity gate: what it measures, and what it refuses."""

import json
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from export import parity, publish
from export.parity import truth
from export.parity.pytorch import Reference, whole_texts
from export.parity.truth import Truth
from scorer.errors import DeviceUnavailable, GateFailed
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.bundle.metadata import METADATA_NAME, read_metadata
from scorer.inference.gate import Figures
from scorer.inference.runtime.machine import inspect
from scorer.inference.session import RuntimeInfo, Session

INFO = RuntimeInfo("StubProvider", "builtin", "fp32", "stub", 1, "a stub")


@pytest.fixture
def copy(bundles: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    def made(model_type: str) -> Path:
        return Path(shutil.copytree(bundles(model_type), tmp_path / model_type))

    return made


def reopened(directory: Path) -> tuple[Bundle, Reference]:
    """Hash a bundle that a test has changed, as its maker would, and open both sides."""
    path = directory / METADATA_NAME
    publish.write_metadata(directory, read_metadata(path, path.read_bytes()))
    bundle = open_bundle(directory)
    return bundle, Reference(directory, bundle.max_length)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "gpt2"])
def test_an_honest_export_passes_and_is_measured(
    bundles: Callable[[str], Path], model_type: str
) -> None:
    """Every provider of this box keeps the fp32 promise, and says on what it was measured."""
    bundle = open_bundle(bundles(model_type))
    report = parity.check(bundle, Reference(bundle.directory, bundle.max_length))
    assert report.measured
    for entry in report.measured:
        if entry.runtime.precision == "fp32":
            assert entry.figures.label_agreement == 1
            assert entry.figures.largest_difference <= 1e-5
        assert entry.figures.texts >= 250
    assert {"builtin"} <= {entry.runtime.device for entry in report.measured}


def test_padding_on_the_wrong_side_fails(copy: Callable[[str], Path]) -> None:
    """GPT-2 with left padding answers by the batch it is in, and that is found out."""
    directory = copy("gpt2")
    path = directory / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "padding_side": "left"}), "utf-8")
    with pytest.raises(GateFailed, match="batches of 7 than alone"):
        parity.check(*reopened(directory))


def test_pooling_at_the_wrong_token_fails(copy: Callable[[str], Path]) -> None:
    """A GPT-2 graph that takes another token for the pad token does not pass."""
    directory = copy("gpt2")
    path = directory / "model.onnx"
    graph = onnx.load(path, load_external_data=False)
    last_tokens = [ids[-1] for ids in open_bundle(directory).canary().token_ids]
    _pad_with_another_token(graph, new=statistics.mode(last_tokens))
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(GateFailed, match="differs from PyTorch"):
        parity.check(*reopened(directory))


def _pad_with_another_token(graph: onnx.ModelProto, new: int) -> None:
    """Change the constant that the ids are compared with to find the last token."""
    constants = {node.output[0]: node for node in graph.graph.node if node.op_type == "Constant"}
    (compared,) = (
        name
        for node in graph.graph.node
        if node.op_type == "Equal" and "input_ids" in node.input
        for name in node.input
        if name in constants
    )
    attribute = constants[compared].attribute[0]
    old = onnx.numpy_helper.to_array(attribute.t)
    attribute.t.CopyFrom(onnx.numpy_helper.from_array(np.full_like(old, new)))


def test_a_corrupted_weight_fails(copy: Callable[[str], Path]) -> None:
    """Graphs that compute with other weights than PyTorch does not pass."""
    directory = copy("bert")
    _, honest = reopened(directory)
    path = directory / "model.safetensors"
    weights = load_file(path)
    name = "bert.encoder.layer.0.output.dense.weight"
    weights[name][0] *= 1.5
    save_file(weights, path, metadata={"format": "pt"})
    bundle, _ = reopened(directory)
    with pytest.raises(GateFailed, match="differs from PyTorch"):
        parity.check(bundle, honest)


def test_other_token_ids_fail(copy: Callable[[str], Path]) -> None:
    """A tokenizer that transformers uses differently from the scorer does not pass."""
    directory = copy("bert")
    path = directory / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "split_special_tokens": False}), "utf-8")
    with pytest.raises(GateFailed, match="other token ids"):
        parity.check(*reopened(directory), ["a [SEP] in the text"])


def test_a_constant_model_proves_nothing(copy: Callable[[str], Path]) -> None:
    """A reference that always gives one answer is refused, however well the graph agrees."""
    directory = copy("bert")
    path = directory / "model.safetensors"
    weights = load_file(path)
    weights["classifier.weight"] *= 0
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(GateFailed, match="would prove nothing"):
        parity.check(*reopened(directory))


@pytest.mark.parametrize(
    "probabilities",
    [
        [[0.9, 0.1], [0.88, 0.12], [0.91, 0.09]],  # never the second class, and hardly moved
        [[0.53, 0.47], [0.48, 0.52], [0.51, 0.49]],  # both, but hardly moved
        [[np.nan, np.nan], [0.1, 0.9], [0.9, 0.1]],
    ],
)
def test_the_reference_must_have_a_spread(probabilities: list[list[float]]) -> None:
    """Answers without variety are no evidence."""
    with pytest.raises(GateFailed, match="prove nothing"):
        truth.require_spread(np.array(probabilities, np.float32), ["no", "yes"])


def test_what_is_outside_the_gate_is_recorded_in_the_bundle(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it is not fp32: no start on such a box tries it again. Other troubles are not of it."""
    bundle, reference = reopened(copy("bert"))
    measure, here = parity.measure, inspect()
    errors = {"int8": GateFailed("far off", "-"), "bf16": DeviceUnavailable("broken", "-")}

    def judge(bundle: Bundle, session: Session, truth: Truth) -> Figures:
        if error := errors.get(session.info.precision):
            raise error
        return measure(bundle, session, truth)

    monkeypatch.setattr(parity, "measure", judge)
    offered = [(each.device, each.precision) for each in parity.available(here, int8=True)]
    report = parity.check(bundle, reference)
    expected = [
        {"device": device, "precision": precision, "architecture": here.instruction_set}
        for device, precision in offered
        if precision == "int8"
    ]
    assert publish.add_parity(bundle.metadata, report).outside_gate == expected
    assert len(report.passed_over) == sum(precision in errors for _, precision in offered)


def test_answers_with_variety_are_evidence() -> None:
    """A reference that uses every class widely is accepted."""
    assert truth.require_spread(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32), ["no", "yes"]) == []


def test_a_class_that_never_wins_is_named() -> None:
    """It may be rare, or of another language than the texts: no reason to refuse the model."""
    answers = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3]], np.float32)
    (note,) = truth.require_spread(answers, ["no", "yes"])
    assert note.startswith("warning: no text is answered with yes:")
    many = np.full((3, 20), 1e-3, np.float32)
    many[0, 0] = many[1, 1] = many[2, 0] = 0.98
    (note,) = truth.require_spread(many, [f"class {i}" for i in range(20)])
    assert "class 2, class 3, class 4, class 5, class 6 and 13 more" in note


def test_many_classes_share_the_spread() -> None:
    """Of two hundred classes none has much, and one that wins may have had a hundredth before."""
    answers = np.full((2, 200), 0.99 / 199, np.float32)
    answers[0, 0] = answers[1, 1] = 0.01
    assert len(truth.require_spread(answers, list(map(str, range(200))))) == 1
    with pytest.raises(GateFailed, match="prove nothing"):
        truth.require_spread(np.full((2, 200), 1 / 200, np.float32), list(map(str, range(200))))


class CrossTalkStub:
    """A stub of a session whose rows see the batch they are in."""

    info = INFO
    token_budget = 64
    callers = 1
    warnings: tuple[str, ...] = ()
    exact = None

    def run(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Answer each row with the batch's mean."""
        return np.tile(ids.mean(dtype=np.float32), (len(ids), 2))


def test_a_row_that_depends_on_its_neighbours_fails() -> None:
    """One row alone must be bitwise the same row in a batch of 7 and of 32."""
    answers = Truth(("a", "b"), [[1, 2], [3, 4, 5]], np.zeros((2, 2), np.float32))
    with pytest.raises(GateFailed, match="in a batch of 7 than alone"):
        parity.require_no_neighbours(CrossTalkStub(), answers)


@pytest.mark.usefixtures("all_texts")
def test_more_texts_join_the_canary(bundles: Callable[[str], Path]) -> None:
    """Texts of the user's are measured too, blank ones and repetitions left out."""
    bundle = open_bundle(bundles("bert"))
    reference = Reference(bundle.directory, bundle.max_length)
    texts = len({*bundle.canary().texts, *whole_texts()})
    report = parity.check(bundle, reference, ["a text of my own", "  ", "a text of my own"])
    assert {entry.figures.texts for entry in report.measured} == {texts + 1}
