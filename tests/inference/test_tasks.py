"""Scores of the three tasks, what is made of them, and metadata that says which task it is."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from scorer.errors import UsageError
from scorer.formats.added_columns import label_lists
from scorer.formats.output_columns import OutputColumns
from scorer.inference.bundle.metadata import _task_problems
from scorer.inference.labels import label_ids, probabilities, scores
from scorer.options import OutputSpec
from scorer.records import Answers
from tests.stub_metadata import stub_metadata

LOGITS = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-1e4, 1e4, width=32),
)
NAN = float("nan")


@given(LOGITS, st.floats(0.05, 20))
def test_a_sigmoid_is_of_each_logit_alone(logits: np.ndarray, temperature: float) -> None:
    """Its values are the float32 nearest to the true ones; it rises, and has no overflow."""
    found = scores(logits, "sigmoid", temperature)
    assert found.dtype == np.float32
    wide = logits.astype(np.longdouble) / temperature
    with np.errstate(over="ignore"):
        true = 1 / (1 + np.exp(-wide))
    assert np.allclose(found.astype(np.longdouble), true, rtol=6e-8, atol=1e-45)
    assert np.array_equal(scores(logits[:, :1], "sigmoid", temperature), found[:, :1])


@given(LOGITS)
def test_without_an_activation_a_logit_is_the_value(logits: np.ndarray) -> None:
    """Bit for bit."""
    assert np.array_equal(scores(logits, "none"), logits)
    assert np.array_equal(scores(logits, "softmax"), probabilities(logits))


def test_half_is_half_and_what_is_no_number_stays_none() -> None:
    """A logit of 0 is 0.5 exactly, so a threshold of 0.5 includes it; ties go to the lowest id."""
    found = scores(np.array([[0, 0, NAN], [NAN, 1, 2]], np.float32), "sigmoid")
    assert found[0].tolist()[:2] == [0.5, 0.5]
    assert np.isnan(found).tolist() == [[False, False, True], [True, False, False]]
    assert label_ids(found[:1, :2]).tolist() == [0]


def test_lists_have_the_classes_from_the_threshold_on_in_id_order() -> None:
    """As float32, as the columns have them: 0.7 is listed at a threshold of 0.7."""
    values = np.array([[0.7, 0.1, 0.9], [0.1, 0.2, 0.69999], [NAN] * 3], np.float32)
    part = Answers(np.array([2, 2, -1], np.int16), values)
    found = label_lists(part, ("a", "b,", "c"), 0.7)
    assert found.dtype == pl.List(pl.String)
    assert found.to_list() == [["a", "c"], [], None]
    assert label_lists(part, ("a", "b,", "c"), 0.0).to_list()[:2] == [["a", "b,", "c"]] * 2
    assert label_lists(part.rows(0, 0), ("a", "b,", "c"), 0.5).to_list() == []


SPEC = OutputSpec("all", None, "l", "s", "ls", 0.25)


@pytest.mark.parametrize(
    ("task", "names"),
    [
        ("single_label", ("l", "s", "score_a", "score_b")),
        ("multi_label", ("l", "s", "score_a", "score_b", "ls")),
        ("regression", ("s",)),
    ],
)
def test_the_columns_of_a_task(task: Any, names: tuple[str, ...]) -> None:
    """A regression has its score alone; a multi-label model a list too, at the end."""
    columns = OutputColumns.of(SPEC, ("a", "b"), ("A", "B"), task)
    assert columns.names == names
    assert columns.threshold == (0.25 if task == "multi_label" else 0.5)
    with pytest.raises(UsageError, match="'s' exists already"):
        columns.check_against(["text", "s"])


def test_names_that_are_taken_are_named_with_their_options() -> None:
    """Those that the task has, each with a name that is free."""
    multi = OutputColumns.of(OutputSpec(), ("a",), ("a",), "multi_label")
    with pytest.raises(UsageError) as error:
        multi.check_against(["labels", "text"])
    assert str(error.value) == (
        "the column 'labels' exists already; choose other names with --label-column, "
        "--score-column and --labels-column"
    )
    assert error.value.options == {"--labels-column": "labels_2"}
    number = OutputColumns.of(OutputSpec(), ("a",), ("a",), "regression")
    number.check_against(["label", "labels"])
    with pytest.raises(UsageError, match=r"choose other names with --score-column$"):
        number.check_against(["score"])


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, ""),
        ({"task": "multi_label", "activation": "sigmoid"}, ""),
        ({"task": "regression", "activation": "none", "labels": ("stars",)}, ""),
        ({"task": "regression", "activation": "sigmoid", "labels": ("toxic",)}, ""),
        ({"labels": ("one",)}, "needs at least two labels, at most 1000, all different"),
        (
            {"task": "multi_label"},
            "has activation softmax for multi_label, which needs sigmoid",
        ),
        (
            {"task": "regression", "activation": "none"},
            "needs one label, the name of its value, for regression",
        ),
        (
            {"task": "regression", "activation": "none", "labels": ("x",), "temperature": 2.0},
            "needs temperature 1 where a logit is the value",
        ),
    ],
)
def test_task_activation_and_labels_fit_each_other(fields: Any, problem: str) -> None:
    """A bundle that says otherwise is refused when it is opened."""
    assert "; ".join(_task_problems(stub_metadata(**fields))) == problem
