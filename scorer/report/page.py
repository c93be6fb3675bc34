"""Findings to one HTML file: the words and numbers of the page, and the template's rules."""

import functools
import os
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from scorer.hints import counted
from scorer.monitor.versions import tweetscore_version
from scorer.report import charts
from scorer.report.changes import MOST_CHANGES
from scorer.report.drawing import COLOURS, Chart
from scorer.report.outputs import Opened
from scorer.report.page_contents import LabelFindings, ValueFindings
from scorer.report.statistics import BINS, RELIABILITY_BINS
from scorer.report.values import QUANTILES, Distribution

if TYPE_CHECKING:
    import jinja2

MARKER = "<!-- written by tweetscore report -->"
_EPOCH = date(1970, 1, 1)
_MOST_DAYS = 400  # from the first to the last; beyond, months
_SEMANTIC = {"negative", "neutral", "positive"}


Found = LabelFindings | ValueFindings


def render(findings: Found) -> str:
    """Return the page."""
    return _templates().get_template("page.html").render(_words(findings))


@functools.cache  # compiling them takes a tenth of a page's time
def _templates() -> "jinja2.Environment":
    import jinja2

    templates = resources.files(__package__).joinpath("templates")
    environment = jinja2.Environment(
        autoescape=True,  # names, labels and texts are not trusted
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FunctionLoader(lambda name: templates.joinpath(name).read_text("utf-8")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"counted": counted, "whole": "{:,}".format, "percent": _percent}
    environment.filters |= {"points": lambda part: f"{100 * part:.1f} percentage points"}
    environment.filters |= {"decimal": _decimal, "name": _name, "duration": _duration}
    environment.filters |= {"value": _value}
    return environment


def _words(found: Found) -> dict[str, Any]:
    """Return what the template calls by name."""
    labels, seconds = found.outputs[0].labels, _seconds(found.outputs)
    own = _label_words(found) if isinstance(found, LabelFindings) else _value_words(found)
    timed = charts.seconds({k: v for k, v in seconds.items() if k != "total"})
    return own | {
        "marker": MARKER,
        "version": tweetscore_version(),
        "labels": labels,
        "colours": COLOURS,
        "semantic": set(labels) == _SEMANTIC,
        "found": found,
        "counters": _sums(found.outputs),
        "seconds": seconds,
        "most_changes": MOST_CHANGES,
        "warnings": [text for each in found.outputs for text in each.report.warnings],
        "charts": {**own["charts"], "seconds": timed},
    }


def _label_words(found: LabelFindings) -> dict[str, Any]:
    unit, periods = _periods(found.statistics.days)
    return {
        "kind": "labels",
        "statistics": found.statistics,
        "lists": found.lists,
        "threshold": " or ".join(sorted({f"{each.threshold:g}" for each in found.outputs})),
        "unit": unit,
        "periods": periods,
        "edges": {"scores": BINS, "reliability": RELIABILITY_BINS},
        "charts": _charts(found),
    }


def _value_words(found: ValueFindings) -> dict[str, Any]:
    values = found.values
    drawn: dict[str, Chart] = {}
    if values.low < values.high:  # of one value there is nothing to see
        name = found.outputs[0].labels[0]
        drawn["spread"] = charts.values(name, values.edges, values.histogram)
    unit, periods = _periods(found.days.days)
    return {
        "kind": "values",
        "values": values,
        "summary": _summary(values),
        "earlier": _summary(found.comparison.before) if found.comparison else {},
        "unit": unit,
        "periods": periods,
        "charts": drawn,
    }


def _summary(values: Distribution) -> dict[str, float | None]:
    """Return what a table says of values, None where there are none."""
    ends = {"mean": values.mean, "lowest": values.low}
    quantiles = {f"{share:.0%}": values.quantiles.get(share) for share in QUANTILES}
    found = {**ends, **quantiles, "highest": values.high}
    return found if values.rows else dict.fromkeys(found)


def _sums(outputs: Sequence[Opened]) -> dict[str, int]:
    counters = [each.report.counters.as_json() for each in outputs]
    return {name: sum(each[name] for each in counters) for name in counters[0]}


def _seconds(outputs: Sequence[Opened]) -> dict[str, float]:
    """Add up the stages of all runs, `total` last."""
    sums: dict[str, float] = {}
    for output in outputs:
        for stage, seconds in output.report.seconds.items():
            sums[stage] = sums.get(stage, 0.0) + seconds
    return {**{k: v for k, v in sums.items() if k != "total"}, "total": sums.get("total", 0.0)}


def _periods(days: Mapping[int, NDArray[Any]]) -> tuple[str, dict[str, list[Any]]]:
    """Return `day`, or `month` for many days, and by it the sums of what was counted by day."""
    span = max(days) - min(days) if days else 0
    unit = "day" if span <= _MOST_DAYS else "month"
    sums: dict[str, NDArray[Any]] = {}
    for number, counts in days.items():
        day = _EPOCH + timedelta(days=number)
        name = (day if unit == "day" else day.replace(day=1)).isoformat()
        sums[name] = counts + sums.get(name, 0)
    return unit, {name: counts.tolist() for name, counts in sums.items()}


def _charts(found: LabelFindings) -> dict[str, Chart]:
    """Draw what there is something to draw of."""
    labels, statistics = found.outputs[0].labels, found.statistics
    drawn: dict[str, Chart] = {}
    if statistics.scored:
        drawn["shares"] = charts.shares(labels, statistics.per_label.tolist())
        drawn["scores"] = charts.scores(labels, statistics.histogram)
    if statistics.truth.rows:
        drawn["reliability"] = charts.reliability(statistics.truth)
    unit, counts = _periods(statistics.days)
    if len(counts) > 1:  # of one day there is nothing to see
        scored = {day: rows[:-1] for day, rows in counts.items()}
        drawn["trend"] = charts.trend(labels, scored, days=1 if unit == "day" else 30)
    if found.comparison:
        both = found.comparison.before.tolist(), found.comparison.now.tolist()
        drawn["moved"] = charts.shares_moved(found.comparison.labels, *both)
    return drawn


def _percent(part: float, whole: float = 1.0) -> str:
    return f"{part / whole:.1%}" if whole else "\u2013"


def _decimal(number: float, digits: int = 3) -> str:
    return f"{number:.{digits}f}"


def _value(number: float | None) -> str:
    """Return a number of any size in six digits."""
    return "\u2013" if number is None else f"{number:,.6g}"


def _duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 1 else f"{seconds:.1f} s"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s"


def _name(path: str | Path) -> str:
    """Return a file's name alone: the page does not show its directory."""
    return os.fsencode(Path(path).name).decode("utf-8", "replace")
