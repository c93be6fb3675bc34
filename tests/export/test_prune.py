"""The pruned last layer gives the same answers."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from export.architectures import architecture_of
from export.graph import pruning
from export.graph.equivalence import TOLERANCE, largest_difference

_SIZES = {
    "bert": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
    "roberta": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4},
    "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 140, "pad_token_id": 0},
}


def model(model_type: str, attention: str = "eager", **changes: object) -> Any:
    torch.manual_seed(0)
    settings = {"vocab_size": 90, "num_labels": 3, "initializer_range": 0.3, **_SIZES[model_type]}
    config = AutoConfig.for_model(model_type, **{**settings, **changes})
    made = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
    return made.eval()


def prune(whole: Any) -> Any:
    patch = architecture_of(whole.config.model_type).prune
    assert patch is not None
    return pruning.prune(whole, patch)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("model_type", sorted(_SIZES))
def test_pruned_models_answer_as_whole_ones(model_type: str, attention: str) -> None:
    """Pruning is exact to fp32 rounding, with and without padding, in both attentions."""
    whole = model(model_type, attention)
    pruned = prune(whole)
    assert pruned is not whole
    assert largest_difference(pruned, whole) <= TOLERANCE


def test_large_logits_differ_by_more_and_are_pruned_all_the_same() -> None:
    """The errors of fp32 grow with the values; a wrong rewrite differs by far more than they do."""
    whole = model("bert")
    with torch.no_grad():
        whole.classifier.weight.mul_(100)
    pruned = prune(whole)
    assert pruned is not whole
    with torch.no_grad():
        pruned.classifier.bias.add_(0.01)
    assert largest_difference(pruned, whole) > TOLERANCE


def test_a_pruned_gpt2_pools_past_a_pad_token_inside_the_text() -> None:
    """The last token that is not the pad token is pooled, as transformers does it."""
    whole = model("gpt2", "sdpa")
    ids = torch.tensor([[5, 0, 7, 0, 0], [0, 0, 0, 0, 9], [3, 4, 5, 6, 7]])
    mask = torch.ones_like(ids)
    with torch.inference_mode():
        expected = whole(input_ids=ids, attention_mask=mask).logits
        answer = prune(whole)(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)


def test_a_gpt2_whose_pad_token_is_the_last_one_of_its_vocabulary() -> None:
    """As in the real one, where the pad token's id is far beyond the number of positions."""
    whole = model("gpt2", "sdpa", vocab_size=500, pad_token_id=499, n_positions=24)
    assert prune(whole) is not whole


def test_pruning_keeps_the_names_of_the_weights() -> None:
    """The pruned copy has the parameters of the checkpoint, so the graph can point at them."""
    whole = model("gpt2", "sdpa")
    assert list(prune(whole).state_dict()) == list(whole.state_dict())


def test_a_patch_that_changes_the_answers_is_not_used() -> None:
    """Where the copy differs from the model, the model itself is exported."""

    def wrong(copy: PreTrainedModel) -> None:
        with torch.no_grad():
            next(copy.parameters()).mul_(1.01)

    whole = model("bert")
    assert pruning.prune(whole, wrong) is whole


def test_an_attention_that_the_patch_does_not_know_is_left_alone() -> None:
    """GPT-2 with scaling switched off gets the whole last layer, not a wrong one."""
    whole = model("gpt2", "eager", scale_attn_weights=False)
    pruned = prune(whole)
    assert largest_difference(pruned, whole) <= TOLERANCE


def test_answers_that_are_not_numbers_count_as_a_difference() -> None:
    """A NaN is never within the tolerance."""
    whole, broken = model("bert"), model("bert")
    with torch.no_grad():
        broken.classifier.bias.fill_(float("nan"))
    assert not largest_difference(broken, whole) <= TOLERANCE
