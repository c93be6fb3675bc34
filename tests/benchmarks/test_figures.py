"""Medians, intervals and ratios say what the rounds said."""

from benchmarks.cells import CONTENDERS, MINILM
from benchmarks.figures import Spread, ratios, spread
from benchmarks.hand_written import results


def test_a_spread_is_the_median_and_everything_around_it() -> None:
    """No round is left out of the interval."""
    assert spread([5, 1, 3]) == Spread(3, 1, 5)
    assert spread([2]) == Spread(2, 2, 2)


def test_ratios_compare_the_rounds_pair_by_pair() -> None:
    """A box that slows both down in the second round changes no ratio."""
    assert ratios([100, 50, 100], [50, 25, 50]) == Spread(2, 2, 2)
    assert ratios([100, 100, 100], [50, 40, 80]) == Spread(2, 1.25, 2.5)


def test_a_peer_that_ran_once_is_compared_with_every_round() -> None:
    """Its one figure stands for all of them, on either side."""
    assert ratios([90, 100, 110], [10]) == Spread(10, 9, 11)
    assert ratios([100], [10, 20, 25]) == Spread(5, 4, 10)


def test_rates_are_whole_processes_in_the_order_of_the_rounds() -> None:
    """Rows over the seconds of each, and nothing of a contender that failed."""
    rates = results().rates(MINILM, CONTENDERS["tweetscore-auto"])
    assert [round(rate) for rate in rates] == [1000, 1100, 1050]
    assert results().rates(MINILM, CONTENDERS["torch-bf16"]) == []
    assert results().error(results().main(MINILM, CONTENDERS["torch-bf16"])) == "exit code 1: no"


def test_the_best_peer_is_never_ours() -> None:
    """Of any arithmetic, or of one."""
    best, best_fp32 = results().best_peer(MINILM), results().best_peer(MINILM, "fp32")
    assert best is not None
    assert best_fp32 is not None
    assert (best.name, best_fp32.name) == ("openvino-bf16", "openvino-fp32")
    assert results().best_peer(MINILM, "int8") is None
