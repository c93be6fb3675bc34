"""The tables of docs/scaling.md: from our own records, published figures and the simulation.

    python -m benchmarks.scaling_page

Pure but for `write`. What is published by others is typed in here, with where it was found.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import bars, page, simulation
from benchmarks.cells import MINILM
from benchmarks.figures import Results
from benchmarks.markdown import table

PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"
ROW_BYTES = 100  # of a tweet with its id and time, as it lies in a file
PASSES = 3  # an input is read twice, its output is written once

# What was found, by the numbers of the page's list of sources.
PER_CORE_PAIR = 0.0816  # $/h of two vCPUs: m7g.large [1]
PER_A10G = 1.006  # $/h: g5.xlarge [1]
H100 = (1.99, 5.00)  # $/h: the least and the greatest price [2]
V100_SENTENCES = 14_200.0  # per second, a model of the same shape [3]
H100_PEAK = 989e12  # operations per second in fp16, dense [4]
H100_SHARE = 0.1  # of that peak: our guess; two CPU cores reach half of theirs


@dataclass(frozen=True, slots=True)
class Device:
    """A row of the table of costs."""

    title: str
    rate: float  # tweets per second
    dollars: float  # per hour
    basis: str

    def row(self) -> str:
        """Return its row of the table."""
        per_million = self.dollars / 3600 / self.rate * 1e6
        return (
            f"| {self.title} | {self.rate:,.0f} | {self.dollars:,.4g} | {per_million:.3f} "
            f"| {1000 * per_million:,.2f} | {1e9 / self.rate / 3600:,.1f} | {self.basis} |"
        )


def our_rate(results: Results) -> float:
    """Return the tweets per second of two cores, whole processes."""
    return median(results.rates(MINILM, bars.AUTO))


def costs(results: Results) -> Iterator[str]:
    """Yield the table of costs per tweet."""
    h100 = H100_SHARE * H100_PEAK / _operations(results)
    devices = [
        Device(
            "two CPU cores, `--precision auto`", our_rate(results), PER_CORE_PAIR,
            "measured by us; price of two other vCPUs [1]",
        ),
        Device(
            "two CPU cores, `--precision fp32`", median(results.rates(MINILM, bars.FP32)),
            PER_CORE_PAIR, "measured by us; price of two other vCPUs [1]",
        ),
        Device(
            "an older GPU", V100_SENTENCES, PER_A10G,
            "published for a V100 [3], price of an A10G [1]; **not measured by us**",
        ),
        *(
            Device(
                f"an H100 at {H100_SHARE:.0%} of its peak, {words} price", h100, price,
                "computed from the peak [4] and a price [2]; **measured by nobody**",
            )
            for words, price in zip(("least", "greatest"), H100, strict=True)
        ),
    ]  # fmt: skip
    yield from table(
        "| device | tweets/s | $ per hour | $ per million | $ per billion | hours for a billion "
        "| on what grounds |",
        *(device.row() for device in devices),
    )


def limits(results: Results) -> Iterator[str]:
    """Yield the table of a node's other resources at each rate."""
    runs = results.cell(results.main(MINILM, bars.AUTO))
    prepared = median(run["rows"] / run["phases"]["prepare"] for run in runs)
    per_core = prepared / results.threads
    h100 = H100_SHARE * H100_PEAK / _operations(results)
    rates = {
        "two CPU cores": our_rate(results),
        "an older GPU": V100_SENTENCES,
        f"an H100 at {H100_SHARE:.0%}": h100,
    }
    yield (
        f"Cleaning and tokenising took {1e6 / per_core:,.0f} microseconds of a core per tweet in "
        f"the measured runs: {per_core:,.0f} tweets/s for each core."
    )
    yield ""
    yield from table(
        "| a node of | cores that prepare texts | MB/s of a node | MB/s of 100 nodes |",
        *(
            f"| {name} | {rate / per_core:.2f} | {rate * ROW_BYTES * PASSES / 1e6:,.1f} "
            f"| {100 * rate * ROW_BYTES * PASSES / 1e6:,.0f} |"
            for name, rate in rates.items()
        ),
    )


def _operations(results: Results) -> float:
    """Return the useful operations of a tweet."""
    about = results.records[f"inputs/{MINILM.name}"]
    return MINILM.dense_flops(about["tokens"], about["rows"]) / float(about["rows"])


def filled(text: str, results: Results) -> str:
    """Return the page with its tables as they should be."""
    tables = {
        "costs": costs(results),
        "limits": limits(results),
        "simulation": simulation.table(round(our_rate(results))),
    }
    for name, lines in tables.items():
        before, begin, rest = text.partition(f"<!-- {name} -->")
        _, end, after = rest.partition("<!-- end -->")
        text = "\n".join([before + begin, *lines, end + after])
    return text


def write() -> None:
    """Bring the page up to date."""
    results = page.read(PAGE.with_name("benchmarks.json"))
    PAGE.write_text(filled(PAGE.read_text("utf-8"), results), encoding="utf-8")


if __name__ == "__main__":
    write()
    sys.stdout.write(f"wrote {PAGE}\n")
