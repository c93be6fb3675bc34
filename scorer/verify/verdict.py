"""The result of a verification: what was found, a line for each kind, and what was not checked."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from scorer.monitor.report_types import CompleteReport
from scorer.readback.findings import Finding

MOST_LINES = 10  # a file that differs everywhere makes no endless list
#: What only the run knew: nothing that is left says otherwise. Words, and the fields behind them.
ONLY_THE_RUN: Mapping[str, Sequence[str]] = {
    "when it ran and for how long": ("started", "finished", "seconds", "tweets_per_second"),
    "its memory": ("peak_memory_bytes",),
    "on what and with which versions": ("runtime", "libraries", "tool.version"),
    "its warnings": ("warnings",),
    "what it resumed or remembered": ("resumed", "remembered", "taken_over"),
    "times of change": ("output.mtime_ns",),
    "options that change no row": (
        "options_from",
        *(
            f"options.{name}"
            for name in (
                *("id_column", "chunk_rows", "overwrite", "max_rejects", "model", "device"),
                *("threads", "incremental", "resume", "lock_wait", "fail_on_drift"),
            )
        ),
    ),
}
_DIRECTORY = ("output.path",)  # a copy lies elsewhere; the name of the file is checked
_COUNTED_BY_THE_MODEL = (
    *("counters.equal", "counters.truncated", "counters.tokens", "counters.unknown"),
    *("drift.subjects.lengths", "drift.subjects.unknown_tokens"),
)
_OF_THE_MODEL = ("model.name", "model.version", "labels.name", "drift")
_CANARY = ("canary",)
_HUNDRED = "--rescore 100 scores a hundred rows again"


class Tally:
    """What was found so far: findings of one kind become one line."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[str, int]] = {}

    def add(self, findings: Iterable[Finding]) -> None:
        """Count findings; of each kind the first one's words stay."""
        for found in findings:
            text, count = self._kinds.get(found.kind, (found.text, 0))
            self._kinds[found.kind] = text, count + found.count

    def say(self, *texts: str) -> None:
        """Add findings that are each of a kind of their own."""
        self.add(Finding(text, text) for text in texts)

    def __len__(self) -> int:
        """Return how many findings there are."""
        return sum(count for _, count in self._kinds.values())

    def lines(self) -> list[str]:
        """Return a line for each kind, and at the end how many are not shown."""
        lines = [
            f"{text} (and {count - 1:,} more)" if count > 1 else text
            for text, count in self._kinds.values()
        ]
        hidden = len(lines) - MOST_LINES
        return [*lines[:MOST_LINES], f"and {hidden:,} other kinds"] if hidden > 0 else lines


class Unchecked:
    """What was not checked, in words and in fields."""

    def __init__(self, report: CompleteReport, rescored: int, no_model: str) -> None:
        """Find it out.

        Args:
            report: The run report.
            rescored: Rows that were scored again.
            no_model: Why the bundle was not there; '' where it was.
        """
        rows = report.counters.rows
        self._rest: dict[str, Sequence[str]] = {}
        if not rescored:
            self._rest[f"each row's answer and the canary ({_HUNDRED})"] = _CANARY
        if rescored < rows:
            words = f"tokens and equal texts (--rescore {rows} counts them)"
            self._rest[words] = _COUNTED_BY_THE_MODEL
        if no_model:
            self._rest[f"what the model says of the report ({no_model})"] = _OF_THE_MODEL
        self._rest["the output's directory (a copy may lie elsewhere)"] = _DIRECTORY

    def fields(self) -> Iterator[str]:
        """Yield the fields of the report, or what they begin with, with dots between."""
        for fields in (*ONLY_THE_RUN.values(), *self._rest.values()):
            yield from fields

    def line(self) -> str:
        """Return all of it in one line."""
        run = f"what only the run knew: {', '.join(ONLY_THE_RUN)}"
        return f"not checked: {'; '.join((*self._rest, run))}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of the question."""

    rows: int  # that were read
    rescored: int
    findings: tuple[str, ...]  # a line each; none when all is well
    exit_code: int
    unchecked: Unchecked  # what the findings, or that there are none, say nothing of
