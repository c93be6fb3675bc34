"""What a checkpoint's configuration says of its classes, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from export.source.classes import Classes, classes_of
from scorer.errors import InvalidBundle, UsageError

SINGLE = Classes(("no", "yes"), "single_label", "softmax")
NAMED = {"0": "no", "1": "yes"}


@pytest.mark.parametrize(
    ("config", "names", "found"),
    [
        ({"id2label": NAMED}, (), SINGLE),
        ({"id2label": NAMED, "problem_type": "single_label_classification"}, (), SINGLE),
        ({"id2label": NAMED}, ("a", "b"), Classes(("a", "b"), "single_label", "softmax")),
        ({}, ("no", "yes"), SINGLE),
        ({"num_labels": 3}, ("a", "b", "c"), Classes(("a", "b", "c"), "single_label", "softmax")),
        (
            {"id2label": NAMED, "problem_type": "multi_label_classification"},
            (),
            Classes(("no", "yes"), "multi_label", "sigmoid"),
        ),
        (
            {"id2label": {"0": "LABEL_0"}, "problem_type": "regression"},
            (),
            Classes(("score",), "regression", "none"),
        ),
        ({"id2label": {"0": "stars"}}, (), Classes(("stars",), "regression", "sigmoid")),
        ({"num_labels": 1}, ("toxic",), Classes(("toxic",), "regression", "sigmoid")),
        (
            {"num_labels": 1, "problem_type": "multi_label_classification"},
            (),
            Classes(("score",), "regression", "sigmoid"),
        ),
    ],
)
def test_classes_are_what_the_pipeline_makes_of_them(
    config: dict[str, Any], names: tuple[str, ...], found: Classes
) -> None:
    """Task and activation as transformers chooses them, and a name for each class."""
    assert classes_of(Path("here"), config, names) == found


@pytest.mark.parametrize(
    ("config", "names", "words"),
    [
        ({}, ("a", "b", "c"), "3 label names for 2 classes; give one name per class"),
        ({"num_labels": 1}, ("a", "b"), "2 label names for 1 class;"),
        ({}, (), "have no names of their own; give them in id order: --label-names"),
        ({"id2label": {"0": "LABEL_0", "1": "x"}}, (), "have no names of their own"),
        ({"id2label": {"0": "x", "1": "x"}}, (), "has the labels x, x; all have to be different"),
        ({"id2label": {"1": "x", "2": "y"}}, (), "which numbers no classes from 0 to at most 999"),
        ({"id2label": {"a": "x"}}, (), "which numbers no classes"),
        ({"id2label": ["x", "y"]}, (), "has id2label "),
        ({"id2label": {}}, (), "which numbers no classes"),
        ({"num_labels": "many"}, (), "has num_labels "),
        ({"num_labels": 0}, (), "which numbers no classes"),
        ({"num_labels": 1_001}, (), "which numbers no classes"),
        ({"id2label": NAMED, "problem_type": "ranking"}, (), "has the problem_type 'ranking'"),
        (
            {"num_labels": 2, "problem_type": "regression"},
            (),
            "is a regression of 2 values, and one can be scored; train a model for each value",
        ),
    ],
)
def test_classes_that_cannot_be_served(
    config: dict[str, Any], names: tuple[str, ...], words: str
) -> None:
    """One line that says what to do, before transformers reads the checkpoint."""
    with pytest.raises((InvalidBundle, UsageError)) as error:
        classes_of(Path("here"), config, names)
    assert words in str(error.value)
