"""The options of a call as frozen specs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from scorer.errors import TweetscoreError, UsageError

Device = Literal["auto", "cuda", "cpu", "openvino", "builtin"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Kind = Literal["csv", "tsv", "parquet", "ndjson", "arrow"]
WhichScores = Literal["label", "all"]  # all: one for each class too
Quote = Literal["double", "none"]
Escape = Literal["quote", "backslash"]
Resume = Literal["auto", "require", "never"]

TEXT_COLUMN, LABEL_COLUMN, SCORE_COLUMN = "text", "label", "score"  # unless others are named
LABELS_COLUMN = "labels"  # of multi-label models, likewise
THRESHOLD = 0.5  # the probability that a class has at least to be one of those, unless told

STDIN, STDOUT = "standard input", "standard output"  # as messages and reports have them

CPU_WINDOW = 16_384
CUDA_WINDOW = 262_144


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The model, its device, precision and threads."""

    model: Path | None = None  # the bundle's directory; None: the embedded one
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int | None = None  # None: as many as the process may use


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """The dialect and the encoding, as far as they are given; the rest is found in the file."""

    encoding: str | None = None  # None: UTF-8, or UTF-16 by a byte-order mark
    delimiter: str | None = None  # None: by the header, or by the extension
    quote: Quote = "double"  # none: quotes are data
    escape: Escape = "quote"  # of a quote in a quoted cell: another quote, or a backslash
    columns: tuple[str, ...] | None = None  # names for a file without a header

    def __post_init__(self) -> None:
        """Raise UsageError where two options contradict each other."""
        if self.quote == "none" and self.escape != "quote":
            problem = "--quote none says that no cell is in quotes"
            raise UsageError(problem, "leave --escape out, which is about quotes in quoted cells")
        if self.escape != "quote" and self.delimiter == "\\":
            problem = "the delimiter and the escape are both a backslash"
            raise UsageError(problem, "give another --delimiter, or leave --escape out")
        names = self.columns or ()
        if twice := [name for name in names if names.count(name) > 1]:
            raise UsageError(f"--columns names {twice[0]!r} twice", "give each column its own name")

    @property
    def given(self) -> tuple[str, ...]:
        """The options that are given, as the command line names them."""
        usual = CsvOptions()
        return tuple(
            "--no-header" if field.name == "columns" else f"--{field.name}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        )


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How an input is read."""

    text_column: str = TEXT_COLUMN
    csv: CsvOptions = CsvOptions()
    limit: int | None = None  # read the first so many rows only
    format: Kind | None = None  # None: by the extension


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """The columns that an output has beside those of its input."""

    scores: WhichScores = "label"
    label_names: tuple[str, ...] | None = None  # None: the model's own
    label_column: str = LABEL_COLUMN
    score_column: str = SCORE_COLUMN
    labels_column: str = LABELS_COLUMN  # multi-label models: the classes from the threshold on
    threshold: float = THRESHOLD


Spec = TypeVar("Spec", ModelSpec, CsvOptions, InputSpec, OutputSpec)


def pop_spec(kind: type[Spec], flat: dict[str, Any]) -> Spec:
    """Take the options of a spec out of flat ones, such as the command line has, and return it."""
    return kind(**{f.name: flat.pop(f.name) for f in fields(kind) if f.name in flat})


# The options that hold for every input, in the order of the run report.
_RECORDED = (
    *("text_column", "id_column", "scores", "label_names", "label_column", "score_column"),
    *("labels_column", "threshold"),
    *("limit", "chunk_rows", "overwrite", "max_rejects", "model", "device", "precision", "threads"),
    *("format", "encoding", "delimiter", "quote", "escape", "columns"),
    *("incremental", "resume", "lock_wait", "fail_on_drift"),
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One call of `tweetscore run`."""

    inputs: tuple[Path, ...] = ()  # none where they are URLs
    output: Path | None = None
    model_spec: ModelSpec = ModelSpec()
    input_spec: InputSpec = InputSpec()
    output_spec: OutputSpec = OutputSpec()
    id_column: str | None = None  # names the rows that an earlier output may have answered
    chunk_rows: int | None = None  # None: by device
    overwrite: bool = False
    max_rejects: int = 0
    incremental: bool = True  # leave outputs alone that are up to date
    resume: Resume = "auto"
    lock_wait: float = 0.0  # seconds
    fail_on_drift: float | None = None  # population stability index
    options_from: Mapping[str, str] = field(default_factory=dict)  # option -> where it was set
    #: What people know temporary files as, for messages and reports.
    names: Mapping[Path, str] = field(default_factory=dict)

    @classmethod
    def of(cls, inputs: tuple[Path, ...], output: Path | None = None, **flat: Any) -> Self:
        """Sort flat options, named as on the command line, into the specs."""
        flat["csv"] = pop_spec(CsvOptions, flat)
        return cls(
            inputs,
            output,
            pop_spec(ModelSpec, flat),
            pop_spec(InputSpec, flat),
            pop_spec(OutputSpec, flat),
            **flat,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the options that hold for every input, flat, as plain JSON."""
        specs = (self.model_spec, self.input_spec, self.input_spec.csv, self.output_spec, self)
        values = {f.name: getattr(spec, f.name) for spec in specs for f in fields(spec)}
        values["model"] = values["model"] and str(values["model"])
        values["threshold"] = float(values["threshold"])
        for name in ("label_names", "columns"):
            values[name] = values[name] and list(values[name])
        return {name: values[name] for name in _RECORDED}


def window_rows(device: str) -> int:
    """Return how many rows are read and scored at a time by default."""
    return CUDA_WINDOW if device == "cuda" else CPU_WINDOW


@contextmanager
def called(names: Mapping[Path, str]) -> Iterator[None]:
    """Let an error name temporary files as people know them."""

    def with_names(text: str) -> str:
        for path, name in names.items():
            text = text.replace(str(path), name)
        return text

    try:
        yield
    except TweetscoreError as error:
        if not names:
            raise
        raise error.reworded(with_names) from error
