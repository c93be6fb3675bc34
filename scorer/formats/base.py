"""The interface of a format, and the second pass that all formats share."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from scorer.errors import DataError, StorageError
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.columns import ValuesOption
from scorer.formats.written import Written
from scorer.records import Answers, TextWindow

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

NOTHING_FOUND: Mapping[str, Any] = MappingProxyType({})
RECORD_CAP = 1 << 20  # bytes of UTF-8 in a record or line of a text format


class Sliced(Protocol):
    """A column of polars or of pyarrow."""

    def __getitem__(self, rows: slice, /) -> Self:
        """Return some of its rows."""


Rows = TypeVar("Rows", bound=Sized)
Column = TypeVar("Column", bound=Sliced)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSlice(Answers):
    """The stored answers for one window."""

    offset: int  # of the first row in the input, rejects not counted
    digest: bytes  # of the window's texts, by TextDigest


class TextDigest:
    """A hash of texts in order that does not depend on how they are cut into batches."""

    def __init__(self) -> None:
        self._lengths = hashlib.blake2b(digest_size=16)
        self._bytes = hashlib.blake2b(digest_size=16)

    def update(self, texts: "pl.Series") -> None:
        """Add a String series; null and '' differ."""
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


def check_digests(
    path: Path, texts: "Iterator[pl.Series]", windows: Iterable[tuple[int, bytes]]
) -> None:
    """Raise DataError unless texts are those of windows.

    Args:
        path: The input, for the message.
        texts: In batches.
        windows: The number of texts in each, and their digest.
    """
    rows = Rebatcher(texts, lambda batch, start, stop: batch[start:stop])
    for size, wanted in windows:
        digest = TextDigest()
        for batch in rows.take(size):
            digest.update(batch)
        if digest.digest() != wanted:
            raise input_changed(path)
    if rows.has_more():
        raise input_changed(path)


def input_changed(path: Path) -> DataError:
    """Return the error for a second pass that meets other texts than the first."""
    return DataError(f"{path} changed while it was scored", "run again when nobody writes to it")


@contextmanager
def blaming_changes(path: Path, has_changed: Callable[[], bool]) -> Iterator[None]:
    """Report an input as changed where it seems damaged because another program is writing it."""
    try:
        yield
    except DataError as error:
        if has_changed():
            raise input_changed(path) from error
        raise


class Rebatcher(Generic[Rows]):
    """Cuts a stream of batches of rows anew, holding one of them at a time."""

    def __init__(self, batches: Iterator[Rows], cut: Callable[[Rows, int, int], Rows]) -> None:
        self._batches = batches
        self._cut = cut
        self._held: Rows | None = None
        self._at = 0

    def take(self, rows: int) -> Iterator[Rows]:
        """Yield the next `rows` rows in batches, fewer at the end of the stream."""
        while rows and (held := self._current()) is not None:
            stop = min(len(held), self._at + rows)
            yield self._cut(held, self._at, stop)
            rows -= stop - self._at
            self._at = stop

    def has_more(self) -> bool:
        """Tell whether rows are left."""
        return self._current() is not None

    def _current(self) -> Rows | None:
        while self._held is None or self._at == len(self._held):
            self._held = next(self._batches, None)
            self._at = 0
            if self._held is None:
                return None
        return self._held


def in_order(path: Path, results: Iterable[ScoredSlice]) -> Iterator[ScoredSlice]:
    """Yield results for an input; StorageError where they are not one after the other."""
    reached = 0
    for part in results:
        if part.offset != reached:
            raise StorageError(
                f"the stored results for {path} go on at row {part.offset} instead of {reached}",
                "run again",
            )
        yield part
        reached += len(part)


def second_pass(
    path: Path,
    rows: Rebatcher[Rows],
    texts_of: "Callable[[Rows], pl.Series]",
    results: Iterable[ScoredSlice],
    columns_of: Callable[[Answers], Sequence[Column]],
) -> Iterator[tuple[Rows, list[Column]]]:
    """Yield the input's rows once more in batches, each with the columns that scoring appends.

    Args:
        path: The input, for messages.
        rows: All of its rows.
        texts_of: Returns the texts of a batch.
        results: What the first pass stored, in order.
        columns_of: Returns what is appended to the rows that some answers belong to.

    Raises:
        DataError: The texts are not those that were scored.
        StorageError: The results are not one after the other.
    """
    for part in in_order(path, results):
        columns = columns_of(part)
        digest = TextDigest()
        at = 0
        for batch in rows.take(len(part)):
            digest.update(texts_of(batch))
            yield batch, [column[at : at + len(batch)] for column in columns]
            at += len(batch)
        if at != len(part) or digest.digest() != part.digest:
            raise input_changed(path)
    if rows.has_more():
        raise input_changed(path)


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

    def values(self, column: str, option: ValuesOption = "--id-column") -> "Iterator[pl.Series]":
        """Return the values of a column in batches, for the same rows: String.

        Ids are text or whole numbers; labels are numbers and truth values too. Another value is
        null, where a column can be of several kinds. `option` is what names the column.

        Raises:
            DataError: at once, when there is no such column, or it is of another type.
        """

    def check_output_schema(self, output_schema: OutputColumns) -> None:
        """Raise UsageError, before any work, where `write_scored` could not write the columns."""

    def write_scored(
        self, destination: Path, output_schema: OutputColumns, results: Iterable[ScoredSlice]
    ) -> Written:
        """Write the input's rows with their scores to a new file."""
