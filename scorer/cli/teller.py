"""What `tweetscore run` says of its files: a line for each of a few, one for all of many."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scorer.cli.errors import print_error

if TYPE_CHECKING:
    from scorer.errors import TweetscoreError
    from scorer.run_options import Outcome

_FEW = 10  # files that have a line each


class Teller:
    """Says what becomes of the files, and remembers the exit code."""

    def __init__(self, files: int, several: bool, *, quiet: bool, verbose: bool) -> None:
        self.code = 0  # of the first file that failed
        self._files = files
        self._several = several
        self._quiet = quiet
        self._each = verbose or files <= _FEW
        self._said: set[str] = set()
        self._fates = Counter[str]()
        self._rows = 0

    def say_skipped(self, ours: Sequence[Path]) -> None:
        """Say which of the files that were named are passed over."""
        names = ", ".join(map(str, ours[:_FEW]))
        more = f" and {len(ours) - _FEW:,} more" if len(ours) > _FEW else ""
        if not self._quiet:
            self._warn(f"skipped, as tweetscore wrote them: {names}{more}")

    def tell(self, outcome: "Outcome") -> None:
        """Say what became of a file, and remember its exit code."""
        for warning in outcome.warnings:
            self._warn(warning)
        if outcome.error:
            self._fates["failed"] += 1
            code = self._say_error(outcome.error)
            self.code = self.code or code
            return
        if outcome.up_to_date:
            self._fates["up to date"] += 1
        else:
            self._fates["scored"] += 1
            self._rows += outcome.report["counters"]["rows"]
        if self._each and not self._quiet:
            click.echo(f"tweetscore: {_summary(outcome)}", err=True)

    def progress(self) -> str:
        """Return how many of several files are done."""
        return f"{self._fates.total():,} of {self._files:,} files" if self._several else ""

    def say_total(self, passed_over: Iterable[tuple[str, int]]) -> None:
        """Say what became of several files together."""
        if self._quiet or not self._several:
            return
        scored = self._fates["scored"]
        files = "file" if scored == 1 else "files"
        line = f"{scored:,} {files} scored ({self._rows:,} rows)"
        line += "".join(f", {self._fates[fate]:,} {fate}" for fate in ("up to date", "failed"))
        skipped = ", ".join(f"{count:,} {why}" for why, count in passed_over)
        click.echo(f"tweetscore: {line}{skipped and f'; skipped: {skipped}'}", err=True)

    def _say_error(self, error: "TweetscoreError") -> int:
        """Print an error, unless an earlier file had the very same, and return its exit code."""
        if str(error) in self._said:
            return error.exit_code
        self._said.add(str(error))
        return print_error(error)

    def _warn(self, warning: str) -> None:
        """Print a warning, unless an earlier file had the same."""
        if warning not in self._said:
            click.echo(f"tweetscore: warning: {warning}", err=True)
            self._said.add(warning)


def _summary(outcome: "Outcome") -> str:
    """Return one line: where the rows are, how many of which label, how fast and on what."""
    report, output = outcome.report, outcome.url or outcome.output
    if outcome.up_to_date:
        return f"{output} is up to date: {report['counters']['rows']:,} rows"
    counters, runtime = report["counters"], report["runtime"]
    counts = [f"{label['written_as']} {label['rows']:,}" for label in report["labels"]]
    counts += [f"{name} {counters[name]:,}" for name in ("blank", "rejected") if counters[name]]
    line = (
        f"{output}: {counters['rows']:,} rows ({', '.join(counts)}) in "
        f"{report['seconds']['total']:.1f} s on {runtime['device']} {runtime['precision']}"
    )
    taken_up = report["resumed"]
    return f"{line}; {taken_up['rows']:,} were done already" if taken_up else line
