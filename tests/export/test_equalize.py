"""What calibration chooses: gains and groups."""

from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from export.int8 import smoothing, streams
from export.int8.smoothing import Observer
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


def test_a_gain_is_the_inverse_root_of_a_features_size() -> None:
    """Half of what sets a feature apart goes to its weights."""
    first, *_ = smoothing.equalized([observer([1, 4, 16, 100]), *three_layers()[1:]], 3)
    torch.testing.assert_close(first.entering, torch.tensor([1, 0.5, 0.25, 0.1]))


def test_a_feature_that_is_never_used_does_not_get_an_endless_gain() -> None:
    """It is taken to have a hundredth of the mean size."""
    first, *_ = smoothing.equalized([observer([4, 4, 4, 0]), *three_layers()[1:]], 3)
    torch.testing.assert_close(first.entering[3], torch.tensor(0.03**-0.5))


def test_without_texts_nothing_is_scaled() -> None:
    """Texts of one token have no context: gains of one, not of infinity."""
    unseen = Observer(WIDTH, one_sided=False)
    first, *_ = smoothing.equalized([unseen, *three_layers()[1:]], 3)
    assert first.entering.tolist() == [1.0] * WIDTH


def test_units_are_grouped_by_size_and_each_is_in_one_group() -> None:
    """The largest eighth, the next quarter, the rest; the first layer has no groups."""
    first, second, last = smoothing.equalized(three_layers(), 3)
    assert (first.groups, last.groups) == ((), ())
    large, middle, small = (torch.arange(UNITS)[group].tolist() for group in second.groups)
    assert (len(large), len(middle), len(small)) == (2, 4, 10)
    assert set(large) == {7, 15}
    assert set(middle) == {5, 6, 13, 14}
    assert sorted([*large, *middle, *small]) == list(range(UNITS))


@pytest.mark.parametrize(("layers", "exact"), [(3, 1), (6, 1), (12, 2)])
def test_the_first_sixth_of_the_layers_keeps_its_way_back(layers: int, exact: int) -> None:
    """At least one."""
    observers = three_layers()[:4] * (layers - 1) + three_layers()[-1:]
    groups = [each.groups for each in smoothing.equalized(observers, layers)]
    assert [bool(group) for group in groups] == [
        *[False] * exact,
        *[True] * (layers - 1 - exact),
        False,
    ]


def test_sizes_are_those_of_all_rows_of_the_context() -> None:
    """Not of texts, and without the pooled token: of the rows that are multiplied."""
    whole: PreTrainedModel = model("bert")
    split = streams._apart(whole, [smoothing.unchanged(whole.config.hidden_size)] * 3)
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
