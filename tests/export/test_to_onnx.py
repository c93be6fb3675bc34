"""The exported ONNX graph: its inputs, outputs and initializers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from export.architectures import architecture_of
from export.graph import plain_graph
from export.parity.pytorch import load_model


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "gpt2"])
def test_the_graph_answers_as_the_model_for_any_batch_and_length(
    checkpoints: Callable[[str], Path], model_type: str
) -> None:
    """What was traced at one shape holds at others: nothing of the shape is baked in."""
    model = load_model(checkpoints(model_type), attention=architecture_of(model_type).attention)
    session = onnxruntime.InferenceSession(plain_graph(model).SerializeToString())
    for rows, tokens in ((1, 1), (1, 5), (3, 17), (9, 60)):
        ids = torch.randint(5, 90, (rows, tokens), generator=torch.Generator().manual_seed(tokens))
        with torch.inference_mode():
            expected = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.numpy()
        values = {"attention_mask": 1, "token_type_ids": 0}
        feeds = {
            node.name: ids.numpy()
            if node.name == "input_ids"
            else np.full(ids.shape, values[node.name], np.int64)
            for node in session.get_inputs()
        }
        (answer,) = session.run(["logits"], feeds)
        np.testing.assert_allclose(answer, expected, atol=1e-4)


def test_every_weight_keeps_its_name(checkpoints: Callable[[str], Path]) -> None:
    """The graph's initializers are parameters of the checkpoint, not folded copies."""
    model = load_model(checkpoints("bert"), attention="eager")
    names = {initializer.name for initializer in plain_graph(model).graph.initializer}
    assert names <= set(model.state_dict())


def test_the_export_says_nothing(
    checkpoints: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """The tracer's and Optimum's chatter reaches neither stdout nor stderr."""
    model = load_model(checkpoints("gpt2"), attention="sdpa")
    plain_graph(model)
    assert capfd.readouterr() == ("", "")
