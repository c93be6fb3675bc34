"""Graphs without an attention mask: only where that changes no answer."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from onnx import ModelProto

from export.architectures import architecture_of
from export.graph import plain_graph, pruning
from export.graph.equivalence import TOLERANCE, largest_difference
from tests.export.test_prune import model, prune


def inputs(graph: ModelProto) -> set[str]:
    return {node.name for node in graph.graph.input}


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_an_encoder_without_its_mask_answers_as_before(model_type: str) -> None:
    """Bit for bit, pruned or not, and its graph asks for no mask."""
    whole = model(model_type)
    for masked in (whole, prune(whole)):
        without_mask = pruning.drop_attention_mask(masked)
        assert largest_difference(without_mask, masked, padded=False) == 0
        assert largest_difference(without_mask, masked) > TOLERANCE
        assert "attention_mask" in inputs(plain_graph(masked))
        assert "attention_mask" not in inputs(plain_graph(without_mask))


@pytest.mark.parametrize("model_type", ["distilbert", "gpt2"])
def test_other_models_keep_theirs(model_type: str) -> None:
    """Their attention needs one."""
    assert not architecture_of(model_type).mask_can_go
    assert "attention_mask" in inputs(plain_graph(model(model_type)))


def test_a_model_that_is_changed_by_it_keeps_its_mask(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever the reason: it is slower, and right."""

    def wrong(whole: Any) -> Any:
        copied = deepcopy(whole)
        with torch.no_grad():
            copied.classifier.bias.add_(0.1)
        return copied

    monkeypatch.setattr(pruning, "deepcopy", wrong)
    masked = model("bert")
    assert pruning.drop_attention_mask(masked) is masked
    assert caplog.messages == [
        "the attention mask stays: without it logits would differ by 1.0e-01"
    ]
