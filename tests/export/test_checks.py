"""What is odd about training data: named, with its rows."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from export.train import TrainingConfig
from export.train.checks import require_classes, shared_rows, warnings_about
from export.train.dataset import EncodedRows, LabelledTexts
from scorer.errors import DataError

CONFIG = TrainingConfig()


def rows(*labels: str) -> LabelledTexts:
    names = tuple(sorted(set(labels)))
    texts = pl.Series([f"text {i}" for i in range(len(labels))])
    ids = np.array([names.index(label) for label in labels])
    return LabelledTexts("a.csv", "0" * 64, texts, ids, names, np.arange(len(labels)), ())


def test_lone_row_of_a_class_is_named_with_the_class_that_may_be_meant() -> None:
    """One `Positive` among `positive`: the error leads to the row."""
    data = rows(*["negative"] * 20, "Positive", *["positive"] * 20)
    with pytest.raises(DataError) as caught:
        require_classes(data, None, CONFIG)
    assert str(caught.value) == (
        "class 'Positive' of a.csv has 1 row alone (row 21), so that 4 rows cannot be held out "
        "with every class in both parts; if 'positive' is meant, correct the data; else give more "
        "of them, or --validation 0"
    )
    require_classes(data, None, replace(CONFIG, validation=0.0))


def test_lone_row_matters_where_rows_are_held_out() -> None:
    """A recipe that leaves rows over takes the held-out ones from these."""
    learnt, left = rows("a", "b", *["c"] * 8), rows(*["a"] * 5, *["b"] * 5, *["c"] * 5)
    require_classes(learnt, left, CONFIG)
    with pytest.raises(DataError, match=r"class 'a' of a.csv has 1 row alone \(row 1\)"):
        require_classes(left, learnt, replace(CONFIG, validation=0.5))


def test_class_with_fewer_rows_than_folds_is_named() -> None:
    """Each fold needs a row of it."""
    data = rows(*["x"] * 20, "y", "y")
    with pytest.raises(
        DataError, match=r"'y' of a.csv has 2 rows alone \(row 21, row 22\), not one"
    ):
        require_classes(data, None, replace(CONFIG, distill_folds=3))


def test_rare_classes_and_spellings_are_warned_of() -> None:
    """The name, the count and the rows of the class; and the other one that it may be."""
    data = rows(*["negative"] * 20, *["Positive"] * 3, *["positive"] * 20, *["!", "?"] * 10)
    assert list(warnings_about(data)) == [
        "class 'Positive' of a.csv has 3 rows alone (row 21, row 22, row 23)",
        "'Positive' and 'positive' of a.csv are two classes that differ in spelling",
    ]
    assert list(warnings_about(rows(*["a"] * 10, *["b"] * 10))) == []


def test_test_rows_that_are_training_rows_are_counted_and_shown() -> None:
    """Equal by their tokens, as serving takes texts for equal."""
    train, test = rows(*["a", "b"] * 3), rows(*["a", "b"] * 2)
    ids = np.zeros(6, np.int64)
    learnt = EncodedRows([[1], [2], [3], [3], [5], [6]], ids)
    seen = EncodedRows([[9], [3], [6], [8]], ids[:4])
    assert shared_rows(train, learnt, test, seen) == (
        "2 test rows of 4 are training rows too, so the evaluation is too good: row 2 of a.csv is "
        "row 3; row 3 of a.csv is row 6"
    )
    assert shared_rows(train, learnt, test, seen.take(np.array([0, 3]))) is None
