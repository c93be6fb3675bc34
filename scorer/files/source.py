"""What a format is to the rest of the program, and what travels back to it for writing."""

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from scorer.errors import DataError, StorageError, UsageError
from scorer.files.transcode import Encoding
from scorer.records import Answers, TextWindow

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

NOTHING_FOUND: Mapping[str, Any] = MappingProxyType({})
RECORD_CAP = 1 << 20  # bytes of UTF-8 in a record or line of a text format


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """The columns that scoring appends, after all columns of the input."""

    label_column: str
    score_column: str
    label_values: tuple[str, ...]  # in class-id order
    score_columns: tuple[str, ...] = ()  # one per class, in class-id order, or none

    @classmethod
    def recorded(cls, report: Mapping[str, Any]) -> "OutputColumns":
        """Return the columns that a run appended, as its report tells."""
        options, labels = report["options"], report["labels"]
        every = labels if options["scores"] == "all" else ()
        return cls(
            options["label_column"],
            options["score_column"],
            tuple(label["written_as"] for label in labels),
            tuple(f"score_{label['name']}" for label in every),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in the order in which they are appended."""
        return (self.label_column, self.score_column, *self.score_columns)

    def check_against(
        self, columns: Iterable[str], options: str = "--label-column and --score-column"
    ) -> None:
        """Raise UsageError, which tells of the options, when a name is taken or used twice."""
        given = frozenset(columns)
        taken = set(given)
        for name in self.names:
            if name in taken:
                raise UsageError(
                    f"the column {name!r} exists already",
                    f"choose other names with {options}",
                    self._free(given) if options.startswith("--") else None,
                )
            taken.add(name)

    def _free(self, columns: Collection[str]) -> dict[str, str | None]:
        """Return options that name the label and the score as nothing else is named."""
        used = {*columns, *self.score_columns}
        found: dict[str, str | None] = {}
        for option, name in (
            ("--label-column", self.label_column),
            ("--score-column", self.score_column),
        ):
            others = (f"{name}_{number}" for number in count(2))
            free = next(each for each in chain([name], others) if each not in used)
            used.add(free)
            if free != name:
                found[option] = free
        return found

    def check_encoding(self, encoding: Encoding) -> None:
        """Raise UsageError when a name or a label cannot be written in the encoding."""
        for text in (*self.names, *self.label_values):
            if not encoding.can_hold(text):
                raise UsageError(
                    f"{text!r} cannot be written in the encoding {encoding.codec}",
                    "choose other names",
                )


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSlice(Answers):
    """The stored answers for one window."""

    offset: int  # of the first row in the input, rejects not counted
    digest: bytes  # of the window's texts, by TextDigest


class TextDigest:
    """A hash of texts in order that does not depend on how they come in pieces."""

    def __init__(self) -> None:
        self._lengths = hashlib.blake2b(digest_size=16)
        self._bytes = hashlib.blake2b(digest_size=16)

    def update(self, texts: "pl.Series") -> None:
        """Add a String series; null and '' are told apart."""
        if texts.is_empty():
            return
        lengths = texts.str.len_bytes().cast(int).fill_null(-1)
        self._lengths.update(lengths.to_numpy().tobytes())
        self._bytes.update(texts.str.join("", ignore_nulls=True).item().encode())

    def digest(self) -> bytes:
        """Return 32 bytes."""
        return self._lengths.digest() + self._bytes.digest()


def text_digest(texts: "pl.Series") -> bytes:
    """Return the digest of one window's texts."""
    digest = TextDigest()
    digest.update(texts)
    return digest.digest()


def input_changed(path: Path) -> DataError:
    """Return the error for a second pass that meets other texts than the first."""
    return DataError(f"{path} changed while it was scored", "run again when nobody writes to it")


@contextmanager
def blaming_changes(path: Path, has_changed: Callable[[], bool]) -> Iterator[None]:
    """Call an input changed that looks damaged because somebody is writing it."""
    try:
        yield
    except DataError as error:
        if has_changed():
            raise input_changed(path) from error
        raise


def check_offset(path: Path, part: ScoredSlice, reached: int) -> None:
    """Raise StorageError unless the slice begins at the row that the second pass has reached."""
    if part.offset != reached:
        raise StorageError(
            f"the stored results for {path} go on at row {part.offset} instead of {reached}",
            "run again",
        )


class Source(Protocol):
    """One input file: read once for its texts, a second time to be written with its scores."""

    @property
    def path(self) -> Path:
        """The input."""

    @property
    def format(self) -> str:
        """What it is called in the run report: `csv`, `ndjson` ..."""

    @property
    def encoding(self) -> str:
        """The codec of a reject's raw bytes."""

    @property
    def found(self) -> Mapping[str, Any]:
        """What was found out about how it is written, for the run report."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is odd about the rows that `windows` had so far: a warning each."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the input's columns, in order."""

    def windows(self, rows: int) -> Iterator[TextWindow]:
        """Yield the texts in windows of at most `rows` rows, memory flat."""

    def values(self, column: str) -> "Iterator[pl.Series]":
        """Return the values of a column in pieces, for the same rows: String.

        A value that is neither text nor a whole number is null, where a column can be of several
        kinds.

        Raises:
            DataError: at once, when there is no such column, or it is of another type.
        """

    def check_plan(self, plan: OutputColumns) -> None:
        """Raise UsageError, before any work, where `write_scored` could not write the columns."""

    def write_scored(
        self, destination: Path, plan: OutputColumns, results: Iterable[ScoredSlice]
    ) -> int:
        """Write the input's rows with their scores to a new file and return their number."""
