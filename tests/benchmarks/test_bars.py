"""The verdicts follow from the figures."""

import pytest

from benchmarks.bars import AUTO, FP32, LONG_RUNS, Bar, gemm_shares, judge, long_run
from benchmarks.cells import CONTENDERS, MINILM, Cell
from benchmarks.figures import Results
from benchmarks.hand_written import KEY, ROWS, THREADS, results, run

BEST = "minilm, `--precision auto`: at least 1.1x the best peer of any kind"
ADMITTED = "minilm, `--precision auto`: times the best peer whose answers are within our gate"


def bar(found: Results, words: str) -> Bar:
    (one,) = [each for each in judge(found) if words in each.claim]
    return one


def round_of(name: str, number: int) -> str:
    return Cell(MINILM, CONTENDERS[name], ROWS, THREADS).round(number)


def test_good_figures_meet_every_bar_that_was_measured() -> None:
    """The hand-written results are good; of GPT-2 they say nothing."""
    for each in judge(results()):
        is_open = each.claim.startswith("gpt2") or "aim" in each.claim or "our gate" in each.claim
        assert each.met is (None if is_open else True), each


def test_without_figures_nothing_is_claimed() -> None:
    """A part that was not measured is neither met nor missed."""
    assert {(each.measured, each.met) for each in judge(Results(KEY, {}))} == {
        ("not measured", None)
    }


def test_a_median_below_the_bar_misses_it() -> None:
    """The best peer is found by what it measured, not by its name."""
    faster = {
        round_of("ort-int8", n): run(CONTENDERS["ort-int8"], ROWS, ROWS / 1000) for n in (1, 2, 3)
    }
    found = bar(results(**faster), BEST)
    assert found.met is False
    assert "ONNX Runtime in dynamic int8" in found.measured
    assert found.measured.startswith("1.05x (1.00 to 1.10)")


def test_one_round_in_which_the_peer_wins_misses_the_bar() -> None:
    """The whole interval has to lie above 1."""
    lucky = {round_of("openvino-bf16", 1): run(CONTENDERS["openvino-bf16"], ROWS, ROWS / 1001)}
    assert bar(results(**lucky), BEST).met is False


def test_a_peer_outside_the_gate_is_told_apart() -> None:
    """One bad round is enough for that; what is measured against it stays in the bar."""
    fast = {
        round_of("ort-int8", n): run(CONTENDERS["ort-int8"], ROWS, ROWS / 1000) for n in (1, 2, 3)
    }
    assert "dynamic int8" in bar(results(**fast), ADMITTED).measured
    fast[round_of("ort-int8", 2)] |= {"agreement": 0.987}
    found = results(**fast)
    assert "dynamic int8" in bar(found, BEST).measured
    admitted = bar(found, ADMITTED)
    assert "dynamic int8" not in admitted.measured
    assert admitted.met is None


@pytest.mark.parametrize(
    ("ours", "words", "figure", "value"),
    [
        (AUTO, "minilm, `--precision auto`: labels", "agreement", 0.997),
        (AUTO, "minilm, `--precision auto`: labels", "max_difference", 0.06),
        (FP32, "minilm, `--precision fp32`: labels", "agreement", 0.9999),
        (FP32, "minilm, `--precision fp32`: labels", "max_difference", 2e-5),
        (AUTO, "peak memory", "peak_bytes", 2 << 30),
    ],
)
def test_one_bad_round_is_enough(ours: object, words: str, figure: str, value: float) -> None:
    """Answers and memory are judged by the worst round."""
    contender = AUTO if ours is AUTO else FP32
    bad = run(contender, ROWS, 1.0) | {figure: value}
    assert bar(results(**{round_of(contender.name, 2): bad}), words).met is False


def test_other_stages_count_against_inference() -> None:
    """A tenth of the time without a model is too much."""
    slow = run(AUTO, ROWS, 1.0)
    slow["phases"] = {"score": 0.9, "total": 1.0}
    changed = {round_of(AUTO.name, number): slow for number in (1, 2, 3)}
    found = bar(results(**changed), "stages other than inference")
    assert (found.measured, found.met) == ("10.0 % (10.0 to 10.0)", False)


def test_a_growing_cost_per_row_is_seen() -> None:
    """Twice as much per row at ten million rows as at a hundred thousand."""
    name = long_run(LONG_RUNS[-1])
    slow = results().records[name] | {"seconds": 2e-6 * LONG_RUNS[-1]}
    assert bar(results(**{name: slow}), "cost per row").met is False


def test_a_slow_start_is_seen() -> None:
    """More than twice the inference and one import."""
    slow = run(AUTO, ROWS, 3.0)
    slow["phases"]["score"] = 1.0
    changed = {round_of(AUTO.name, number): slow for number in (1, 2, 3)}
    found = bar(results(**changed), "twice their inference time")
    assert (found.measured, found.met) == ("3.00 s of 2.03 s", False)


def test_the_share_of_the_peak_counts_useful_operations() -> None:
    """Those of the pruned model, over the time of the whole process."""
    share = gemm_shares(results(), MINILM, AUTO)["bf16"]
    assert share == pytest.approx(MINILM.dense_flops(20 * ROWS, ROWS) / ROWS * 1050 / 4e11)
