"""OUTPUT.run.json as typed structs: what a run writes, and what is read of it again.

A field with a default is missing in reports of earlier versions: a run decodes them, `verify` does
not. One that may be `UNSET` is left out. `make docs` makes the published JSON Schema of the types.
"""
# ruff: noqa: D101 - the published schema has a sentence for each part and each field

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as of_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType, ValidationError, convert, field, to_builtins

from scorer.errors import TweetscoreError
from scorer.inference.bundle.metadata import Share
from scorer.inference.gate import Figures
from scorer.inference.session import RuntimeInfo
from scorer.monitor.versions import Library
from scorer.options import Device, Escape, Kind, Precision, Quote, Resume, WhichScores
from scorer.records import Task

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(ge=0)]
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Time = Annotated[
    str, Meta(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}[+]00:00$", max_length=40)
]
Origin = Literal["command line", "environment", "configuration file", "default", "call"]
Stage = Literal["load", "match", "read", "prepare", "score", "keep", "publish", "total"]
Subject = Literal["labels", "scores", "lengths", "unknown_tokens"]


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a report; no other fields occur in it."""

    def as_json(self) -> dict[str, Any]:
        """Return what is written, in its order."""
        found: dict[str, Any] = to_builtins(self)
        return found


class ReportedTool(Part, frozen=True):
    name: Literal["tweetscore"]
    version: str


class ReportedFailure(Part, frozen=True):
    kind: str
    message: str


class ReportedOutput(Part, frozen=True, kw_only=True):
    path: str
    rows: Count
    copied_bytes: Count | UnsetType = UNSET
    schema_keys: dict[Literal["extended", "dropped"], list[str]] | UnsetType = UNSET
    size: Count
    mtime_ns: int
    sha256: Sha256
    etag: str | UnsetType = UNSET


class ReportedDelimiter(Part, frozen=True):
    character: Annotated[str, Meta(min_length=1, max_length=1)]
    origin: Literal["option", "sep line", "header", "extension"] = field(name="from")


class ReportedInput(Part, frozen=True):
    path: str
    size: Count
    mtime_ns: int
    ends_sha256: Sha256
    format: Kind
    delimiter: ReportedDelimiter | UnsetType = UNSET
    etag: str | UnsetType = UNSET
    table_version: Count | UnsetType = UNSET


class ReportedModel(Part, frozen=True, omit_defaults=True):
    name: str
    version: str
    digest: Sha256
    task: Task = "single_label"


class ReportedOptions(Part, frozen=True, kw_only=True):
    text_column: str
    id_column: str | None = None
    scores: WhichScores
    label_names: list[str] | None
    label_column: str
    score_column: str
    labels_column: str | UnsetType = UNSET
    threshold: Share | UnsetType = UNSET
    limit: Count | None
    chunk_rows: Positive | None
    overwrite: bool
    max_rejects: Count
    model: str | None
    device: Device
    precision: Precision
    threads: Positive | None
    format: Kind | None = None
    encoding: str | None
    delimiter: str | None
    quote: Quote | UnsetType = UNSET
    escape: Escape | UnsetType = UNSET
    columns: list[str] | UnsetType | None = UNSET
    incremental: bool = True
    resume: Resume
    lock_wait: Count | Amount  # written as it was asked for
    fail_on_drift: Positive | Annotated[float, Meta(gt=0)] | None = None


class ReportedResumed(Part, frozen=True):
    started: str
    windows: Count
    rows: Count


class ReportedCounters(Part, frozen=True, kw_only=True):
    read: Count
    rows: Count
    scored: Count
    blank: Count
    equal: Count = 0
    truncated: Count
    tokens: Count
    unknown: Count = 0
    rejected: Count
    not_finite: Count | UnsetType = UNSET


class ReportedReuse(Part, frozen=True):
    rows: Count
    why_none: str | None


class ReportedLabel(Part, frozen=True):
    name: str
    written_as: str
    rows: Count
    mean_probability: Share | None
    mean_value: float | UnsetType = UNSET  # of a regression with rows


class ReportedComparison(Part, frozen=True):
    psi: Amount
    bins: list[str | int | float]
    baseline: list[Count]
    now: list[Count]


class ReportedDrift(Part, frozen=True):
    reason: str | None = None
    baseline_rows: Positive | None = None
    min_rows: Positive = 1
    judged: bool = False
    subjects: dict[Subject, ReportedComparison] = {}  # all four or, for a reason, none


class RunReport(Part, frozen=True, kw_only=True):
    """OUTPUT.run.json of a complete output, or OUTPUT.run.failed.json of a failed run.

    Sizes are in bytes, times in seconds, shares and probabilities from 0 to 1. What is null was
    not known yet when the run failed.
    """

    schema_version: Literal[1]  # a new one where an old reader would be misled
    tool: ReportedTool
    started: Time
    finished: Time
    exit_code: int
    error: ReportedFailure | None
    output: ReportedOutput | None
    warnings: list[str]
    input: ReportedInput | None
    model: ReportedModel | None
    runtime: RuntimeInfo | None
    canary: Figures | None
    options: ReportedOptions
    options_from: dict[str, Origin] = {}
    result_key: Sha256 | None
    resumed: ReportedResumed | None
    counters: ReportedCounters
    remembered: Count = 0
    taken_over: ReportedReuse | None = None
    labels: list[ReportedLabel]
    drift: ReportedDrift | None = None
    seconds: dict[Stage, Amount]
    tweets_per_second: Amount | None
    peak_memory_bytes: Count
    libraries: dict[Library, str]


class CompleteReport(RunReport, frozen=True, kw_only=True):
    """OUTPUT.run.json: the output is complete."""

    exit_code: Literal[0, 3]
    error: None = None
    output: ReportedOutput
    input: ReportedInput
    model: ReportedModel
    runtime: RuntimeInfo
    canary: Figures
    result_key: Sha256
    labels: Annotated[list[ReportedLabel], Meta(min_length=1)]
    drift: ReportedDrift = ReportedDrift()


class FailedReport(RunReport, frozen=True, kw_only=True):
    """OUTPUT.run.failed.json: the run failed, and left the output as it was."""

    exit_code: Annotated[int, Meta(ge=1, le=255)]
    error: ReportedFailure
    output: None = None
    drift: None = None


def decoded(content: Mapping[str, Any] | None) -> CompleteReport | None:
    """Return the report of a complete output, as any version wrote it; None if it is none."""
    with suppress(ValidationError):
        return convert(content, CompleteReport)
    return None


def strictly_decoded(content: Any) -> RunReport:
    """Return a report that is all that this version writes.

    Raises:
        ValueError: It is not, and where.
    """
    failed = isinstance(content, dict) and content.get("output") is None
    report: RunReport = convert(content, FailedReport if failed else CompleteReport)
    for problem in (*_left_out(content, report.as_json()), *_incomplete(report)):
        raise ValueError(problem)
    return report


def _left_out(
    content: Mapping[str, Any], whole: Mapping[str, Any], way: str = "$"
) -> Iterator[str]:
    """Yield which fields are missing that reports of earlier versions may lack."""
    for name, value in whole.items():
        if name not in content:
            yield f"Object missing required field `{name}` - at `{way}`"
        elif isinstance(value, dict):
            yield from _left_out(content[name], value, f"{way}.{name}")


def _incomplete(report: RunReport) -> Iterator[str]:
    """Yield what is wrong with the names in an object whose names are not fields."""
    if unknown := sorted(report.options_from.keys() - {*ReportedOptions.__struct_fields__}):
        yield f"Object contains unknown field `{unknown[0]}` - at `$.options_from`"
    if "total" not in report.seconds:
        yield "Object missing required field `total` - at `$.seconds`"
    if "python" not in report.libraries:
        yield "Object missing required field `python` - at `$.libraries`"
    if report.drift and len(report.drift.subjects) not in (0, len(get_args(Subject))):
        yield "Object with only some of its fields - at `$.drift.subjects`"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input."""

    input: Path
    output: Path
    report: RunReport | None  # None: the input could not even be listed
    warnings: tuple[str, ...] = ()
    error: TweetscoreError | None = None
    up_to_date: bool = False  # the output held already what this run would have written
    #: What has drifted too far for `fail_on_drift`, with its index; the output is complete.
    outside: Mapping[str, float] = of_dataclass(default_factory=dict)
    url: str = ""  # of the output, where it is no file; without secrets
    input_url: str = ""  # likewise
    was_checked: bool = False  # call and input were in order: a failure after that is reported

    @property
    def complete(self) -> CompleteReport:
        """The report of an output that is complete; TypeError where it is not."""
        if not isinstance(self.report, CompleteReport):
            raise TypeError(f"{self.named_output} is not complete: {self.error}")
        return self.report

    @property
    def named_input(self) -> str:
        """The input as people know it."""
        return self.input_url or str(self.input)

    @property
    def named_output(self) -> str:
        """The output as people know it."""
        return self.url or str(self.output)
