"""Frames get the columns of their model's task: lists of labels, or a value alone."""

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from scorer.api import frames
from scorer.api.scorer_config import ScorerConfig
from scorer.errors import UsageError
from scorer.formats.output_columns import OutputColumns
from scorer.options import ModelSpec
from scorer.records import Answers

NAN = float("nan")
PART = Answers(
    np.array([1, -1, 0], np.int16),
    np.array([[0.5, 0.75], [NAN, NAN], [0.25, 0.125]], np.float32),
)
VALUES = Answers(np.array([0, -1, 0], np.int16), np.array([[-2.5], [NAN], [1e4]], np.float32))
MULTI = ScorerConfig(ModelSpec(), "d", ("a", "b"), ("a", "b"), "multi_label")
NUMBER = ScorerConfig(ModelSpec(), "d", ("stars",), ("stars",), "regression")
TEXTS = {"text": ["x", "", "y"]}


def columns(config: ScorerConfig, **options: Any) -> OutputColumns:
    return config.columns(True, "label", "score", **options)


def frame_of(kind: str) -> Any:
    if kind == "pandas":
        return pytest.importorskip("pandas").DataFrame(TEXTS)
    return pl.DataFrame(TEXTS) if kind == "polars" else pa.table(TEXTS)


@pytest.mark.parametrize("kind", ["polars", "pandas", "pyarrow"])
def test_several_labels_and_a_value(kind: str) -> None:
    """A list where there is a text, empty or not; a regression's score alone."""
    frame = frame_of(kind)
    _, with_answers = frames.functions_for(frame)
    found = with_answers(frame, PART, columns(MULTI))
    names = getattr(found, "column_names", None) or list(found.columns)
    assert names == ["text", "label", "score", "score_a", "score_b", "labels"]
    lists = found["labels"]
    assert (lists.to_pylist() if kind == "pyarrow" else lists.to_list()) == [["a", "b"], None, []]
    value = with_answers(frame, VALUES, columns(NUMBER))
    names = getattr(value, "column_names", None) or list(value.columns)
    assert names == ["text", "score"]
    scores = value["score"].to_pylist() if kind == "pyarrow" else value["score"].to_list()
    assert [score for i, score in enumerate(scores) if i != 1] == [-2.5, 1e4]


def test_a_lazy_frame_knows_its_types() -> None:
    """Before a row is read."""

    def score(batches: Any) -> Any:
        for batch in batches:
            yield frames.with_answers_in_polars(batch, PART, chosen)

    chosen = columns(MULTI, labels_column="all", threshold=0.6)
    lazy = frames.scored_lazily(pl.LazyFrame(TEXTS), "text", chosen, score, 10)
    assert lazy.collect_schema()["all"] == pl.List(pl.String)
    assert lazy.collect()["all"].to_list() == [["b"], None, []]


@pytest.mark.parametrize(
    ("config", "threshold", "words"),
    [
        (MULTI, 2, "threshold: 2 is not a number from 0 to 1; give another one"),
        (MULTI, "0.5", "threshold: '0.5' is not a number from 0 to 1; give another one"),
        (NUMBER, 0.3, "threshold is for models that give a text several labels; leave it out"),
    ],
)
def test_a_threshold_that_makes_no_sense(config: ScorerConfig, threshold: Any, words: str) -> None:
    """One line that names it."""
    with pytest.raises(UsageError) as error:
        columns(config, threshold=threshold)
    assert str(error.value) == words
