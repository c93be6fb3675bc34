"""The transposition of the keys in two steps: the same numbers, in less time."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from onnx.onnx_pb import TensorProto

from export.graph import plain_graph, split_key_transpose
from tests.export.test_prune import model

KEYS, IN_ROWS, SWAPPED = (0, 2, 3, 1), (0, 2, 1, 3), (0, 1, 3, 2)


def steps(graph: onnx.ModelProto) -> list[tuple[int, ...]]:
    nodes = [node for node in graph.graph.node if node.op_type == "Transpose"]
    return [tuple(node.attribute[0].ints) for node in nodes]


def answer(graph: onnx.ModelProto) -> np.ndarray:
    """Return what a session without optimisations of its own computes."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    ids = np.arange(3, 27, dtype=np.int64).reshape(4, 6)
    feeds = {node.name: np.ones_like(ids) for node in session.get_inputs()}
    logits: np.ndarray = session.run(["logits"], {**feeds, "input_ids": ids})[0]
    return logits


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta"])
def test_the_graph_answers_as_before(model_type: str) -> None:
    """Each layer's keys are transposed in two steps, and no bit changes."""
    plain = plain_graph(model(model_type, "eager"))
    split = split_key_transpose(plain)
    onnx.checker.check_model(split)
    assert (steps(plain).count(KEYS), steps(split).count(KEYS)) == (3, 0)
    assert steps(split).count(SWAPPED) == 3 + steps(plain).count(SWAPPED)
    assert answer(split).tobytes() == answer(plain).tobytes()


def test_scaled_keys_stay() -> None:
    """GPT-2's: what reads them is no matrix product."""
    plain = plain_graph(model("gpt2", "sdpa"))
    assert steps(plain).count(KEYS) == 3
    assert split_key_transpose(plain) == plain


def product(order: tuple[int, ...], *, second: bool = True) -> onnx.ModelProto:
    """Return a graph that transposes a tensor for a matrix product."""
    factors = ["left", "transposed"] if second else ["transposed", "left"]
    nodes = [
        helper.make_node("Transpose", ["right"], ["transposed"], "transpose", perm=order),
        helper.make_node("MatMul", factors, ["out"]),
    ]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in ("left", "right", "out")
    }
    graph = helper.make_graph(nodes, "g", [values["left"], values["right"]], [values["out"]])
    return helper.make_model(graph)


@pytest.mark.parametrize("order", [(1, 0), SWAPPED, IN_ROWS, (0, 3, 2, 1), (2, 0, 1)])
def test_other_steps_stay(order: tuple[int, ...]) -> None:
    """A swap is one already; what leaves whole rows in place, or scatters them anyway, too."""
    plain = product(order)
    assert split_key_transpose(plain) == plain


def test_a_first_factor_stays() -> None:
    """A product takes only its second one either way."""
    plain = product(KEYS, second=False)
    assert split_key_transpose(plain) == plain
    assert steps(split_key_transpose(product(KEYS))) == [IN_ROWS, SWAPPED]
