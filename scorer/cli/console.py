"""The report of `run` on standard error, file by file, and its metrics in a file."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scorer.cli.log import in_json, log_message
from scorer.cli.process import print_error
from scorer.cli.summary import answers_in_words, drift_in_words, rows_by_label
from scorer.errors import OUTSIDE_BOUND, TweetscoreError, exit_code
from scorer.formats.text.dialects import typed
from scorer.hints import counted

if TYPE_CHECKING:
    from scorer.monitor.report_types import CompleteReport, Outcome
    from scorer.run.prune import Departed


_FEW = 10  # files that have a line each


class ConsoleReporter:
    """Reports the outcome of each file, and keeps the exit code of the run."""

    def __init__(self, files: int, several: bool, *, quiet: bool, verbose: bool) -> None:
        self.failed = 0  # exit code of the first file that failed
        self._several = several
        self._quiet = quiet
        self._for_programs = in_json()
        self._each = verbose or self._for_programs or files <= _FEW
        self._printed: set[str] = set()
        self._results = Counter[str]()
        self._rows = 0
        self._labels = Counter[str]()  # rows; nothing of a regression
        self._removed = 0  # outputs whose input is gone
        self._drifted = 0  # files whose rows are unlike the model's baseline
        self._outside = False  # whether the drift of one of them exceeds --fail-on-drift

    @property
    def code(self) -> int:
        """The exit code so far: a file that failed counts before one that drifted."""
        return self.failed or (OUTSIDE_BOUND if self._outside else 0)

    def report_skipped(self, ours: Sequence[Path], warnings: Sequence[str] = ()) -> None:
        """Print which of the named files are skipped, and the warnings of the discovery."""
        names = ", ".join(map(str, ours[:_FEW]))
        more = f" and {len(ours) - _FEW:,} more" if len(ours) > _FEW else ""
        if ours and not self._quiet:
            self._warn(f"skipped, as tweetscore wrote them: {names}{more}")
        for warning in warnings:
            self._warn(warning)

    def report_file(self, outcome: "Outcome") -> None:
        """Print the outcome of a file, and keep its exit code."""
        result = "failed" if outcome.error else "up to date" if outcome.up_to_date else "scored"
        self._results[result] += 1
        facts = {"input": outcome.named_input, "output": outcome.named_output}
        for warning in outcome.warnings:
            self._warn(warning, **facts)
        facts["outcome"] = result
        if outcome.error:
            code = self._report_error(outcome.error, facts)
            self.failed = self.failed or code
            return
        if result == "scored":
            self._rows += outcome.complete.counters.rows
            if outcome.complete.model.task != "regression":
                self._labels.update(_counted(outcome.complete))
        if self._each and not self._quiet:
            code = OUTSIDE_BOUND if outcome.outside else 0
            log_message(
                "info", "file", _summary(outcome), **facts, **_figures(outcome), exit_code=code
            )
        self._report_drift(outcome, facts)

    def report_removed(self, departed: "Iterator[Departed]") -> None:
        """Print and count outputs as they are removed, because their input is gone.

        What keeps one from it is a warning: all that was to be scored is scored.
        """
        try:
            for each in departed:
                self._removed += 1
                facts = {"input": each.input, "output": str(each), "outcome": "removed"}
                if not self._quiet and (self._removed <= _FEW or self._each):
                    line = f"{each} is removed, as {each.input} is gone"
                    log_message("info", "file", line, **facts, exit_code=0)
        except TweetscoreError as error:
            self._warn(f"all is scored, but not all is tidy ({error}); the next run sees to it")

    def report_total(self, passed_over: Sequence[tuple[str, int]]) -> None:
        """Print the totals of several files; in JSON those of a single file too."""
        if self._quiet or not (self._several or self._for_programs):
            return
        scored, up_to_date, failed = (self._results[r] for r in ("scored", "up to date", "failed"))
        line = (
            f"{counted(scored, 'file')} scored ({counted(self._rows, 'row')}), "
            f"{up_to_date:,} up to date, "
            f"{failed:,} failed"
        )
        line += f", {self._drifted:,} drifted" if self._drifted else ""
        line += f", {self._removed:,} removed" if self._removed else ""
        if skipped := ", ".join(f"{count:,} {why}" for why, count in passed_over):
            line += f"; skipped: {skipped}"
        if self._labels and not self._each:  # which no line has said
            line += f"; {', '.join(rows_by_label(self._labels.items()))}"
        facts = {"scored": scored, "rows": self._rows, "up_to_date": up_to_date, "failed": failed}
        facts |= {"removed": self._removed}
        facts |= {"drifted": self._drifted, "skipped": sum(count for _, count in passed_over)}
        log_message("info", "total", line, **facts, exit_code=self.code)

    def _report_drift(self, outcome: "Outcome", facts: dict[str, str]) -> None:
        """Print the indices that drifted; where no bound is set, only for a few new outputs."""
        from scorer.monitor.drift import LARGE, outside

        if moved := outcome.outside:
            self._outside = True
            what = drift_in_words(outcome, moved, ", outside --fail-on-drift")
            log_message("error", "drift", what, **facts, drift=moved, exit_code=OUTSIDE_BOUND)
        elif not outcome.up_to_date:
            moved = outside(outcome.complete.drift, LARGE)
            if moved and self._each and not self._quiet:
                log_message(
                    "warning", "drift", drift_in_words(outcome, moved), **facts, drift=moved
                )
        self._drifted += bool(moved)

    def _report_error(self, error: "TweetscoreError", facts: dict[str, str]) -> int:
        """Print an error and return its exit code; in text, equal errors are printed once."""
        if str(error) in self._printed and not self._for_programs:
            return error.exit_code
        self._printed.add(str(error))
        return print_error(error, "file", **facts)

    def _warn(self, warning: str, **facts: Any) -> None:
        """Print a warning, unless an earlier file had the same."""
        if warning not in self._printed:
            log_message("warning", "warning", warning, **facts)
            self._printed.add(warning)


def _figures(outcome: "Outcome") -> dict[str, Any]:
    """Return the figures of a good output for the JSON log; the speed is that of this run."""
    report, counters = outcome.complete, outcome.complete.counters
    figures = {
        "rows": counters.rows,
        "labels": _counted(report),
        "blank": counters.blank,
        "rejected": counters.rejected,
    }
    if outcome.up_to_date:
        return figures
    if odd := counters.not_finite:
        figures["not_finite"] = odd
    if report.taken_over:
        figures["taken_over"] = report.taken_over.rows
    return figures | {
        "seconds": round(report.seconds["total"], 3),
        "device": report.runtime.device,
        "precision": report.runtime.precision,
    }


def _counted(report: "CompleteReport") -> Counter[str]:
    """Return the rows of each label."""
    labels = Counter[str]()
    for label in report.labels:
        labels[label.written_as] += label.rows  # two labels may be written alike
    return labels


def _summary(outcome: "Outcome") -> str:
    """Return one line: output, rows, rows by label, seconds, speed, device and precision."""
    report, output = outcome.complete, outcome.named_output
    rows = counted(report.counters.rows, "row")
    if outcome.up_to_date:
        return f"{output} is up to date: {rows}"
    line = f"{output}: {rows}: {answers_in_words(report)}"
    return "; ".join((line, *_remarks(report)))


def _remarks(report: "CompleteReport") -> Iterator[str]:
    """Yield what is not usual."""
    if report.options.limit is not None and report.input.format == "parquet":
        yield "a preview: these rows were written anew, where a run copies the input's bytes"
    # What separates the cells, where neither the call nor the extension says it.
    if (found := report.input.delimiter) and found.origin in {"header", "sep line"}:
        yield f"delimiter {typed(found.character)} by the file's {found.origin}"
    if odd := report.counters.not_finite:
        yield f"{odd:,} with NaN or Infinity, which other readers of JSON may refuse"
    if report.resumed:
        yield f"{report.resumed.rows:,} were done already"
    if taken := report.taken_over:
        why = taken.why_none
        yield f"{taken.rows:,} taken over" if why is None else f"none taken over: {why}"


@contextmanager
def collect_metrics(path: Path | None) -> "Iterator[Callable[[Outcome], object]]":
    """Yield a callback for each outcome, and write the metrics when the block ends.

    Without a path the callback does nothing. A metrics file that cannot be written is a warning:
    the outputs are complete.

    Raises:
        MissingExtra: The library that writes it is not installed.
        OutputRefused: There is no such directory.
        UsageError: The name is not one that the collector reads.
    """
    if path is None:
        yield lambda _: None
        return
    from scorer.monitor.metrics import RunMetrics

    metrics = RunMetrics(path)
    code = 0
    try:
        yield metrics.add
    except click.exceptions.Exit as done:
        code = done.exit_code
        raise
    except BaseException as error:
        code = exit_code(error)
        raise
    finally:
        try:
            metrics.write(code)
        except Exception as error:  # noqa: BLE001 - the outputs are there, whatever it is
            log_message("warning", "warning", f"{path} is not written: {error}")
