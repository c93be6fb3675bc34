"""The section of the page about files that are spread over workers, and its bar. Pure."""

from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Results, ratios, spread
from benchmarks.markdown import table

LOCAL = "local"
#: What is measured, by the words that follow --engine.
LAYOUTS = {
    LOCAL: "local",
    "ray": "ray, an actor per core",
    "ray --threads 2": "ray, an actor with two threads",
}
SHARE = 0.85  # of the local engine's steady state: what Ray is to keep


def record(layout: str) -> str:
    """Name the records of a layout."""
    return f"spread/{layout.replace(' ', '-')}"


def rates(results: Results, layout: str) -> list[float]:
    """Return the tweets per second of each round, from the first file's start to the last's end."""
    runs = [run for run in results.numbered(record(layout)) if "error" not in run]
    return [run["rows"] / run["steady_seconds"] for run in runs]


def section(results: Results) -> Iterator[str]:
    """Yield the lines of the section; none if nothing was measured."""
    local = results.numbered(record(LOCAL))
    if not local:
        return
    yield from ("## Spread by Ray", "")
    yield (
        f"{local[0]['rows']:,} tweets in {local[0]['files']} Parquet files, `--precision auto`, on "
        "the same CPUs. The steady state is from the start of the first file, when its model is "
        "loaded, to the end of the last; what the process takes beyond that is listed apart: with "
        "Ray it includes starting a cluster on this box, and ending it."
    )
    yield ""
    yield from table(
        "| `--engine` | rounds | tweets/s | of the local engine's | start and end, s |",
        *(_row(results, layout) for layout in LAYOUTS if results.numbered(record(layout))),
    )


def _row(results: Results, layout: str) -> str:
    known = rates(results, layout)
    if not known:
        reason = results.numbered(record(layout))[0]["error"]
        return f"| {LAYOUTS[layout]} | {reason} | | | |"
    rate, share = spread(known), ratios(known, rates(results, LOCAL))
    around = median(
        run["seconds"] - run["steady_seconds"]
        for run in results.numbered(record(layout))
        if "error" not in run
    )
    of_local = (
        "" if layout == LOCAL else f"{share.median:.0%} ({share.low:.0%} to {share.high:.0%})"
    )
    return (
        f"| {LAYOUTS[layout]} | {len(known)} | {rate.median:,.0f} ({rate.low:,.0f} to "
        f"{rate.high:,.0f}) | {of_local} | {around:.1f} |"
    )
