"""The targets of the benchmark, and whether the records reach them. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from benchmarks.cells import BASELINE, CONTENDERS, GPT2, MINILM, START_ROWS, Cell, Contender, Model
from benchmarks.figures import Gate, Results, Spread, ratios, spread
from benchmarks.spread_page import LOCAL, SHARE, rates

AUTO = CONTENDERS["tweetscore-auto"]
FP32 = CONTENDERS["tweetscore-fp32"]
GATES = {AUTO: Gate(0.998, 0.05), FP32: Gate(1.0, 1e-5)}
GIB = 1 << 30
GROWTH = 1.1  # of the cost per row: what counts as noise
LONG_RUNS = (100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True, slots=True)
class Bar:
    """A target, the figure, and the verdict; None where it is only reported or missing."""

    claim: str
    measured: str
    met: bool | None


def judge(results: Results) -> list[Bar]:
    """Return all bars in the order of the page."""
    return [
        _faster(results, MINILM, AUTO, BASELINE, 8.0),
        _faster(results, MINILM, AUTO, results.best_peer(MINILM), 1.1),
        _faster_within_the_gate(results, MINILM),
        _faster(results, MINILM, FP32, results.best_peer(MINILM, "fp32"), 1.0),
        _faster(results, GPT2, AUTO, results.best_peer(GPT2), 1.1),
        _faster_within_the_gate(results, GPT2),
        *_answers(results),
        _memory(results),
        _other_stages(results),
        _start(results),
        _growth(results),
        _gemm_share(results),
        _spread(results),
    ]


def as_times(spread: Spread) -> str:
    """Write a ratio and its interval."""
    return f"{spread.median:.2f}x ({spread.low:.2f} to {spread.high:.2f})"


def _faster_within_the_gate(results: Results, model: Model) -> Bar:
    """Only report the best peer among those whose answers are within our gate."""
    claim = f"{model.name}, {option(AUTO)}: times the best peer whose answers are within our gate"
    bar = _faster(results, model, AUTO, results.best_peer(model, within=GATES[AUTO]), 1.1)
    return replace(bar, claim=claim, met=None)


def _faster(
    results: Results, model: Model, ours: Contender, peer: Contender | None, times: float
) -> Bar:
    """Demand a median ratio, and where it is above 1 that the whole interval is, too."""
    who = "the transformers pipeline" if peer is BASELINE else "the best peer of any kind"
    if ours is FP32 and peer is not BASELINE:
        who = "the best fp32 peer"
    claim = f"{model.name}, {option(ours)}: at least {times:g}x {who}"
    rates = results.rates(model, ours)
    if peer is None or not rates or not results.rates(model, peer):
        return Bar(claim, "not measured", None)
    ratio = ratios(rates, results.rates(model, peer))
    met = ratio.median >= times and (times <= 1 or ratio.low > 1)
    return Bar(claim, f"{as_times(ratio)}, {peer.title}", met)


def option(ours: Contender) -> str:
    """Name one of ours."""
    return f"`--precision {ours.settings['precision']}`"


def _answers(results: Results) -> Iterator[Bar]:
    """Yield the gates of the answers: the worst run counts."""
    for ours, gate in GATES.items():
        for model in (MINILM, GPT2):
            claim = (
                f"{model.name}, {option(ours)}: labels agree for at least {gate.agreement:.1%}, "
                f"probabilities within {gate.difference:g}"
            )
            runs = results.cell(results.main(model, ours))
            if not runs:
                yield Bar(claim, "not measured", None)
                continue
            agreed = min(run["agreement"] for run in runs)
            furthest = max(run["max_difference"] for run in runs)
            yield Bar(claim, f"{agreed:.3%}, {furthest:.1e}", gate.admits(runs))


def _memory(results: Results) -> Bar:
    claim = f"{MINILM.name}: peak memory under 1 GiB however long the file"
    runs = [run for ours in (AUTO, FP32) for run in results.cell(results.main(MINILM, ours))]
    long = [results.records[name] for name in map(long_run, LONG_RUNS) if name in results.records]
    if not runs or not long:
        return Bar(claim, "not measured", None)
    model, stub = (max(run["peak_bytes"] for run in each) for each in (runs, long))
    measured = f"{model / 2**20:,.0f} MiB; {stub / 2**20:,.0f} MiB with a stub and a long file"
    return Bar(claim, measured, max(model, stub) < GIB)


def other_share(run: dict[str, Any]) -> float:
    """Return the share of a run's time, once it has a model, in which no model ran."""
    return 1.0 - float(run["phases"]["score"] / run["phases"]["total"])


def _other_stages(results: Results) -> Bar:
    claim = f"{MINILM.name}, {option(AUTO)}: stages other than inference under 5 % of the time"
    runs = results.cell(results.main(MINILM, AUTO))
    if not runs:
        return Bar(claim, "not measured", None)
    shares = spread([100 * other_share(run) for run in runs])
    measured = f"{shares.median:.1f} % ({shares.low:.1f} to {shares.high:.1f})"
    return Bar(claim, measured, shares.median < 5)


def _start(results: Results) -> Bar:
    claim = "1,000 rows take at most twice their inference time plus the import of onnxruntime"
    runs = results.cell(Cell(MINILM, AUTO, START_ROWS, results.threads))
    steps = results.numbered("startup/steps")
    if not runs or not steps:
        return Bar(claim, "not measured", None)
    seconds = median(run["seconds"] for run in runs)
    allowed = 2 * median(run["phases"]["score"] for run in runs)
    allowed += median(step["import onnxruntime"] for step in steps)
    return Bar(claim, f"{seconds:.2f} s of {allowed:.2f} s", seconds <= allowed)


def _spread(results: Results) -> Bar:
    claim = f"Ray's steady state: at least {SHARE:.0%} of the local engine's tweets per second"
    local, ray = (rates(results, layout) for layout in (LOCAL, "ray"))
    if not local or not ray:
        return Bar(claim, "not measured", None)
    share = ratios(ray, local)
    measured = f"{share.median:.0%} ({share.low:.0%} to {share.high:.0%})"
    return Bar(claim, measured, share.median >= SHARE)


def long_run(rows: int) -> str:
    """Name the record of a run through the stub."""
    return f"scaling/stub/{rows}"


def _growth(results: Results) -> Bar:
    claim = "the cost per row does not grow with the file, from 100,000 rows to 10 million"
    names = [long_run(rows) for rows in LONG_RUNS]
    if not all(name in results.records for name in names):
        return Bar(claim, "not measured", None)
    costs = [
        1e6 * results.records[name]["seconds"] / rows
        for name, rows in zip(names, LONG_RUNS, strict=True)
    ]
    measured = " / ".join(f"{cost:.2f}" for cost in costs) + " microseconds per row, with a stub"
    return Bar(claim, measured, costs[-1] <= GROWTH * costs[0])


def gemm_shares(results: Results, model: Model, ours: Contender) -> dict[str, float]:
    """Return the share of each measured peak that the useful dense operations reach."""
    runs = results.cell(results.main(model, ours))
    limits = results.records.get(f"limits/{model.name}")
    if not runs or not limits:
        return {}
    achieved = median(
        model.dense_flops(run["tokens"], run["rows"]) / run["seconds"] for run in runs
    )
    return {name: achieved / peak for name, peak in limits["gemm"].items()}


def _gemm_share(results: Results) -> Bar:
    claim = f"{MINILM.name}, {option(AUTO)}: share of the measured bf16 peak (aim: 50 %)"
    share = gemm_shares(results, MINILM, AUTO).get("bf16")
    return Bar(claim, "not measured" if share is None else f"{share:.0%}", None)
