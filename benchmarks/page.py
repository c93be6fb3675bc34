"""The page: records in, Markdown out. Pure but for `write`.

The committed page is what this file makes of the committed records; a test holds the two together.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import bars, cells, spread_page, store
from benchmarks.cells import CONTENDERS, MINILM, MODELS, OURS, START_ROWS, Cell, Contender, Model
from benchmarks.figures import Results, Spread, ratios, spread
from benchmarks.markdown import table
from benchmarks.tuning import BUDGETS

NAME = "benchmarks"
VERDICTS = {True: "yes", False: "**no**", None: ""}


def write(folder: Path, key: Mapping[str, Any], records: Mapping[str, Any]) -> None:
    """Write page, plot and records into a folder."""
    from benchmarks.plot import draw

    (folder / f"{NAME}.json").write_text(store.as_text(key, records), encoding="utf-8")
    results = read(folder / f"{NAME}.json")
    (folder / f"{NAME}.md").write_text(render(results), encoding="utf-8")
    draw(results, folder / f"{NAME}.svg")


def read(path: Path) -> Results:
    """Read records as `write` left them."""
    return Results(**json.loads(path.read_text("utf-8")))


def render(results: Results) -> str:
    """Return the page."""
    sections = [
        _head(results),
        _bars(results),
        *(_table(results, model) for model in MODELS),
        _limits(results),
        _stages(results),
        _start(results),
        _scaling(results),
        spread_page.section(results),
        _versions(results),
    ]
    return "\n\n".join("\n".join(lines) for lines in map(list, sections) if lines) + "\n"


def _head(results: Results) -> Iterator[str]:
    machine = results.key["machine"]
    yield "# Benchmarks"
    yield ""
    yield (
        "Read this page when you want to know how fast tweetscore is beside other programs that "
        "run the same model, and what each of them gives up."
    )
    yield ""
    yield "`make bench` makes this page from [benchmarks.json](benchmarks.json); nobody edits it."
    yield ""
    yield (
        f"One box ({machine['cpu']}; {', '.join(machine['instructions'])}; "
        f"{machine['memory_gib']} GiB), threads for everybody: {machine['threads']}, in "
        "alternation (A B C, A B C). A contender that took more than "
        f"{cells.SLOW_SECONDS:.0f} s in the first round had no other, unless it was tweetscore."
    )
    yield ""
    yield (
        "Every figure is a whole process, from before it is started until it is gone: Parquet "
        "in, Parquet with label, score and the probabilities of all classes out. The peers "
        "get texts that tweetscore has normalised beforehand, outside their time; tweetscore "
        "gets them raw and normalises them in its own. Conversions of the model to a peer's "
        "format are made beforehand, with that engine's own tools, from the same weights. All "
        "cut a text at the same number of tokens. *Sorted* means by number of tokens, in "
        f"batches of at most {', '.join(f'{each:,}' for each in BUDGETS[:-1])} or {BUDGETS[-1]:,} "
        "tokens, padding included: what proved quickest "
        "for this engine and model on this box just before (column *batch*). Only tweetscore "
        "leaves out padding, the last layer's unused rows and equal texts."
    )
    yield ""
    yield (
        "Agreement and difference are against PyTorch in fp32, in batches without padding, at "
        "the temperature of the bundle for both sides. Medians; the least and the greatest "
        "value in brackets. Ratios are of the same round, and their interval is the whole of "
        "it."
    )
    yield ""
    yield f"![Tweets per second]({NAME}.svg)"


def _bars(results: Results) -> Iterator[str]:
    yield from ("## What it is to reach", "")
    yield from table(
        "| | measured | reached |",
        *(f"| {bar.claim} | {bar.measured} | {VERDICTS[bar.met]} |" for bar in bars.judge(results)),
    )


def _table(results: Results, model: Model) -> Iterator[str]:
    about = results.records.get(f"inputs/{model.name}")
    if not about:
        return
    yield f"## {model.title[0].upper()}{model.title[1:]}"
    yield ""
    yield (
        f"{about['rows']:,} tweets, {about['tokens'] / about['rows']:.1f} tokens each, "
        f"{about['rows'] - about['distinct']} of them equal to another."
    )
    yield ""
    times = " | ".join(f"{bars.option(ours)} is" for ours in OURS)
    yield from table(
        "| | rounds | batch | tweets/s | tokens/s | padding | labels agree | largest difference "
        f"| peak MiB | one row, s | {times} |",
        *(_table_row(results, model, each, about["tokens"]) for each in CONTENDERS.values()),
    )


def _table_row(results: Results, model: Model, contender: Contender, tokens: int) -> str:
    cell = results.main(model, contender)
    runs, rates = results.cell(cell), results.rates(model, contender)
    if not runs:
        reason = results.error(cell) or "not measured"
        return f"| {contender.title} | {reason} |" + " |" * (8 + len(OURS))
    rate = spread(rates)
    cold = results.cell(Cell(model, contender, 1, results.threads))
    cells = [
        contender.title,
        str(len(runs)),
        f"{runs[0]['budget']:,}" if "budget" in runs[0] else "",
        f"{rate.median:,.0f} ({rate.low:,.0f} to {rate.high:,.0f})",
        f"{rate.median * tokens / cell.rows:,.0f}",
        f"{1 - runs[0]['tokens'] / runs[0]['padded']:.1%}",
        f"{min(run['agreement'] for run in runs):.3%}",
        f"{max(run['max_difference'] for run in runs):.1e}",
        f"{max(run['peak_bytes'] for run in runs) / 2**20:,.0f}",
        f"{cold[0]['seconds']:.2f}" if cold else "",
        *(_times(results.rates(model, ours), rates, ours is contender) for ours in OURS),
    ]
    return f"| {' | '.join(cells)} |"


def _times(ours: list[float], theirs: list[float], is_same: bool) -> str:
    return "" if is_same or not ours else bars.as_times(ratios(ours, theirs))


def _limits(results: Results) -> Iterator[str]:
    measured = [model for model in MODELS if f"limits/{model.name}" in results.records]
    if not measured:
        return
    yield from ("## The machine's limits", "")
    yield (
        "Matrix products alone, at the shapes of a layer, against the useful products of "
        "tweetscore's run: those of the pruned model on real tokens, over the time of the "
        "whole process."
    )
    for model in measured:
        found = results.records[f"limits/{model.name}"]
        yield ""
        shares = {ours: bars.gemm_shares(results, model, ours) for ours in OURS}
        yield from table(
            f"| {model.name} | limit | " + " | ".join(map(bars.option, OURS)) + " |",
            *(
                f"| products in {name} | {peak / 1e12:.2f} T/s | "
                + " | ".join(f"{shares[ours][name]:.0%}" if shares[ours] else "" for ours in OURS)
                + " |"
                for name, peak in found["gemm"].items()
            ),
            *(
                _share_row(results, model, name)
                for name in ("tokenizer", "parquet_read", "parquet_write")
            ),
        )


def _share_row(results: Results, model: Model, name: str) -> str:
    limit = results.records[f"limits/{model.name}"][name]
    rates = [results.rates(model, ours) for ours in OURS]
    shares = " | ".join(f"{median(rate) / limit:.1%}" if rate else "" for rate in rates)
    return f"| {name.replace('_', ' ')} | {limit:,.0f} tweets/s | {shares} |"


def _stages(results: Results) -> Iterator[str]:
    runs = {ours: results.cell(results.main(MINILM, ours)) for ours in OURS}
    if not any(runs.values()):
        return
    yield from ("## Where the time of a run goes", "")
    yield (
        f"Seconds of {results.rows(MINILM):,} tweets, from tweetscore's own run report. "
        "Reading and preparing the next window overlap with scoring this one, so that only "
        "what is left over costs time."
    )
    yield ""
    names = ("load", "read", "prepare", "score", "keep", "publish")
    yield from table(
        f"| | on | {' | '.join(names)} | process | other than inference, once loaded |",
        *(
            f"| {bars.option(ours)} | {_where(each[0])} | "
            + " | ".join(_seconds([run["phases"].get(name, 0.0) for run in each]) for name in names)
            + f" | {_seconds([run['seconds'] for run in each])} | "
            + _percent(spread([bars.other_share(run) for run in each]))
            + " |"
            for ours, each in runs.items()
            if each
        ),
    )


def _where(run: Mapping[str, Any]) -> str:
    runtime = run["runtime"]
    return f"{runtime['provider']}, {runtime['precision']}"


def _seconds(values: list[float]) -> str:
    return f"{median(values):.2f}"


def _percent(share: Spread) -> str:
    return f"{share.median:.1%} ({share.low:.1%} to {share.high:.1%})"


def _start(results: Results) -> Iterator[str]:
    steps = results.numbered("startup/steps")
    runs = results.cell(Cell(MINILM, bars.AUTO, START_ROWS, results.threads))
    python = results.numbered("startup/python")
    if not steps or not runs:
        return
    yield from ("## The start of a run", "")
    yield (
        f"`tweetscore run` on {START_ROWS:,} tweets. What is before the first row was timed "
        "step by step in a fresh process, with every file in the page cache; a run has some of "
        "these beside each other. What is after the first row is from the run report: the canary "
        "goes through the model in the batches of these tweets, and *score* is both."
    )
    yield ""
    before = {"start Python": median(each["seconds"] for each in python)}
    before |= {name: median(step[name] for step in steps) for name in steps[0]}
    after = {
        name: median(run["phases"].get(name, 0.0) for run in runs)
        for name in ("read", "prepare", "score", "keep", "publish")
    }
    whole = median(run["seconds"] for run in runs)
    yield from table(
        "| step | milliseconds |",
        *(f"| {name} | {1000 * seconds:,.0f} |" for name, seconds in (before | after).items()),
        f"| whole process | {1000 * whole:,.0f} |",
    )


def _scaling(results: Results) -> Iterator[str]:
    threads = results.cell(results.main(MINILM, bars.AUTO, 1))
    known = [rows for rows in bars.LONG_RUNS if bars.long_run(rows) in results.records]
    if not threads and not known:
        return
    yield from ("## More threads, more rows", "")
    if results.threads > 1 and threads and results.rates(MINILM, bars.AUTO):
        one = threads[0]["rows"] / threads[0]["seconds"]
        all_threads = median(results.rates(MINILM, bars.AUTO))
        yield (
            f"{bars.option(bars.AUTO)} on one thread: {one:,.0f} tweets/s; on {results.threads}: "
            f"{all_threads:,.0f}, {all_threads / one:.2f}x."
        )
        yield ""
    yield "From 100,000 rows on a stub stands in for the model: the cost is that of all the rest."
    yield ""
    yield from table(
        "| rows | model | seconds | microseconds per row | peak MiB | bytes that a row adds |",
        *_model_rows(results),
        *(
            _long_row(rows, "a stub", record, f"{record['slope']:+.2f}")
            for rows in known
            for record in [results.records[bars.long_run(rows)]]
        ),
    )


def _model_rows(results: Results) -> Iterator[str]:
    for rows in sorted({START_ROWS, 10_000, results.rows(MINILM)}):
        runs = results.cell(Cell(MINILM, bars.AUTO, rows, results.threads))
        if runs:
            middle = sorted(runs, key=lambda run: float(run["seconds"]))[len(runs) // 2]
            yield _long_row(rows, MINILM.name, middle, "")


def _long_row(rows: int, model: str, record: Mapping[str, Any], slope: str) -> str:
    seconds, peak = record["seconds"], record["peak_bytes"] / 2**20
    cost = 1e6 * seconds / rows
    return f"| {rows:,} | {model} | {seconds:.2f} | {cost:,.2f} | {peak:,.0f} | {slope} |"


def _versions(results: Results) -> Iterator[str]:
    yield from ("## Versions", "")
    versions = results.key["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"{named}; Linux {results.key['machine']['kernel']}. Code: {results.key['code']}."
    yield ""
    yield (
        "OpenVINO's peer reads Optimum's graph; CTranslate2 has no classifiers: BERT's head "
        "is a product in numpy, and for GPT-2 the classifier stands in the place of the "
        "vocabulary's matrix. Peers that need a server or another environment "
        "(text-embeddings-inference, infinity, vLLM) are not here."
    )
