"""`tweetscore verify`: an output held against its input, its run report and the model."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scorer.errors import DataError, InputMissing, TweetscoreError
from scorer.formats.base import Source
from scorer.formats.open import open_source
from scorer.hints import counted
from scorer.inference.loading import ModelHandle
from scorer.monitor.report_types import CompleteReport
from scorer.monitor.run_report import contradictions, describe_input
from scorer.options import STDIN, Device, ModelSpec, Precision
from scorer.os_errors import reading
from scorer.readback import Comparison
from scorer.readback.findings import Finding
from scorer.readback.output_report import input_spec, output_columns, report_of, written_by
from scorer.store.commit import FileIdentity
from scorer.store.paths import EarlierPlaces, rejects_path, resolved, there
from scorer.verify.answers import AnswerCheck, reject_findings
from scorer.verify.consistency import contradicted_by, inconsistencies
from scorer.verify.rescore import Sample, rescored

_KNOWN_BY = ("size", "ends_sha256", "format")  # a change of mtime alone changes no row
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
        """Find it out; `no_model` is why the bundle was not there, '' where it was."""
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


def verify(
    output: Path,
    *,
    rescore: int = 0,
    model: Path | None = None,
    device: Device | None = None,
    model_for: Callable[[ModelSpec], ModelHandle] = ModelHandle.of,
) -> Verdict:
    """Read an output, its report and its input in full and tell where they disagree.

    Args:
        output: What a run wrote, or a link to it.
        rescore: Score so many rows again.
        model: Where the bundle is now; by default where the report says.
        device: What to score them on; by default what the run was asked for.
        model_for: How to get the model.

    Raises:
        InputMissing: The output or its report is not there.
        DataError: The report is none.
        InvalidBundle: The model is not the one that wrote the output.
    """
    check = _Check(resolved(output), rescore)
    return check.run(model_for(_model_spec(check.report, model, device)))


class _Check:
    """One output."""

    def __init__(self, output: Path, rescore: int) -> None:
        self._output = output
        self._tally = Tally()
        self._missing = False
        self._no_model = ""
        self.report = report_of(output)
        self._answers = AnswerCheck(self.report)
        self._sample = Sample(self.report.counters.rows, rescore)

    def run(self, model: ModelHandle) -> Verdict:
        """Go through the steps."""
        tally, report = self._tally, self.report
        said = (*contradictions(report), *inconsistencies(report, self._output))
        tally.say(*(f"the report: {each}" for each in said))
        self._check_bytes()
        source = self._input()
        try:
            self._check_rows(source)
        except DataError as error:
            tally.say(str(error))
        rejects = there(rejects_path(self._output), EarlierPlaces.of(self._output).rejects)
        tally.add(reject_findings(rejects, source, report.counters.rejected))
        self._check_model(model)
        if source and len(self._sample.rows) and not tally:
            tally.add(rescored(self._sample, source, report, model))
        return self._verdict()

    def _check_bytes(self) -> None:
        """Hold the output's size and hash against the report."""
        with reading(self._output):
            found = FileIdentity.of(self._output)
        reported = self.report.output
        for name in ("size", "sha256"):
            if (now := getattr(found, name)) != (said := getattr(reported, name)):
                self._tally.say(f"the output's {name} is {now}, the report says {said}")

    def _input(self) -> Source | None:
        """Open the input, if it is still what was scored."""
        described, spec = self.report.input, input_spec(self.report)
        if described.path == STDIN:
            self._missing = True
            self._tally.say(f"the input was {STDIN}: only the output and its report were checked")
            return None
        path = Path(described.path)
        asked = replace(spec.csv, delimiter=self.report.options.delimiter)
        try:
            source, as_asked = (
                open_source(path, replace(spec, csv=csv)) for csv in (spec.csv, asked)
            )
            with reading(path):
                now = describe_input(path, format=source.format)
        except TweetscoreError as error:
            self._missing = isinstance(error, InputMissing)
            self._tally.say(f"the input cannot be compared: {error}")
            return None
        if changed := [name for name in _KNOWN_BY if now[name] != getattr(described, name)]:
            self._tally.say(
                f"the input {path} has changed since it was scored ({', '.join(changed)}): "
                "only the output and its report were checked"
            )
            return None
        reported = described.as_json()
        for name, found in as_asked.found.items():  # reports of older versions have none of it
            if reported.get(name, found) != found:
                self._tally.say(f"the input's {name} is {found}, the report says {reported[name]}")
        return source

    def _check_rows(self, source: Source | None) -> None:
        """Read both files side by side."""
        tally, counters = self._tally, self.report.counters.as_json()
        output_schema, spec = output_columns(self.report), input_spec(self.report)
        written = written_by(self.report)
        comparison = Comparison(source, self._output, output_schema, spec, written)
        tally.add(comparison.columns())
        for block in comparison.rows():
            tally.add(block.findings)
            tally.add(self._answers.add(block))
            self._sample.add(block)
        tally.add(self._answers.totals())
        if source is None:
            return
        for found, name, noun, words in (
            (comparison.input_rows, "rows", "row", "{} in the input"),
            (comparison.rejects, "rejected", "rejected record", "{} in the input"),
            (comparison.not_finite, "not_finite", "row", "NaN or Infinity in {} of the input"),
        ):
            reported = counters.get(name, found)  # an earlier version counted less
            if found != reported:
                tally.say(f"{words.format(counted(found, noun))}, the report says {reported:,}")

    def _check_model(self, model: ModelHandle) -> None:
        """Hold what the report says of its model against the bundle, if that is here."""
        digest = self.report.model.digest
        try:
            bundle = model.bundle
        except TweetscoreError as error:
            self._no_model = error.problem
            return
        if bundle.digest != digest:
            self._no_model = f"{bundle.name} {bundle.version} in {bundle.directory} is another"
            return
        self._tally.say(*contradicted_by(bundle, self.report))

    def _verdict(self) -> Verdict:
        lines = tuple(self._tally.lines())
        code = DataError.exit_code if lines else 0
        if self._missing and len(lines) == 1:
            code = InputMissing.exit_code
        rescored = 0 if lines else len(self._sample.rows)
        unchecked = Unchecked(self.report, rescored, self._no_model)
        return Verdict(self._answers.rows, rescored, lines, code, unchecked)


def _model_spec(report: CompleteReport, model: Path | None, device: Device | None) -> ModelSpec:
    """Return how to open the model: as the run did, and in its precision where each box has it."""
    options = report.options
    recorded = Path(options.model) if options.model else None
    precision: Precision = "fp32" if report.runtime.precision == "fp32" else "auto"
    return ModelSpec(model or recorded, device or options.device, precision, options.threads)
