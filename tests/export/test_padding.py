"""Decoders without a pad id answer to unpadded texts as they do to padded ones."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import transformers

from export.graph import plain_graph
from export.graph.pruning import prune, prune_gpt2
from export.graph.unpadded import Pads, served_unpadded
from scorer.errors import InvalidBundle

LENGTH, PAD, TOKENS = 24, 7, 90
_COMMON = {"vocab_size": TOKENS, "hidden_size": 32, "num_attention_heads": 4, "num_labels": 3}
_ROTARY = {**_COMMON, "intermediate_size": 48, "num_key_value_heads": 2}
SIZES: dict[str, dict[str, Any]] = {
    "gpt2": {**_COMMON, "num_hidden_layers": 3, "max_position_embeddings": 40},
    "gpt_neox": {**_COMMON, "intermediate_size": 48, "num_hidden_layers": 2},
    "opt": {**_COMMON, "ffn_dim": 48, "num_hidden_layers": 2, "word_embed_proj_dim": 32},
    "bloom": {**_COMMON, "n_layer": 2},
    "llama": {**_ROTARY, "num_hidden_layers": 2},
    "qwen2": {**_ROTARY, "num_hidden_layers": 2},
    "mistral": {**_ROTARY, "num_hidden_layers": 2},
}


def _model(kind: str, attention: str = "eager", **changes: Any) -> Any:
    """Return a random classifier whose answers depend on the positions of its tokens."""
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(kind, **{**SIZES[kind], **changes})
    config.pad_token_id = None
    model: Any = transformers.AutoModelForSequenceClassification.from_config(
        config, attn_implementation=attention
    )
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.2)
    return model.eval()


def _padded(ids: torch.Tensor, side: str) -> dict[str, torch.Tensor]:
    """Return a text as transformers' tokenizer pads it."""
    count = max(0, LENGTH - ids.shape[1])
    places = (0, count) if side == "right" else (count, 0)
    mask = torch.ones_like(ids)
    pad = torch.nn.functional.pad
    return {"input_ids": pad(ids, places, value=PAD), "attention_mask": pad(mask, places)}


def _compare(model: Any, whole: Any, side: str) -> None:
    for tokens in (1, 4, LENGTH - 1, LENGTH, LENGTH + 5):
        ids = torch.randint(TOKENS, (3, tokens), generator=torch.Generator().manual_seed(tokens))
        with torch.inference_mode():
            expected = torch.cat([whole(**_padded(row[None], side)).logits for row in ids])
            answers = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
        torch.testing.assert_close(answers, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", SIZES)
def test_a_padded_model_is_served_without_its_pads(kind: str, side: str) -> None:
    """Positions from a table, as angles, from what the mask shows: one pad or none stands in."""
    whole = _model(kind)
    served = served_unpadded(whole, whole, Pads(LENGTH, PAD, left=side == "left"))
    _compare(served, whole, side)
    ids = torch.arange(10, 15)[None]
    with torch.inference_mode():
        alone = whole(input_ids=ids).logits
        padded = whole(**_padded(ids, side)).logits
    if side == "right":
        assert (alone - padded).abs().max() > 1e-3  # otherwise nothing is shown


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_a_pruned_gpt2_pools_the_pad_too(attention: str, side: str) -> None:
    """The last layer computes the pooled token only, here the pad."""
    whole = _model("gpt2", attention)
    pruned = prune(whole, prune_gpt2)
    assert pruned is not whole
    _compare(served_unpadded(pruned, whole, Pads(LENGTH, PAD, left=side == "left")), whole, side)


@pytest.mark.parametrize("kind", ["gpt2", "opt", "llama"])
def test_one_graph_serves_texts_of_all_lengths(kind: str) -> None:
    """Whether a text gets a pad is decided in the graph, not when it is traced."""
    whole = _model(kind)
    graph = plain_graph(served_unpadded(whole, whole, Pads(LENGTH, PAD)))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    names = [node.name for node in session.get_inputs()]
    for tokens in (1, 5, LENGTH - 1, LENGTH, LENGTH + 6):
        ids = torch.randint(TOKENS, (2, tokens), generator=torch.Generator().manual_seed(tokens))
        feeds = {"input_ids": ids.numpy(), "attention_mask": np.ones(ids.shape, np.int64)}
        (answers,) = session.run(["logits"], {name: feeds[name] for name in names})
        with torch.inference_mode():
            expected = torch.cat([whole(**_padded(row[None], "right")).logits for row in ids])
        np.testing.assert_allclose(answers, expected, atol=2e-5)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_an_unpadded_model_pools_the_last_token(kind: str) -> None:
    """Several texts at once, which transformers refuses without a pad id, and each as alone."""
    whole = _model(kind)
    served = served_unpadded(whole, whole, Pads(None, PAD))
    ids = torch.randint(TOKENS, (3, 9), generator=torch.Generator().manual_seed(0))
    ids[0, -2:] = PAD  # it is a token like any other
    with torch.inference_mode():
        expected = torch.cat([whole(input_ids=row[None]).logits for row in ids])
        answers = served(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    torch.testing.assert_close(answers, expected, atol=1e-5, rtol=0)


def test_a_model_whose_pad_sees_near_tokens_only_is_refused() -> None:
    """With a sliding window the last pad attends to the end of the padding, not to the text."""
    whole = _model("mistral", sliding_window=6)
    with pytest.raises(InvalidBundle, match="padded to 24 tokens cannot be served") as caught:
        served_unpadded(whole, whole, Pads(LENGTH, PAD))
    assert "leave out --pad-to" in caught.value.remedy


def test_an_encoder_without_a_pad_id_is_refused() -> None:
    """It pools no last token."""
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, pad_token_id=None,
    )  # fmt: skip
    whole = transformers.BertForSequenceClassification(config).eval()
    with pytest.raises(InvalidBundle, match="a bert without a pad id"):
        served_unpadded(whole, whole, Pads(None, 0))
