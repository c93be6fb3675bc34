"""The plot: tweets per second of every contender, with the interval of its rounds."""

from pathlib import Path

from benchmarks.cells import CONTENDERS, MODELS
from benchmarks.figures import Results, spread

OURS, THEIRS = "#1f6f8b", "#b9b9b9"


def draw(results: Results, path: Path) -> None:
    """Write an SVG with a panel for each model that was measured."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    models = [model for model in MODELS if results.rows(model)]
    if not models:
        return
    # The same figures give the same file: no date, no random names.
    with mpl.rc_context({"svg.hashsalt": "tweetscore", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.6 * len(models)), layout="constrained")
        panels = figure.subplots(len(models), squeeze=False)[:, 0]
        for panel, model in zip(panels, models, strict=True):
            shown = [each for each in CONTENDERS.values() if results.rates(model, each)]
            rates = [spread(results.rates(model, each)) for each in shown]
            middles = [rate.median for rate in rates]
            around = [[r.median - r.low for r in rates], [r.high - r.median for r in rates]]
            names = [each.title.replace("*", "").replace("`", "") for each in shown]
            colours = [OURS if each.ours else THEIRS for each in shown]
            panel.barh(names, middles, xerr=around, color=colours, capsize=3)
            panel.invert_yaxis()
            panel.set_title(model.title, loc="left")
            panel.set_xlabel("tweets per second, whole process (bars: medians; lines: all rounds)")
            panel.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
