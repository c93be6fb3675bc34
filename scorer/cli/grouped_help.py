"""The help of a command: the options of every day with --help, all in groups with --help-all.

click alone lists all options in one column; the libraries that group them replace click's classes
and decorators, and load more than this program does for its help.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import click

#: An option belongs to one group, whichever command has it; in the order of the help.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "Input": ("format", "table", "query", "text_column", "id_column", "file", "limit"),
    "CSV files": ("encoding", "delimiter", "quote", "escape", "no_header", "columns"),
    "Output": (
        "output", "into", "scores", "label_names", "label_column", "score_column", "labels_column",
        "threshold", "as_json", "overwrite", "prune",
    ),
    "Model and device": ("model", "device", "precision", "threads"),
    "Which rows are scored": ("incremental", "resume", "max_rejects", "fail_on_drift"),
    "How the run is done": (
        "dry_run", "chunk_rows", "lock_wait", "engine", "ray_address", "work_dir",
    ),
    "Configuration and messages": (
        "config", "quiet", "verbose", "log_format", "metrics_file", "report", "debug", "help_all",
        "help",
    ),
})  # fmt: skip
_ALL = "tweetscore.help_all"  # in the context's meta


def _show_all(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.meta[_ALL] = True
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class GroupedHelp(click.Command):
    """A command whose --help has the options that are needed every day.

    Args:
        everyday: Their parameters' names, in the order of the help; none where all are shown.
    """

    def __init__(self, *args: Any, everyday: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._everyday = everyday

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Add --help-all, as click adds --help: no file and no variable can set either."""
        params = super().get_params(ctx)
        if self._everyday:
            about = f"Show all {sum(isinstance(each, click.Option) for each in params)} options."
            every = click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                allow_from_autoenv=False,
                callback=_show_all,
                help=about,
            )
            params.insert(-1, every)
        return params

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of every day, or all of them by group."""
        if not self._everyday:
            super().format_options(ctx, formatter)
            return
        groups = {"Options": (*self._everyday, "help_all", "help")}
        if ctx.meta.get(_ALL):
            groups = dict(GROUPS)
        known = {param.name: param for param in self.get_params(ctx)}
        if help_option := self.get_help_option(ctx):
            known["help"] = help_option
        for title, names in groups.items():
            shown = (known[name].get_help_record(ctx) for name in names if name in known)
            if rows := [row for row in shown if row]:
                with formatter.section(title):
                    formatter.write_dl(rows)
