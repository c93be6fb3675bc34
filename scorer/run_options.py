"""What a run is asked for, what it needs, and what it answers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from scorer.errors import TweetscoreError
from scorer.files.csv.options import CsvOptions
from scorer.records import Answers, Resume, Scores

if TYPE_CHECKING:
    import polars as pl

    from scorer.files.formats import Kind
    from scorer.inference.bundle import Bundle
    from scorer.inference.gate import Figures
    from scorer.inference.runtime.select import Device, Precision
    from scorer.inference.runtime.session import RuntimeInfo

STDIN, STDOUT = "standard input", "standard output"  # as messages and reports have them

CPU_WINDOW = 16_384
CUDA_WINDOW = 262_144


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One call of `tweetscore run`."""

    inputs: tuple[Path, ...]
    output: Path | None = None
    text_column: str = "text"
    id_column: str | None = None  # names the rows that an earlier output may have answered
    scores: Literal["label", "all"] = "label"
    label_names: tuple[str, ...] | None = None
    label_column: str = "label"
    score_column: str = "score"
    limit: int | None = None
    chunk_rows: int | None = None  # None: by device
    overwrite: bool = False
    max_rejects: int = 0
    model: Path | None = None  # None: the embedded bundle
    device: "Device" = "auto"
    precision: "Precision" = "auto"
    threads: int | None = None
    format: "Kind | None" = None  # of the inputs, whatever their extensions say
    encoding: str | None = None
    delimiter: str | None = None
    quote: Literal["double", "none"] = "double"
    escape: Literal["quote", "backslash"] = "quote"
    columns: tuple[str, ...] | None = None  # of CSV without a header
    incremental: bool = True  # leave outputs alone that are up to date
    resume: Resume = "auto"
    lock_wait: float = 0.0  # seconds
    fail_on_drift: float | None = None  # population stability index
    options_from: Mapping[str, str] = field(default_factory=dict)  # option -> where it was set
    #: What people know temporary files as, for messages and reports.
    names: Mapping[Path, str] = field(default_factory=dict)

    @property
    def csv(self) -> CsvOptions:
        """What is said of CSV files."""
        return CsvOptions(self.encoding, self.delimiter, self.quote, self.escape, self.columns)

    def as_json(self) -> dict[str, Any]:
        """Return the options that hold for every input, as plain JSON."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("inputs", "output", "options_from", "names"):
            del values[name]
        names = self.label_names and list(self.label_names)
        columns = self.columns and list(self.columns)
        model = self.model and str(self.model)
        return values | {"model": model, "label_names": names, "columns": columns}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one input."""

    input: Path
    output: Path
    report: dict[str, Any]
    warnings: tuple[str, ...] = ()
    error: TweetscoreError | None = None
    up_to_date: bool = False  # the output held already what this run would have written
    #: What has drifted too far for `fail_on_drift`, with its index; the output is complete.
    outside: Mapping[str, float] = field(default_factory=dict)
    url: str = ""  # of the output, where it is no file; without secrets
    input_url: str = ""  # likewise
    was_checked: bool = False  # call and input were in order: a failure after that is reported

    @property
    def named_input(self) -> str:
        """The input as people know it."""
        return self.input_url or str(self.input)

    @property
    def named_output(self) -> str:
        """The output as people know it."""
        return self.url or str(self.output)


class Model(Protocol):
    """A model that has been verified, and is loaded when somebody needs it."""

    @property
    def bundle(self) -> "Bundle":
        """What the model is."""

    def load(self) -> "Loaded":
        """Load it: its texts can be prepared, and it has not proven itself."""

    def prove(self, first: Any = None) -> "TextClassifier":
        """Return the classifier, proven on the canary.

        Args:
            first: A prepared window, the first to be scored. Where the canary is still to be
                scored, its texts may go through the model in the same batches.
        """


class Loaded(Protocol):
    """What can be had of a model before it has proven itself."""

    @property
    def device(self) -> str:
        """Where it runs: `cuda`, `openvino` or `builtin`."""

    def prepare(self, texts: "pl.Series") -> Any:
        """Normalise and tokenise one window."""


class TextClassifier(Protocol):
    """What the pipeline needs of `scorer.inference.classifier.Classifier`."""

    runtime: "RuntimeInfo"
    canary: "Figures"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know of the model so far."""

    def prepare(self, texts: "pl.Series") -> Any:
        """Normalise and tokenise one window."""

    def score(self, prepared: Any, known: Answers | None = None) -> Scores:
        """Run the model on a prepared window, but for what is known."""


def window_rows(device: str) -> int:
    """Return how many rows are read and scored at a time, unless a number is asked for."""
    return CUDA_WINDOW if device == "cuda" else CPU_WINDOW


@contextmanager
def called(names: Mapping[Path, str]) -> Iterator[None]:
    """Let an error tell of temporary files by the names that people know."""

    def in_words(text: str) -> str:
        for path, name in names.items():
            text = text.replace(str(path), name)
        return text

    try:
        yield
    except TweetscoreError as error:
        if not names:
            raise
        raise error.reworded(in_words) from error
