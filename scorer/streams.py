"""Texts that come in batches, scored one batch after the other, the next one prepared meanwhile."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from scorer.ahead import one_ahead
from scorer.records import Answers, Scores
from scorer.run_options import window_rows

if TYPE_CHECKING:
    from scorer.inference.classifier import Classifier

T = TypeVar("T")


def scored(
    classifier: "Classifier", batches: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Answers]]:
    """Yield each batch with the answers for its texts, in order.

    The batches are read in another thread, which is at most one batch ahead. Inside a batch
    memory is that of two windows, beside the answers.
    """
    held: list[Scores] = []
    with closing(one_ahead(_prepared(classifier, batches))) as windows:
        for batch, window, is_last in windows:
            held.append(classifier.score(window))
            if is_last:
                yield batch, Answers.concatenated(held)
                held = []


def _prepared(
    classifier: "Classifier", batches: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Any, bool]]:
    """Cut each batch's texts into windows, and prepare them; say which one is its last."""
    rows = window_rows(classifier.runtime.device)
    for batch, texts in batches:
        starts = range(0, max(len(texts), 1), rows)  # no texts are one window too
        for start in starts:
            yield batch, classifier.prepare(texts.slice(start, rows)), start == starts[-1]
