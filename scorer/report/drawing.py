"""Charts as SVG that is part of the page: vl-convert draws what Altair describes.

No script is left to run in the browser. Colours are the page's variables, so that they follow
its light or dark scheme; each chart is drawn twice, for a screen and for a phone, because text
in a picture that is made smaller cannot be read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 800, 315  # pixels, the widths of the page's columns
COLOURS = 8  # that the page has for labels
_LONGEST = 16  # characters of a label in a chart
_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart in two sizes; SVG."""

    wide: str
    narrow: str


Rows = Sequence[Mapping[str, Any]]
Drawn = Callable[["alt.InlineData", int], "alt.TopLevelMixin"]


def colour(number: int) -> str:
    """Return the variable of the page that holds a label's colour."""
    return f"var(--label-{number % COLOURS})"


def ticks(width: int) -> "alt.Axis":
    """Return an axis with space between its numbers."""
    import altair as alt

    return alt.Axis(tickCount=5 if width == WIDE else 2)


def counts(most: int) -> "alt.Axis":
    """Return the axis of numbers of rows: whole, and short from a hundred thousand on."""
    import altair as alt

    whole = "datum.value % 1 ? '' : format(datum.value, ',d')"
    words = f"datum.value < 1e5 ? {whole} : format(datum.value, '~s')"
    return alt.Axis(tickCount=most, tickMinStep=1, labelExpr=words, titlePadding=14)


def percent(width: int) -> "alt.Axis":
    """Return such an axis of shares."""
    axis = ticks(width)
    axis["format"] = ".0%"
    return axis


def names(data: "alt.InlineData") -> "alt.Axis":
    """Return the axis of bars that lie; the browser's font may be wider than the one measured."""
    import altair as alt

    space = extent(data)
    return alt.Axis(
        ticks=False, domain=False, grid=False, labelPadding=8, labelLimit=space, minExtent=space
    )


def extent(data: "alt.InlineData") -> int:
    """Return the pixels that the names need."""
    return 16 + 8 * max(len(each["label"]) for each in data["values"])


def short(labels: Sequence[str]) -> list[str]:
    """Return names that fit beside a bar, no two the same."""
    found: list[str] = []
    for label in labels:
        name = label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"
        taken = sum(each.startswith(name) for each in found)
        found.append(f"{name} {taken + 1}" if name in found else name)
    return found


def draw(values: Rows, drawn: Drawn) -> Chart:
    """Return both drawings of a chart that is described for a width."""
    import altair as alt

    data = alt.InlineData(values=list(values))
    return Chart(_svg(drawn(data, WIDE)), _svg(drawn(data, NARROW)))


def _svg(chart: "alt.TopLevelMixin") -> str:
    """Return the drawing in the page's colours."""
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
    return drawing
