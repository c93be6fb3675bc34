"""Reads the beginning of a CSV file: a sep= line, the header, and the delimiter they show.

Without an option, the delimiter is that of a line `sep=;` as Excel knows it, else the one of
`, ; TAB |` under which, alone of the four, the header has the text column, else the extension's.
Nothing else is guessed: where the column is missing, the delimiter that splits the header is a
hint.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from scorer.errors import DataError, UsageError
from scorer.formats.text.columns import find_column, likeliest, listed, named, short, visible
from scorer.formats.text.dialects import (
    CR,
    LF,
    Dialect,
    Failure,
    Record,
    delimiter_of,
    read_record,
    typed,
    unquoted,
)
from scorer.hints import options as as_typed
from scorer.options import CsvOptions

_CANDIDATES = ",;\t|"
_RARE = "^~\x01\x02\x07\x1c\x1d\x1e\x1f"  # Hive's and mainframes': hinted at, never chosen
_SEP_LINE = re.compile(rb'(?:sep=([\x01-\x7f])|"sep=([\x01-\x7f])")(?:\r?\n|\r|\Z)', re.IGNORECASE)
_LIKE_VALUE = re.compile(r"\s*[-+]?[\d.,:/-]*\d\s*|\S+(\s+\S+){3,}\s*")  # a number, or four words


@dataclass(frozen=True, slots=True)
class Head:
    """What is read before the first row."""

    content: bytes  # UTF-8: a sep= line, and the header where there is one, with their endings
    end: int  # where the header's line ending begins
    columns: tuple[str, ...]
    dialect: Dialect
    delimiter_from: str  # "option", "sep line", "header" or "extension"
    named: bool = True  # whether the names are in the file

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
        self._options = options
        given = options.delimiter
        self._given = None if given is None else delimiter_of(given)
        self._start, self._said = _sep_line(content)
        self._usual = usual
        self._cap = cap
        self._ending = CR if b"\r" in content and b"\n" not in content else LF

    def read(self, text_column: str) -> Head:
        """Return the head.

        Raises:
            DataError: There is none, it is broken, or it has no such column.
        """
        if self._options.columns:
            return self._without_header(self._options.columns, text_column)
        if self._start == len(self._content):
            raise DataError(f"{self._path} is empty", "a CSV file begins with a header line")
        delimiter, chosen_by = self._delimiter(text_column)
        dialect = self._dialect(delimiter)
        record = self._record(dialect, self._start)
        if isinstance(record, Failure):
            raise self._broken_header(record, delimiter, text_column)
        if record.end == self._start:
            raise DataError(
                f"the header of {self._path} is a blank line", "remove what is above the header"
            )
        columns = self._names(record)
        head = Head(self._content[: record.stop], record.end, columns, dialect, chosen_by)
        self._look_for_another_delimiter(head, text_column)
        self._look_for_a_row(columns, text_column)
        find_column(self._path, columns, text_column)
        return head

    def _without_header(self, columns: tuple[str, ...], text_column: str) -> Head:
        """Return the head of a file that begins with a row, which has as many cells as names."""
        delimiter, chosen_by = self._given or self._said or self._usual, "extension"
        if self._given or self._said:
            chosen_by = "option" if self._given else "sep line"
        found = self._cells(delimiter)
        if found not in {None, len(columns)}:
            problem = (
                f"the first record of {self._path} has {found} cell{'s' * (found != 1)}, "
                f"--columns names {len(columns)}"
            )
            others = [d for d in _CANDIDATES if d != delimiter and self._cells(d) == len(columns)]
            if len(others) == 1:
                hint = {"--delimiter": typed(others[0])}
                raise DataError(problem, f"did you mean {as_typed(hint)}?", hint)
            raise DataError(problem, "name each of its cells, in order")
        find_column(self._path, columns, text_column)
        start, dialect = self._start, self._dialect(delimiter)
        if self._begins_with(columns, dialect):
            raise DataError(
                f"the first record of {self._path} is the names that --columns has",
                "it is a header: leave --no-header and --columns out",
            )
        return Head(self._content[:start], start, columns, dialect, chosen_by, named=False)

    def _begins_with(self, columns: tuple[str, ...], dialect: Dialect) -> bool:
        record = self._record(dialect, self._start)
        is_text = isinstance(record, Record) and _is_text(self._content[self._start : record.stop])
        return isinstance(record, Record) and is_text and self._names(record) == columns

    def _cells(self, delimiter: str) -> int | None:
        """Return how many cells the first record has, if it is sound and not blank."""
        record = self._record(self._dialect(delimiter), self._start)
        if isinstance(record, Failure) or record.end == self._start:
            return None
        return len(record.cells)

    def _delimiter(self, text_column: str) -> tuple[str, str]:
        """Return the delimiter, and what says so."""
        if self._given:
            return self._given, "option"
        if self._said:
            return self._said, "sep line"
        holding = [v.delimiter for v in self._views(self._usual) if named(v.columns, text_column)]
        if len(holding) == 1 and holding[0] != self._usual:
            return holding[0], "header"
        return self._usual, "extension"

    def _views(self, beside: str, candidates: str = _CANDIDATES) -> list[_View]:
        """Return the header under one delimiter and those others that are in it."""
        head = self._content[self._start : self._start + self._cap + 1]
        views = []
        for delimiter in (beside, *candidates.replace(beside, "")):
            if delimiter == beside or delimiter.encode() in head:
                dialect = self._dialect(delimiter)
                record = self._record(dialect, self._start)
                if isinstance(record, Record) and _is_text(self._content[: record.stop]):
                    row = self._record(dialect, record.stop)
                    cells = len(row.cells) if isinstance(row, Record) else 0
                    fits = cells == len(record.cells) or record.stop == len(self._content)
                    views.append(_View(delimiter, self._names(record), fits))
        return views

    def _dialect(self, delimiter: str) -> Dialect:
        options = self._options
        quoting, escape = options.quote != "none", options.escape == "backslash"
        return Dialect(ord(delimiter), self._ending, quoting, escape=escape)

    def _record(self, dialect: Dialect, start: int) -> Record | Failure:
        limit = min(len(self._content), start + self._cap + 1)
        return read_record(self._content, start, dialect, limit, at_end=limit == len(self._content))

    def _names(self, record: Record) -> tuple[str, ...]:
        dialect = self._dialect(",")  # whichever separates cells, they are quoted alike
        cells = (unquoted(self._content[a:b], dialect) for a, b in record.cells)
        return tuple(cell.decode("utf-8") for cell in cells)

    def _look_for_another_delimiter(self, head: Head, text_column: str) -> None:
        """Raise the error that leads on where the header is to be split otherwise."""
        found = named(head.columns, text_column)
        if found and (len(head.columns) > 1 or head.delimiter_from in {"option", "sep line"}):
            return
        is_one = len(head.columns) == 1
        current, *others = self._views(head.delimiter, _CANDIDATES + _RARE * is_one)
        # A whole line that is the name of a column is what a wrong delimiter makes of a header.
        others = [v for v in others if not found or v.delimiter in text_column]
        holding = [v for v in others if named(v.columns, text_column)]
        if holding:
            raise self._other_delimiter(head, holding[0], text_column)
        best = max((v for v in others if v.fits), key=lambda v: len(v.columns), default=current)
        least = len(current.columns) if current.fits else 1
        if best is not current and len(best.columns) > least:
            raise self._other_delimiter(head, best, text_column)

    def _broken_header(self, found: Failure, delimiter: str, text_column: str) -> DataError:
        """Return the error of a header that cannot be read: often as it is to be split otherwise.

        Quoted names are cells only under the delimiter that stands between them.
        """
        problem = f"the header of {self._path} is broken: {found.reason}"
        views = self._views(delimiter, _CANDIDATES + _RARE)
        others = [v for v in views if v.delimiter != delimiter]
        others = [
            v for v in others if len(v.columns) > 1 and (v.fits or v.delimiter in _CANDIDATES)
        ]
        if not others:
            return DataError(problem, f"mend line {2 if self._start else 1}")
        best = max(
            others, key=lambda v: (bool(named(v.columns, text_column)), v.fits, len(v.columns))
        )
        return self._split_otherwise(problem, best, text_column)

    def _look_for_a_row(self, columns: tuple[str, ...], text_column: str) -> None:
        """Raise an error about files without a header, where this seems to be one."""
        if named(columns, text_column) or likeliest(columns, text_column):
            return
        if any(map(_LIKE_VALUE.fullmatch, columns)):
            names = "one name" if len(columns) == 1 else f"{len(columns)} names"
            raise DataError(
                f"{self._path} has no column {short(text_column)!r}, only: {listed(columns)}",
                f"name one with --text-column; or, if that is a row, give --no-header and {names} "
                "as --columns A,B,...",
            )

    def _other_delimiter(self, head: Head, view: _View, text_column: str) -> DataError:
        now = f"no column {short(text_column)!r}, only: {listed(head.columns)}"
        if named(head.columns, text_column):
            now = f"one column {short(text_column)!r}"
        return self._split_otherwise(f"{self._path} has {now}", view, text_column)

    def _split_otherwise(self, problem: str, view: _View, text_column: str) -> DataError:
        """Return the error that names a delimiter and, where it has another name, the column."""
        hint = {"--delimiter": typed(view.delimiter)}
        instead = as_typed(hint)
        problem = f"{problem}; with {instead} it has: {listed(view.columns)}"
        if not named(view.columns, text_column):
            likely = likeliest(view.columns, text_column)
            if likely is None:
                return DataError(problem, f"give {instead}, and name one with --text-column")
            hint["--text-column"] = visible(likely) or likely
        return DataError(problem, f"did you mean {as_typed(hint)}?", hint)


def _sep_line(content: bytes) -> tuple[int, str]:
    """Return where a line `sep=;` ends, and its character; 0 and '' where there is none."""
    found = _SEP_LINE.match(content)
    if found is None:
        return 0, ""
    try:
        return found.end(), delimiter_of((found[1] or found[2]).decode("ascii"))
    except UsageError:
        return 0, ""


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
