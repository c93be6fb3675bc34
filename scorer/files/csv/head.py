"""How a CSV file begins: its header, and the delimiter that the header shows.

Without an option, the delimiter is the one of `, ; TAB |` under which, alone of the four, the
header has the text column; otherwise the extension's. Nothing else is guessed: where the column is
missing, the delimiter that splits the header is a hint.
"""

from dataclasses import dataclass
from pathlib import Path

from scorer.errors import DataError
from scorer.files.columns import find_column, likeliest, listed, named, short, visible
from scorer.files.csv.dialect import CR, LF, Dialect, Failure, Record, read_record, unquoted
from scorer.files.csv.options import CsvOptions, delimiter_of, typed
from scorer.hints import options as as_typed

_CANDIDATES = ",;\t|"


@dataclass(frozen=True, slots=True)
class Head:
    """What is read before the first row."""

    content: bytes  # UTF-8, line ending included
    end: int  # where the line ending begins
    columns: tuple[str, ...]
    dialect: Dialect
    delimiter_from: str  # "option", "header" or "extension"

    @property
    def delimiter(self) -> str:
        """The character between cells."""
        return chr(self.dialect.delimiter)


@dataclass(frozen=True, slots=True)
class _View:
    """The header under one delimiter."""

    delimiter: str
    columns: tuple[str, ...]
    fits: bool  # whether the first record, if there is one, has as many cells


class HeadReader:
    """Reads the head of one file."""

    def __init__(
        self, path: Path, content: bytes, options: CsvOptions, *, usual: str, cap: int
    ) -> None:
        """Take what the file begins with.

        Args:
            path: For messages.
            content: UTF-8: all of it, or more than the cap.
            options: What is said of the file.
            usual: The delimiter that its extension stands for.
            cap: Most bytes of a record.
        """
        self._path = path
        self._content = content
        given = options.delimiter
        self._given = None if given is None else delimiter_of(given)
        self._usual = usual
        self._cap = cap
        self._ending = CR if b"\r" in content and b"\n" not in content else LF

    def read(self, text_column: str) -> Head:
        """Return the head.

        Raises:
            DataError: There is none, it is broken, or it has no such column.
        """
        if not self._content:
            raise DataError(f"{self._path} is empty", "a CSV file begins with a header line")
        delimiter, chosen_by = self._delimiter(text_column)
        dialect = Dialect(ord(delimiter), self._ending)
        record = self._record(dialect)
        if isinstance(record, Failure):
            problem = f"the header of {self._path} is broken: {record.reason}"
            raise DataError(problem, "mend line 1")
        columns = self._names(record)
        head = Head(self._content[: record.stop], record.end, columns, dialect, chosen_by)
        self._look_for_another_delimiter(head, text_column)
        find_column(self._path, columns, text_column)
        return head

    def _delimiter(self, text_column: str) -> tuple[str, str]:
        """Return the delimiter, and what says so."""
        if self._given:
            return self._given, "option"
        holding = [v.delimiter for v in self._views(self._usual) if named(v.columns, text_column)]
        if len(holding) == 1 and holding[0] != self._usual:
            return holding[0], "header"
        return self._usual, "extension"

    def _views(self, beside: str) -> list[_View]:
        """Return the header under one delimiter and those others that are in it."""
        head = self._content[: self._cap + 1]
        views = []
        for delimiter in (beside, *_CANDIDATES.replace(beside, "")):
            if delimiter == beside or delimiter.encode() in head:
                dialect = Dialect(ord(delimiter), self._ending)
                record = self._record(dialect)
                if isinstance(record, Record) and _is_text(self._content[: record.stop]):
                    row = self._record(dialect, record.stop)
                    cells = len(row.cells) if isinstance(row, Record) else 0
                    fits = cells == len(record.cells) or record.stop == len(self._content)
                    views.append(_View(delimiter, self._names(record), fits))
        return views

    def _record(self, dialect: Dialect, start: int = 0) -> Record | Failure:
        limit = min(len(self._content), start + self._cap + 1)
        return read_record(self._content, start, dialect, limit, at_end=limit == len(self._content))

    def _names(self, record: Record) -> tuple[str, ...]:
        cells = (unquoted(self._content[a:b]) for a, b in record.cells)
        return tuple(cell.decode("utf-8") for cell in cells)

    def _look_for_another_delimiter(self, head: Head, text_column: str) -> None:
        """Raise the error that leads on where the header is to be split otherwise."""
        found = named(head.columns, text_column)
        if found and (len(head.columns) > 1 or head.delimiter_from == "option"):
            return
        current, *others = self._views(head.delimiter)
        # A whole line that is the name of a column is what a wrong delimiter makes of a header.
        others = [v for v in others if not found or v.delimiter in text_column]
        holding = [v for v in others if named(v.columns, text_column)]
        if holding:
            raise self._other_delimiter(head, holding[0], text_column)
        best = max((v for v in others if v.fits), key=lambda v: len(v.columns), default=current)
        if len(best.columns) > (len(current.columns) if current.fits else 1):
            raise self._other_delimiter(head, best, text_column)

    def _other_delimiter(self, head: Head, view: _View, text_column: str) -> DataError:
        hint = {"--delimiter": typed(view.delimiter)}
        instead = as_typed(hint)
        now = f"no column {short(text_column)!r}, only: {listed(head.columns)}"
        if named(head.columns, text_column):
            now = f"one column {short(text_column)!r}"
        problem = f"{self._path} has {now}; with {instead} it has: {listed(view.columns)}"
        if not named(view.columns, text_column):
            likely = likeliest(view.columns, text_column)
            if likely is None:
                return DataError(problem, f"give {instead}, and name one with --text-column")
            hint["--text-column"] = visible(likely) or likely
        return DataError(problem, f"did you mean {as_typed(hint)}?", hint)


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
