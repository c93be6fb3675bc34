"""What each chart of the page shows; Altair says how.

Altair and vl-convert rather than a library of the browser's: the page needs no script, so it is
small, can forbid scripts, and follows the reader's light or dark scheme by its style sheet.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scorer.report import drawing
from scorer.report.statistics import BINS, RELIABILITY_BINS, Counts, Truth

if TYPE_CHECKING:
    import altair as alt

_BAR = 30  # pixels of height for each bar that lies


def shares(labels: Sequence[str], rows: Sequence[int]) -> drawing.Chart:
    """Draw a bar for each label, as long as its share of the rows."""
    total = max(sum(rows), 1)
    values = [
        {
            "label": label,
            "share": count / total,
            "words": f"{count / total:.1%}",
            "colour": drawing.colour(i),
        }
        for i, (label, count) in enumerate(zip(drawing.short(labels), rows, strict=True))
    ]
    return drawing.draw(
        values, lambda data, width: _lying_bars(data, width, "share", drawing.percent(width))
    )


def seconds(stages: Mapping[str, float]) -> drawing.Chart:
    """Draw a bar for each stage of a run, as long as its seconds."""
    values = [
        {"label": name, "seconds": value, "words": _seconds(value), "colour": "var(--accent)"}
        for name, value in stages.items()
    ]
    return drawing.draw(
        values, lambda data, width: _lying_bars(data, width, "seconds", drawing.ticks(width))
    )


def _seconds(value: float) -> str:
    return f"{value:,.2f} s" if value >= 0.1 else f"{value:.3f} s"


def _lying_bars(
    data: "alt.InlineData", width: int, field: str, axis: "alt.Axis"
) -> "alt.TopLevelMixin":
    import altair as alt

    bars = (
        alt.Chart(data)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=drawing.names(data)),
            x=alt.X(f"{field}:Q", title=None, axis=axis, stack=None),
            color=alt.Color("colour:N", scale=None),
        )
    )
    words = bars.mark_text(align="left", dx=6).encode(text="words:N", color=alt.value("var(--ink)"))
    # Space for the words that stand behind the longest bar.
    return alt.layer(bars, words).properties(
        width=width - 60 - drawing.extent(data), height=alt.Step(_BAR)
    )


def scores(labels: Sequence[str], histogram: Counts) -> drawing.Chart:
    """Draw how many rows, [labels, BINS], have a score of each size, label upon label."""
    import altair as alt

    stacked = _stacked(labels, histogram, np.arange(BINS + 1) / BINS)

    def drawn(data: alt.InlineData, width: int) -> alt.TopLevelMixin:
        step = 1 if width == drawing.WIDE else 2
        tenths = alt.Axis(format=".1f", values=[i / 10 for i in range(0, 11, step)])
        return _standing_bars(data, width, "score", (0, 1), tenths)

    return drawing.draw(stacked, drawn)


def values(name: str, edges: NDArray[np.float64], histogram: Counts) -> drawing.Chart:
    """Draw how many rows, [BINS], have a value between each two edges, [BINS + 1], rising."""
    bars = [
        {**each, "order": 0, "colour": "var(--accent)"}
        for each in _stacked([name], histogram[None], edges)
    ]
    ends = float(edges[0]), float(edges[-1])
    return drawing.draw(
        bars,
        lambda data, width: _standing_bars(data, width, "value", ends, drawing.ticks(width)),
    )


def _stacked(labels: Sequence[str], counts: Counts, edges: Any) -> list[dict[str, Any]]:
    return [
        {
            "from": float(edges[i]),
            "to": float(edges[i + 1]),
            "label": label,
            "order": number,
            "rows": int(row[i]),
            "colour": drawing.colour(number),
        }
        for number, (label, row) in enumerate(zip(drawing.short(labels), counts, strict=True))
        for i in np.flatnonzero(row).tolist()
    ]


def _standing_bars(
    data: "alt.InlineData", width: int, title: str, ends: tuple[float, float], axis: "alt.Axis"
) -> "alt.TopLevelMixin":
    import altair as alt

    scale = alt.Scale(domain=list(ends), nice=False)
    bars: alt.Chart = (
        alt.Chart(data)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("from:Q", bin="binned", title=title, scale=scale, axis=axis),
            x2="to:Q",
            y=alt.Y("rows:Q", title="rows", axis=drawing.counts(5)),
            color=alt.Color("colour:N", scale=None),
            order="order:Q",
        )
        .properties(width=width - 60, height=220)
    )
    return bars


def reliability(truth: Truth) -> drawing.Chart:
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
    return drawing.draw(values, _beside_the_diagonal)


def _beside_the_diagonal(data: "alt.InlineData", width: int) -> "alt.TopLevelMixin":
    import altair as alt

    whole = alt.Scale(domain=[0, 1])
    percent = drawing.percent(width)
    ends = alt.InlineData(values=[{"score": 0, "right": 0}, {"score": 1, "right": 1}])
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


def trend(
    labels: Sequence[str], periods: Mapping[str, Sequence[int]], *, days: int
) -> drawing.Chart:
    """Draw each label's share by day or month, and under it the rows.

    The two or more periods are rows of each label by the ISO date on which one begins, and last
    about so many days.
    """
    values = [
        {
            "day": day,
            "label": label,
            "order": i,
            "rows": count,
            "share": count / max(sum(rows), 1),
            "colour": drawing.colour(i),
        }
        for day, rows in periods.items()
        for i, (label, count) in enumerate(zip(drawing.short(labels), rows, strict=True))
    ]
    first, last = (np.datetime64(day) for day in (min(periods), max(periods)))
    span = int((last - first) // np.timedelta64(1, "D")) + days
    return drawing.draw(
        values, lambda data, width: _lines_over_bars(data, width, span, span // days)
    )


def _lines_over_bars(
    data: "alt.InlineData", width: int, span: int, periods: int
) -> "alt.TopLevelMixin":
    import altair as alt

    plot, ticks = width - 60, width // 110
    few = {"interval": "day", "step": 1} if span <= ticks else ticks
    form = "%b %-d" if span < 365 else "%b %Y"
    day = alt.X(
        "day:T",
        scale=alt.Scale(type="utc", padding=8),
        title=None,
        axis=alt.Axis(format=form, tickCount=few, labelOverlap=True),
    )
    tinted = alt.Color("colour:N", scale=None)
    share = alt.Y("share:Q", title="share", axis=alt.Axis(format=".0%", tickCount=5))
    points = alt.OverlayMarkDef(filled=True, size=30) if periods <= 62 else False
    lines = (
        alt.Chart(data)
        .mark_line(point=points)
        .encode(x=day, y=share, color=tinted, detail="label:N")
        .properties(width=plot, height=200)
    )
    rows = alt.Y("rows:Q", title="rows", axis=drawing.counts(3))
    bars = (
        alt.Chart(data)
        .mark_bar(width=max(1, min(24, plot * 0.8 / periods)))
        .encode(x=day, y=rows, color=tinted, order="order:Q")
        .properties(width=plot, height=90)
    )
    both: alt.VConcatChart = alt.vconcat(lines, bars, spacing=16).resolve_scale(x="shared")
    return both


def shares_moved(labels: Sequence[str], before: Sequence[int], now: Sequence[int]) -> drawing.Chart:
    """Draw each label's share of the earlier rows over that of the later ones."""
    values = [
        {
            "label": label,
            "run": run,
            "share": counts[i] / max(sum(counts), 1),
            "words": f"{counts[i] / max(sum(counts), 1):.1%}",
            "colour": drawing.colour(i),
            "opacity": opacity,
        }
        for i, label in enumerate(drawing.short(labels))
        for run, counts, opacity in (("before", before, 0.45), ("now", now, 1.0))
    ]
    return drawing.draw(values, _paired_bars)


def _paired_bars(data: "alt.InlineData", width: int) -> "alt.TopLevelMixin":
    import altair as alt

    bars = (
        alt.Chart(data)
        .mark_bar(cornerRadiusEnd=3)
        .encode(
            y=alt.Y("label:N", sort=None, title=None, axis=drawing.names(data)),
            yOffset=alt.YOffset("run:N", sort=None),
            x=alt.X("share:Q", title=None, axis=drawing.percent(width), stack=None),
            color=alt.Color("colour:N", scale=None),
            opacity=alt.Opacity("opacity:Q", scale=None),
        )
    )
    words = bars.mark_text(align="left", dx=6, fontSize=11).encode(
        text=alt.Text("words:N"), color=alt.value("var(--ink)"), opacity=alt.value(1)
    )
    return alt.layer(bars, words).properties(
        width=width - 60 - drawing.extent(data), height=alt.Step(20)
    )
