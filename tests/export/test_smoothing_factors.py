"""Calibration chooses smoothing factors and groups of inner units."""

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from export.int8 import Observer, streams
from tests.export.test_prune import model

TEXTS = [[5, 6, 7, 8, 9], [11, 12, 13], [21, 22, 23, 24, 25, 26, 27, 28]]
WIDTH, UNITS = 4, 16


def observer(sizes: list[float], *, one_sided: bool = False) -> Observer:
    return Observer(len(sizes), one_sided, torch.tensor(sizes).square() * 3, 3)


def three_layers() -> list[Observer]:
    flat, inner = (
        observer([1.0] * WIDTH),
        observer([float(n % 8) for n in range(UNITS)], one_sided=True),
    )
    return [flat, flat, flat, inner] * 2 + [flat]


def test_a_smoothing_factor_is_the_inverse_root_of_a_features_size() -> None:
    """Half of a feature's deviation goes to its weights."""
    first, *_ = streams.smoothing_factors([observer([1, 4, 16, 100]), *three_layers()[1:]], 3)
    torch.testing.assert_close(first.attention_input, torch.tensor([1, 0.5, 0.25, 0.1]))


def test_the_factor_of_a_feature_that_is_never_used_is_bounded() -> None:
    """It is taken to have a hundredth of the mean size."""
    first, *_ = streams.smoothing_factors([observer([4, 4, 4, 0]), *three_layers()[1:]], 3)
    torch.testing.assert_close(first.attention_input[3], torch.tensor(0.03**-0.5))


def test_without_texts_nothing_is_scaled() -> None:
    """Texts of one token have no context: factors of one, not of infinity."""
    unseen = Observer(WIDTH, one_sided=False)
    first, *_ = streams.smoothing_factors([unseen, *three_layers()[1:]], 3)
    assert first.attention_input.tolist() == [1.0] * WIDTH


def test_units_are_grouped_by_size_and_each_is_in_one_group() -> None:
    """The largest eighth, the next quarter, the rest; the first layer has no groups."""
    first, second, last = streams.smoothing_factors(three_layers(), 3)
    assert (first.ffn_groups, last.ffn_groups) == ((), ())
    large, middle, small = (torch.arange(UNITS)[group].tolist() for group in second.ffn_groups)
    assert (len(large), len(middle), len(small)) == (2, 4, 10)
    assert set(large) == {7, 15}
    assert set(middle) == {5, 6, 13, 14}
    assert sorted([*large, *middle, *small]) == list(range(UNITS))


@pytest.mark.parametrize(("layers", "exact"), [(3, 1), (6, 1), (12, 2)])
def test_the_first_sixth_of_the_layers_keeps_down_in_fp32(layers: int, exact: int) -> None:
    """At least one."""
    observers = three_layers()[:4] * (layers - 1) + three_layers()[-1:]
    groups = [each.ffn_groups for each in streams.smoothing_factors(observers, layers)]
    assert [bool(group) for group in groups] == [
        *[False] * exact,
        *[True] * (layers - 1 - exact),
        False,
    ]


def test_sizes_are_those_of_all_rows_of_the_context() -> None:
    """Not of texts, and without the pooled token: of the rows that are multiplied."""
    whole: PreTrainedModel = model("bert")
    factors = [streams.identity_factors(whole.config.hidden_size)] * 3
    split = streams._two_streams(whole, streams.split_bert, factors)
    split.observers.recording = True
    embeddings: Any = split.model.base_model.embeddings  # the first observer takes what they give
    rows = []
    with torch.inference_mode():
        for ids in map(torch.tensor, TEXTS):
            split.model(input_ids=ids[None], attention_mask=torch.ones_like(ids[None]))
            rows.append(embeddings(ids[None])[0, 1:])
    first, *_ = split.observers
    torch.testing.assert_close(first.sizes(), torch.cat(rows).square().mean(0).sqrt())
    assert first.rows == sum(len(ids) - 1 for ids in TEXTS)
