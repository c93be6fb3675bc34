import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.report.statistics import BINS, NO_DAY, Statistics, bins_of, ids_of

ROWS = st.lists(
    st.tuples(st.integers(-1, 2), st.floats(0, 1, width=32), st.integers(-2, 2), st.integers(0, 3)),
    max_size=60,
)


def counted(rows: list[tuple[int, float, int, int]], cut: int) -> Statistics:
    """Count rows of label, score, true label and day, in two pieces."""
    statistics = Statistics(3)
    for piece in (rows[:cut], rows[cut:]):
        ids = np.array([row[0] for row in piece], np.int64)
        scores = np.array([row[1] for row in piece], np.float32)
        statistics.add(ids, scores)
        statistics.add_truth(ids, scores, np.array([row[2] for row in piece], np.int64))
        statistics.add_days(ids, np.array([row[3] for row in piece], np.int64))
    return statistics


@given(ROWS, st.integers(0, 60))
def test_counts_are_those_of_a_loop_and_add_up(
    rows: list[tuple[int, float, int, int]], cut: int
) -> None:
    """However the rows are cut: labels, blanks, days and true labels, each row once."""
    found = counted(rows, cut)
    labels = [row[0] for row in rows]
    assert found.per_label.tolist() == [labels.count(i) for i in range(3)]
    assert (found.blank, found.scored + found.blank) == (labels.count(-1), len(rows))
    by_day = {day: [0] * 4 for day in sorted({row[3] for row in rows})}
    for label, _, _, day in rows:
        by_day[day][label] += 1
    assert {day: counts.tolist() for day, counts in found.days.items()} == by_day
    both = [(row[2], row[0]) for row in rows if row[0] >= 0 and row[2] >= 0]
    assert found.truth.rows + found.truth.left_out == found.scored
    for true in range(3):
        assert found.truth.confusion[true].tolist() == [both.count((true, i)) for i in range(3)]


@pytest.mark.parametrize(
    ("score", "place"), [(0.0, 0), (0.05, 1), (0.949, 18), (0.95, 19), (1.0, 19)]
)
def test_a_bound_belongs_to_the_bin_above(score: float, place: int) -> None:
    """But for 1, which has none above."""
    assert bins_of(np.array([score]), BINS).tolist() == [place]


def test_labels_that_are_as_right_as_sure_have_no_calibration_error() -> None:
    """Four rows of score 0.75, three of them right."""
    found = counted([(0, 0.75, 0, 0), (0, 0.75, 0, 0), (1, 0.75, 1, 0), (1, 0.75, 0, 0)], 1)
    assert (found.truth.accuracy, found.truth.calibration_error) == (0.75, 0.0)


def test_labels_that_are_surer_than_right_have_the_difference() -> None:
    """Two rows of score 0.75, none of them right."""
    found = counted([(0, 0.75, 1, 0), (2, 0.75, 1, 0)], 1)
    assert (found.truth.accuracy, found.truth.calibration_error) == (0.0, 0.75)


def test_without_true_labels_nothing_is_said() -> None:
    """An accuracy of no rows is no number."""
    found = Statistics(2).truth
    assert math.isnan(found.accuracy)
    assert math.isnan(found.calibration_error)


def test_rows_without_a_date_are_counted_apart() -> None:
    """They are in no day."""
    statistics = Statistics(1)
    statistics.add_days(np.array([0, -1, 0]), np.array([NO_DAY, 5, 5]))
    assert statistics.undated == 1
    assert {day: counts.tolist() for day, counts in statistics.days.items()} == {5: [1, 1]}


def test_words_become_numbers() -> None:
    """A null is -1, what is no label -2."""
    words = pl.Series(["b", None, "a", "c"])
    assert ids_of(words, {"a": 0, "b": 1}).tolist() == [1, -1, 0, -2]
