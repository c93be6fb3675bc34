"""What an architecture of which nothing is known meets on its way to a bundle."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from export.architectures import UNKNOWN, architecture_of
from export.graph import plain_graph
from export.graph.branches import fold_branches
from export.graph.exporter import PLAIN_INPUTS, require_exportable
from export.graph.lookup_tables import tables_of
from export.graph.token_types import with_types_of_zero
from export.graph.weights import save_weights
from export.parity.pytorch import Reference
from export.source.sizes import pad_token_id_of, positions_of
from scorer.errors import InvalidBundle
from tests.export.test_prune import model


@pytest.mark.parametrize(
    ("model_type", "words"),
    [
        ("no-such", "has no text model of the type 'no-such'"),
        ("encoder-decoder", "has no text model of the type 'encoder-decoder'"),
        ("xlnet", "Optimum exports no text classifier of the type 'xlnet'"),
        ("funnel", "Optimum exports no text classifier of the type 'funnel'"),
        ("t5", "type t5 is an encoder-decoder"),
        ("bart", "type bart is an encoder-decoder"),
    ],
)
def test_a_type_that_cannot_be_exported_is_called_that(model_type: str, words: str) -> None:
    """By its name, before any weight is read; the remedy names the page with those that are."""
    with pytest.raises(InvalidBundle, match=words) as caught:
        require_exportable(model_type)
    assert "docs/models.md" in caught.value.remedy


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        ({"model_type": "bert", "max_position_embeddings": 66}, 66),
        ({"model_type": "bert"}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": 1}, 64),
        ({"model_type": "roberta", "max_position_embeddings": 66, "pad_token_id": None}, 64),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "camembert", "max_position_embeddings": 514}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "mpt", "max_seq_len": 300}, 300),
        ({"model_type": "bloom"}, 200),  # its tokenizer says so
        ({"model_type": "xlnet"}, 200),
    ],
)
def test_positions_are_what_the_config_says(
    tmp_path: Path, config: dict[str, Any], positions: int
) -> None:
    """Or the default of its type, less those before the first; or else what the tokenizer says."""
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 200}')
    assert positions_of(tmp_path / "config.json", config) == positions


@pytest.mark.parametrize("said", ["{}", "[]", '{"model_max_length": 1e30}', "{"])
def test_a_model_without_a_maximum_reads_512_tokens(tmp_path: Path, said: str) -> None:
    """Where its tokenizer names none that means something."""
    (tmp_path / "tokenizer_config.json").write_text(said)
    assert positions_of(tmp_path / "config.json", {"model_type": "bloom"}) == 512


def test_a_pad_token_of_null_is_the_default_of_the_type(tmp_path: Path) -> None:
    """RoBERTa's code has 1 where its config says nothing; GPT-2's has none."""
    sizes = {"vocab_size": 90, "pad_token_id": None}
    assert pad_token_id_of(tmp_path, {"model_type": "roberta", **sizes}) == 1
    assert pad_token_id_of(tmp_path, {"model_type": "gpt2", **sizes}) is None


def test_tables_are_found_in_the_model_itself(tmp_path: Path) -> None:
    """By their names in the weights file; RoBERTa's first position is behind the pad token's."""
    names = {"bert": ("bert.embeddings", 0), "roberta": ("roberta.embeddings", 2)}
    for model_type, (prefix, first) in names.items():
        made = model(model_type)
        save_weights(made, tmp_path)
        tables = tables_of(made, tmp_path / "model.safetensors")
        assert tables.tokens == f"{prefix}.word_embeddings.weight"
        assert (tables.positions, tables.first) == (f"{prefix}.position_embeddings.weight", first)
    made.get_input_embeddings = lambda: None
    with pytest.raises(InvalidBundle, match="looks up no token in a table"):
        tables_of(made, tmp_path / "model.safetensors")


def test_types_of_zero_are_given_where_they_change_an_answer() -> None:
    """GPT-2 adds the embedding of token 0 for a type of 0; BERT takes 0 where it gets no type."""
    bert, gpt2 = model("bert"), model("gpt2", "sdpa")
    assert with_types_of_zero(bert) is bert
    typed = with_types_of_zero(gpt2)
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        expected = gpt2(input_ids=ids, token_type_ids=torch.zeros_like(ids)).logits
        assert torch.equal(typed(input_ids=ids).logits, expected)
    graph = plain_graph(typed, PLAIN_INPUTS)
    feeds = {"input_ids": ids.numpy(), "attention_mask": np.ones((1, 3), np.int64)}
    (answer,) = onnxruntime.InferenceSession(graph.SerializeToString()).run(["logits"], feeds)
    np.testing.assert_allclose(answer, expected.numpy(), atol=1e-5)


def _branching(condition: list[onnx.NodeProto]) -> onnx.ModelProto:
    """Return a graph that doubles its ids, or, where the condition does not hold, triples them."""

    def way(name: str, factor: int) -> onnx.GraphProto:
        value = onnx.numpy_helper.from_array(np.array(factor), f"{name}.factor")
        node = helper.make_node("Mul", ["input_ids", f"{name}.factor"], [f"{name}.out"])
        out = helper.make_tensor_value_info(f"{name}.out", TensorProto.INT64, None)
        return helper.make_graph([node], name, [], [out], [value])

    node = helper.make_node(
        "If", ["condition"], ["logits"], then_branch=way("then", 2), else_branch=way("else", 3)
    )
    shape = ["rows", "tokens"]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, shape)
    logits = helper.make_tensor_value_info("logits", TensorProto.INT64, shape)
    graph = helper.make_graph([*condition, node], "branching", [ids], [logits])
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def _lengths_differ() -> list[onnx.NodeProto]:
    shape = helper.make_node("Shape", ["input_ids"], ["shape"])
    equal = helper.make_node("Equal", ["shape", "shape"], ["all"])
    first = helper.make_node("Constant", [], ["first"], value_int=0)
    one = helper.make_node("Gather", ["all", "first"], ["same"])
    return [shape, equal, first, one, helper.make_node("Not", ["same"], ["condition"])]


def test_a_branch_that_is_always_taken_takes_the_place_of_the_question() -> None:
    """As DeBERTa's: whether a length differs from itself."""
    folded = fold_branches(_branching(_lengths_differ()), 64)
    onnx.checker.check_model(folded)
    assert not any(node.op_type == "If" for node in folded.graph.node)
    ids = np.array([[1, 2, 3]])
    session = onnxruntime.InferenceSession(folded.SerializeToString())
    assert session.run(None, {"input_ids": ids})[0].tolist() == [[3, 6, 9]]


def test_a_branch_that_depends_on_the_text_is_refused() -> None:
    """Short texts one way, long ones another: no bundle holds that."""
    condition = [
        helper.make_node("Shape", ["input_ids"], ["shape"], start=1),
        helper.make_node("Constant", [], ["ten"], value_ints=[10]),
        helper.make_node("Less", ["shape", "ten"], ["short"]),
        helper.make_node("Squeeze", ["short"], ["condition"]),
    ]
    with pytest.raises(InvalidBundle, match="condition of its graph is one way or the other"):
        fold_branches(_branching(condition), 64)


def test_a_loop_is_refused() -> None:
    """Whatever it computes."""
    graph = _branching(_lengths_differ())
    loop = next(node for node in graph.graph.node if node.op_type == "If")
    loop.op_type = "Loop"
    with pytest.raises(InvalidBundle, match="its graph holds Loop nodes"):
        fold_branches(graph, 64)


def test_an_unknown_architecture_keeps_everything() -> None:
    """No rewrite, and transformers' own attention; the words say what that costs."""
    assert architecture_of("no-such") is UNKNOWN
    assert UNKNOWN.attention is None
    assert UNKNOWN.left_out == "a pruned last layer and an int8 graph"
    assert not architecture_of("bert").left_out


def test_token_types_other_than_zero_are_refused(tmp_path: Path) -> None:
    """As XLNet's tokenizer gives its last token one: the scorer feeds 0."""
    from transformers import BertTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "word"]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    tokenizer = BertTokenizerFast(str(tmp_path / "vocab.txt"))
    tokenizer.save_pretrained(tmp_path)
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["post_processor"]["single"][-1]["SpecialToken"]["type_id"] = 1
    path.write_text(json.dumps(content), "utf-8")
    model("bert", vocab_size=6).save_pretrained(tmp_path)
    with pytest.raises(InvalidBundle, match="token types other than 0"):
        Reference(tmp_path, 16).logits(["word"])
