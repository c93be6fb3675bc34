"""Charts as SVG that is part of the page: Altair says what is drawn, vl-convert draws it.

No script is left to run in the browser. Colours are the page's variables, so that they follow
its light or dark scheme; each chart is drawn twice, for a screen and for a phone, because text
in a picture that is made smaller cannot be read.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scorer.report.statistics import BINS, RELIABILITY_BINS, Counts, Truth

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 640, 300  # pixels of the plots, axes not included
COLOURS = 8  # that the page has for labels
_BAR = 30  # pixels of height for each bar that lies
_LONGEST = 16  # characters of a label in a chart


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart in two sizes; SVG."""

    wide: str
    narrow: str


Rows = Sequence[Mapping[str, Any]]
Drawn = Callable[["alt.Data", int], "alt.Chart | alt.LayerChart | alt.VConcatChart"]


def colour(number: int) -> str:
    """Return the variable of the page that holds a label's colour."""
    return f"var(--label-{number % COLOURS})"


def shares(labels: Sequence[str], rows: Sequence[int]) -> Chart:
    """Draw a bar for each label, as long as its share of the rows."""
    total = max(sum(rows), 1)
    values = [
        {
            "label": _short(label),
            "share": count / total,
            "words": f"{count / total:.1%}",
            "colour": colour(i),
        }
        for i, (label, count) in enumerate(zip(labels, rows, strict=True))
    ]
    return _draw(values, lambda data, width: _lying_bars(data, width, "share", ".0%"))


def seconds(stages: Mapping[str, float]) -> Chart:
    """Draw a bar for each stage of a run, as long as its seconds."""
    values = [
        {"label": name, "seconds": value, "words": f"{value:,.2f} s", "colour": "var(--accent)"}
        for name, value in stages.items()
    ]
    return _draw(values, lambda data, width: _lying_bars(data, width, "seconds", ",~g"))


def _lying_bars(data: "alt.Data", width: int, field: str, form: str) -> "alt.LayerChart":
    import altair as alt

    bars = (
        alt.Chart(data)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=_words_axis()),
            x=alt.X(f"{field}:Q", title=None, axis=alt.Axis(format=form, tickCount=5)),
            color=alt.Color("colour:N", scale=None),
        )
    )
    words = bars.mark_text(align="left", dx=6).encode(text="words:N", color=alt.value("var(--ink)"))
    # Room for the words that stand behind the longest bar.
    return alt.layer(bars, words).properties(width=width - 130, height=alt.Step(_BAR))


def scores(labels: Sequence[str], histogram: Counts) -> Chart:
    """Draw how many rows have a score of each size, label upon label.

    Args:
        labels: Their names.
        histogram: Rows, shape [labels, BINS].
    """
    return _draw(_stacked(labels, histogram, np.arange(BINS + 1) / BINS), _standing_bars)


def _stacked(labels: Sequence[str], counts: Counts, edges: Any) -> list[dict[str, Any]]:
    return [
        {
            "from": float(edges[i]),
            "to": float(edges[i + 1]),
            "label": _short(label),
            "order": number,
            "rows": int(row[i]),
            "colour": colour(number),
        }
        for number, (label, row) in enumerate(zip(labels, counts, strict=True))
        for i in np.flatnonzero(row).tolist()
    ]


def _standing_bars(data: "alt.Data", width: int) -> "alt.Chart":
    import altair as alt

    return (
        alt.Chart(data)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title="score", scale=alt.Scale(domain=[0, 1])),
            x2="to:Q",
            y=alt.Y(
                "rows:Q", title="rows", axis=alt.Axis(format=",~s", tickCount=5, tickMinStep=1)
            ),
            color=alt.Color("colour:N", scale=None),
            order="order:Q",
        )
        .properties(width=width - 60, height=220)
    )


def reliability(truth: Truth) -> Chart:
    """Draw how often labels are right beside how sure the model was."""
    values = [
        {
            "score": float(truth.bin_scores[i] / truth.bin_rows[i]),
            "right": float(truth.bin_right[i] / truth.bin_rows[i]),
            "rows": int(truth.bin_rows[i]),
        }
        for i in range(RELIABILITY_BINS)
        if truth.bin_rows[i]
    ]
    return _draw(values, _beside_the_diagonal)


def _beside_the_diagonal(data: "alt.Data", width: int) -> "alt.LayerChart":
    import altair as alt

    whole = alt.Scale(domain=[0, 1])
    percent = alt.Axis(format=".0%", tickCount=5)
    ends = alt.Data(values=[{"score": 0, "right": 0}, {"score": 1, "right": 1}])
    x = alt.X("score:Q", scale=whole, axis=percent, title="mean score")
    y = alt.Y("right:Q", scale=whole, axis=percent, title="labels that are right")
    diagonal = alt.Chart(ends).mark_line(strokeDash=[4, 4], color="var(--faint)").encode(x=x, y=y)
    line = alt.Chart(data).mark_line(color="var(--accent)").encode(x=x, y=y)
    points = (
        alt.Chart(data)
        .mark_circle(color="var(--accent)", opacity=1)
        .encode(x=x, y=y, size=alt.Size("rows:Q", legend=None, scale=alt.Scale(range=[30, 300])))
    )
    side = min(width - 70, 340)
    return alt.layer(diagonal, line, points).properties(width=side, height=side)


def trend(labels: Sequence[str], days: Mapping[str, Sequence[int]]) -> Chart:
    """Draw each label's share by day, and under it the rows by day.

    Args:
        labels: Their names.
        days: Rows of each label by ISO day, at least one day.
    """
    values = [
        {
            "day": day,
            "label": _short(label),
            "order": i,
            "rows": count,
            "share": count / max(sum(rows), 1),
            "colour": colour(i),
        }
        for day, rows in days.items()
        for i, (label, count) in enumerate(zip(labels, rows, strict=True))
    ]
    first, last = (np.datetime64(day) for day in (min(days), max(days)))
    span = int((last - first) // np.timedelta64(1, "D")) + 1
    return _draw(values, lambda data, width: _lines_over_bars(data, width, span))


def _lines_over_bars(data: "alt.Data", width: int, span: int) -> "alt.VConcatChart":
    import altair as alt

    ticks = max(1, min(span, width // 110))
    form = "%b %-d" if span < 365 else "%b %Y"
    day = alt.X(
        "day:T",
        scale=alt.Scale(type="utc"),
        title=None,
        axis=alt.Axis(
            format=form, tickCount={"interval": "day", "step": 1} if span <= ticks else ticks
        ),
    )
    tinted = alt.Color("colour:N", scale=None)
    share = alt.Y("share:Q", title="share", axis=alt.Axis(format=".0%", tickCount=5))
    lines = (
        alt.Chart(data)
        .mark_line(point=alt.OverlayMarkDef(filled=True, size=30) if span <= 62 else False)
        .encode(x=day, y=share, color=tinted, detail="label:N")
        .properties(width=width - 60, height=200)
    )
    bars = (
        alt.Chart(data)
        .mark_bar(width=max(1, min(24, (width - 60) * 0.8 / span)))
        .encode(
            x=day,
            y=alt.Y(
                "rows:Q", title="rows", axis=alt.Axis(format=",~s", tickCount=3, tickMinStep=1)
            ),
            color=tinted,
            order="order:Q",
        )
        .properties(width=width - 60, height=90)
    )
    return alt.vconcat(lines, bars, spacing=16)


def shares_moved(labels: Sequence[str], before: Sequence[int], now: Sequence[int]) -> Chart:
    """Draw each label's share of the earlier rows over that of the later ones."""
    values = [
        {
            "label": _short(label),
            "run": run,
            "share": counts[i] / max(sum(counts), 1),
            "words": f"{counts[i] / max(sum(counts), 1):.1%}",
            "colour": colour(i),
            "opacity": opacity,
        }
        for i, label in enumerate(labels)
        for run, counts, opacity in (("before", before, 0.45), ("now", now, 1.0))
    ]
    return _draw(values, _paired_bars)


def _paired_bars(data: "alt.Data", width: int) -> "alt.LayerChart":
    import altair as alt

    bars = (
        alt.Chart(data)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=_words_axis()),
            yOffset=alt.YOffset("run:N", sort=None),
            x=alt.X("share:Q", title=None, axis=alt.Axis(format=".0%", tickCount=5)),
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
        )
    )
    words = bars.mark_text(align="left", dx=6, fontSize=11).encode(
        text=alt.Text("words:N"), color=alt.value("var(--ink)"), opacity=alt.value(1)
    )
    return alt.layer(bars, words).properties(width=width - 130, height=alt.Step(20))


def _words_axis() -> "alt.Axis":
    import altair as alt

    return alt.Axis(ticks=False, domain=False, grid=False, labelPadding=8, labelLimit=120)


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


def _draw(values: Rows, drawn: Drawn) -> Chart:
    import altair as alt

    data = alt.Data(values=list(values))
    return Chart(_svg(drawn(data, WIDE)), _svg(drawn(data, NARROW)))


def _svg(chart: "alt.Chart | alt.LayerChart | alt.VConcatChart") -> str:
    """Return the drawing with what makes it fit: no size of its own, only proportions."""
    import altair as alt
    import vl_convert

    styled = (
        chart.configure(background="transparent", font=_FONT, padding=2)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="var(--muted)",
            titleColor="var(--muted)",
            gridColor="var(--rule)",
            domainColor="var(--rule)",
            tickColor="var(--rule)",
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
        )
        .configure_text(font=_FONT, fontSize=12)
    )
    version = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    drawing: str = vl_convert.vegalite_to_svg(json.dumps(styled.to_dict()), vl_version=version)
    return re.sub(r"^<svg ", '<svg focusable="false" ', drawing)


_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"
