"""Texts that come in pieces, scored one piece after the other, the next one prepared meanwhile."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any, TypeVar

import polars as pl

from scorer.ahead import one_ahead
from scorer.records import Answers, Scores
from scorer.run_options import TextClassifier, window_rows

T = TypeVar("T")


def scored(
    classifier: TextClassifier, pieces: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Answers]]:
    """Yield each piece with the answers for its texts, in order.

    The pieces are read in another thread, which is at most one piece ahead. Inside a piece
    memory is that of two windows, beside the answers.
    """
    held: list[Scores] = []
    with closing(one_ahead(_prepared(classifier, pieces))) as windows:
        for piece, window, is_last in windows:
            held.append(classifier.score(window))
            if is_last:
                yield piece, Answers.concatenated(held)
                held = []


def _prepared(
    classifier: TextClassifier, pieces: Iterable[tuple[T, pl.Series]]
) -> Iterator[tuple[T, Any, bool]]:
    """Cut each piece's texts into windows, and prepare them; say which one is its last."""
    rows = window_rows(classifier.runtime.device)
    for piece, texts in pieces:
        starts = range(0, max(len(texts), 1), rows)  # no texts are one window too
        for start in starts:
            yield piece, classifier.prepare(texts.slice(start, rows)), start == starts[-1]
