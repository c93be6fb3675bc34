"""The baseline of a bundle is read where it is usable."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from scorer.inference.bundle import Bundle, baseline_of, open_bundle

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def embedded() -> Bundle:
    return open_bundle()


def changed(bundle: Bundle, change: Change) -> Bundle:
    baseline = copy.deepcopy(bundle.metadata.baseline)
    change(baseline)
    return with_baseline(bundle, baseline)


def with_baseline(bundle: Bundle, baseline: Any) -> Bundle:
    return replace(bundle, metadata=msgspec.structs.replace(bundle.metadata, baseline=baseline))


def test_the_embedded_bundle_has_a_baseline_of_whole_rows(embedded: Bundle) -> None:
    """Shares become the rows that they came from, in the order of the labels."""
    baseline = baseline_of(embedded)
    assert baseline is not None
    assert baseline.rows == 2748
    assert baseline.labels.tolist() == [857, 1062, 829]
    assert baseline.scores.sum() == baseline.lengths.sum() == 2748
    assert len(baseline.score_edges) == len(baseline.scores) + 1
    assert len(baseline.lengths) == embedded.max_length + 1
    assert baseline.lengths[10] == embedded.metadata.baseline["length_histogram"]["10"]
    assert baseline.unknown_share == 0


@pytest.mark.parametrize("baseline", [None, [], "none", {}])
def test_a_bundle_may_have_no_baseline(embedded: Bundle, baseline: Any) -> None:
    assert baseline_of(with_baseline(embedded, baseline)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b.clear(),
        lambda b: b.update(rows=0),
        lambda b: b.update(rows=2748.0),
        lambda b: b.update(rows=True),
        lambda b: b.update(unknown_token_share=1.5),
        lambda b: b.update(unknown_token_share=float("nan")),
        lambda b: b.update(label_shares=[0.3, 0.3, 0.4]),
        lambda b: b["label_shares"].pop("neutral"),
        lambda b: b["label_shares"].update(other=0.0),
        lambda b: b["label_shares"].update(neutral="0.4"),
        lambda b: b["label_shares"].update(neutral=0.9),
        lambda b: b.update(score_histogram=None),
        lambda b: b["score_histogram"].update(counts="1"),
        lambda b: b["score_histogram"]["counts"].pop(),
        lambda b: b["score_histogram"]["counts"].__setitem__(0, -1),
        lambda b: b["score_histogram"]["counts"].__setitem__(0, 2**60),
        lambda b: b["score_histogram"]["edges"].__setitem__(-1, 0.99),
        lambda b: b["score_histogram"]["edges"].__setitem__(3, 0.1),
        lambda b: b.update(score_histogram={"edges": [], "counts": []}),
        lambda b: b.update(score_histogram={"edges": [0], "counts": []}),
        lambda b: b.update(score_histogram={"edges": [0, 1], "counts": [0]}),
        lambda b: b["length_histogram"].update({"1000000000000": 1}),
        lambda b: b["length_histogram"].update({"03": 1}),
        lambda b: b["length_histogram"].update({"3": 1.5}),
        lambda b: b["length_histogram"].clear(),
    ],
)
def test_what_the_export_would_not_write_is_no_baseline(embedded: Bundle, change: Change) -> None:
    """A field that is missing, of another kind or out of bounds: nothing is compared, or loaded."""
    assert baseline_of(changed(embedded, change)) is None
