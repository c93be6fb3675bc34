"""`tweetscore text`: single texts, scored as they are typed, or lines of text."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.common_options import (
    CONTEXT,
    FilePath,
    answer_options,
    debug_option,
    model_options,
)
from scorer.cli.config_file import config_option
from scorer.cli.log import Command, log_message, wants_colours
from scorer.cli.terminal import columns, shortened
from scorer.cli.typed_texts import windows_of_texts

if TYPE_CHECKING:
    import polars as pl

_DIGITS = 4  # of a score, in a table that people read


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("texts", nargs=-1, metavar="[TEXT...]")
@click.option(
    "--file",
    "files",
    type=FilePath(),
    multiple=True,
    metavar="FILE",
    help="Score the lines of a text file; may be given more than once.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per text.")
@answer_options
@model_options
@config_option
@debug_option
def text(
    *,
    texts: tuple[str, ...],
    files: tuple[Path, ...],
    as_json: bool,
    scores: str,
    label_names: tuple[str, ...] | None,
    model: Path | None,
    **choice: Any,
) -> None:
    """Score texts, or the lines of a file.

    The texts are the arguments, or each line of standard input (-) or of the files; blank lines
    count too. On a terminal it prints a table, elsewhere a line of tab-separated values per text
    after a header, or with --json an object per line. A blank text has its place, and no label.
    Several labels are joined by |, in JSON they are a list.

    \b
    tweetscore text "What a lovely morning"
    tweetscore text "I love this song so much" "worst day ever" --label-names es
    tweetscore text --file comments.txt --json
    echo "I love this song so much" | tweetscore text -
    """
    from scorer.api.scorer import Scorer

    windows = windows_of_texts(texts, files)
    scorer = Scorer(model, labels=label_names, **choice)
    show = _as_json if as_json else _as_table if sys.stdout.isatty() else _as_tsv
    warned: set[str] = set()
    first = True
    for window in windows:
        frame = scorer.score(window, all_scores=scores == "all")
        for warning in scorer.warnings:
            if warning not in warned:
                log_message("warning", "warning", warning)
                warned.add(warning)
        # As bytes: stdout may be a pipe with a locale that has no emoji.
        click.echo(show(frame, first, scorer.labels).encode(), nl=False)
        sys.stdout.flush()
        first = False


_Show = Callable[["pl.DataFrame", bool, tuple[str, ...]], str]


def _as_json(frame: "pl.DataFrame", _: bool, __: tuple[str, ...]) -> str:
    return frame.write_ndjson()


def _as_tsv(frame: "pl.DataFrame", first: bool, _: tuple[str, ...]) -> str:
    return _flat(frame).write_csv(separator="\t", include_header=first)


def _flat(frame: "pl.DataFrame") -> "pl.DataFrame":
    """Return the columns in the order of the output, with lists as one text; the text is last."""
    import polars as pl

    lists = [name for name, kind in frame.schema.items() if kind == pl.List(pl.String)]
    joined = frame.with_columns(pl.col(name).list.join("|") for name in lists)
    return joined.select(*joined.columns[1:], "text")


def _as_table(frame: "pl.DataFrame", first: bool, labels: tuple[str, ...]) -> str:
    """Return lines that fit the terminal; all windows have the widths that the labels need."""
    flat = _flat(frame)
    *named, _ = flat.columns
    widths = [
        max(len(name), *map(len, labels)) if kind.is_(_string()) else max(len(name), _DIGITS + 2)
        for name, kind in zip(named, flat.dtypes, strict=False)
    ]
    lines = [_line([*named, "text"], widths, bold=True)] if first else []
    lines += [_line([_cell(value) for value in row], widths) for row in flat.rows()]
    return "".join(f"{line}\n" for line in lines)


def _string() -> Any:
    import polars as pl

    return pl.String


def _cell(value: object) -> str:
    """Return a value as one printable line."""
    if isinstance(value, float):
        return f"{value:.{_DIGITS}f}"
    shown = "" if value is None else str(value)
    return "".join(each if each.isprintable() else " " for each in shown)


def _line(cells: list[str], widths: list[int], *, bold: bool = False) -> str:
    *values, last = cells
    start = "".join(f"{cell:<{width}}  " for cell, width in zip(values, widths, strict=True))
    line = start + shortened(last, columns(1) - len(start))
    return click.style(line, bold=True) if bold and wants_colours() else line
