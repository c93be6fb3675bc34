"""`tweetscore text`: single texts, scored as they are typed."""

from pathlib import Path
from typing import Any

import click

from scorer.cli.common_options import CONTEXT, answer_options, debug_option, model_options
from scorer.cli.config_file import config_option
from scorer.cli.log import Command
from scorer.errors import UsageError, is_unicode


@click.command(cls=Command, context_settings=CONTEXT)
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@answer_options
@model_options
@config_option
@debug_option
def text(
    *,
    texts: tuple[str, ...],
    scores: str,
    label_names: tuple[str, ...] | None,
    model: Path | None,
    **choice: Any,
) -> None:
    """Score the texts given as arguments.

    Prints a line of tab-separated values per text, after a header. A blank text has no label.
    Several labels are joined by |.

    \b
    tweetscore text "What a lovely morning"
    tweetscore text "I love this song so much" "worst day ever" --label-names es
    """
    import polars as pl

    from scorer.api.scorer import Scorer

    for number, each in enumerate(texts, start=1):
        if not is_unicode(each):
            raise UsageError(f"text {number} is not valid UTF-8", "put it into a file")
    scorer = Scorer(model, labels=label_names, **choice)
    frame = scorer.score(list(texts), all_scores=scores == "all")
    for warning in scorer.warnings:
        click.echo(f"tweetscore: warning: {warning}", err=True)
    lists = [name for name, kind in frame.schema.items() if kind == pl.List(pl.String)]
    joined = frame.with_columns(pl.col(name).list.join("|") for name in lists)
    table = joined.select(*joined.columns[1:], "text")
    # As bytes: stdout may be a pipe with a locale that has no emoji.
    click.echo(table.write_csv(separator="\t").encode(), nl=False)
