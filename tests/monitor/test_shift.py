import math

import pytest

from scorer.monitor.drift import psi


def test_equal_shares_have_not_moved() -> None:
    assert psi([200_000, 300_000], [20, 30]) == pytest.approx(0, abs=1e-3)


def test_the_index_is_the_sum_over_bins_of_difference_times_log_ratio() -> None:
    before, now = [500_000, 500_000], [900_000, 100_000]
    by_hand = 0.4 * math.log(0.9 / 0.5) + -0.4 * math.log(0.1 / 0.5)
    assert psi(before, now) == pytest.approx(by_hand, rel=1e-4)


def test_an_empty_bin_moves_much_and_not_infinitely() -> None:
    assert 0.25 < psi([500, 500], [0, 1_000]) < math.inf


def test_a_side_without_rows_has_not_moved() -> None:
    assert psi([0, 0], [1, 2]) == psi([1, 2], [0, 0]) == 0.0
