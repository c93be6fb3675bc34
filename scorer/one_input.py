"""What the options mean for one input: how it is opened, and what is appended to it."""

from pathlib import Path

from scorer.files.formats import open_source
from scorer.files.source import OutputColumns, Source
from scorer.run_options import RunOptions, renamed


def open_input(path: Path, options: RunOptions) -> Source:
    """Open an input as the options have it; raises what `open_source` and `values` raise."""
    source = open_source(
        path, text_column=options.text_column, csv=options.csv, limit=options.limit
    )
    if options.id_column is not None:
        source.values(options.id_column)  # looks for the column at once
    return source


def output_columns(options: RunOptions, labels: tuple[str, ...] = ()) -> OutputColumns:
    """Return the columns to append; without labels, those that are known before the model is."""
    names = renamed(labels, options.label_names) if labels else ()
    per_class = tuple(f"score_{label}" for label in labels) if options.scores == "all" else ()
    return OutputColumns(options.label_column, options.score_column, names, per_class)
