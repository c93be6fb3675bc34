r"""Dialects of CSV: delimiter, quotes and escapes, as options name them and as records use them."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scorer.errors import UsageError

if TYPE_CHECKING:  # what loads numpy: the command line knows these rules too
    from scorer.records import RejectKind

QUOTE, CR, LF, BACKSLASH = 0x22, 0x0D, 0x0A, 0x5C

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
_NUMBERED = re.compile(r"\\t|\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})")
# Quotes and line ends mean something else; with digits and a point our scores are written.
_NO_DELIMITERS = '"\r\n\0.0123456789'

_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_ESCAPED = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_ESCAPE = re.compile(rb'\\(["\\])')


@dataclass(frozen=True, slots=True)
class Dialect:
    """How records of one file are delimited."""

    delimiter: int  # one ASCII byte
    ending: int = LF  # or CR
    quoting: bool = True
    escape: bool = False  # a backslash, not another quote, makes a quote data
    plain_cell: re.Pattern[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Prepare the pattern of a cell without quotes."""
        stops = re.escape(bytes([self.delimiter, self.ending]))
        object.__setattr__(self, "plain_cell", re.compile(rb"[^" + stops + rb"]*+"))

    @property
    def quoted_cell(self) -> re.Pattern[bytes]:
        """The pattern of a cell in quotes."""
        return _ESCAPED if self.escape else _QUOTED

    def can_hold(self, cell: str) -> bool:
        """Tell whether a value of ours can be a cell."""
        return self.quoting or not any(c in cell for c in f"\r\n{chr(self.delimiter)}")


@dataclass(frozen=True, slots=True)
class Record:
    """Where a well-formed record and its cells lie."""

    end: int  # of its content
    stop: int  # after its line ending
    cells: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no record begins here, and how far was read to know it."""

    kind: "RejectKind"
    reason: str
    reach: int


def read_record(
    data: bytes, start: int, dialect: Dialect, limit: int, *, at_end: bool
) -> Record | Failure:
    """Read the record at `start`, looking at nothing from `limit` on.

    Args:
        data: UTF-8.
        start: Offset of the record's first byte.
        dialect: How records are delimited.
        limit: Offset behind the last byte that the record, its line ending included, may have.
        at_end: The input ends at `limit`.
    """
    cells: list[tuple[int, int]] = []
    at = start
    while True:
        quoted = dialect.quoting and at < limit and data[at] == QUOTE
        match = (dialect.quoted_cell if quoted else dialect.plain_cell).match(data, at, limit)
        if match is None:
            return Failure("open-quote", "a quoted cell is not closed", limit)
        end = match.end()
        if end < limit and data[end] == dialect.delimiter:
            cells.append((at, end))
            at = end + 1
            continue
        stop = _line_end(data, end, dialect, limit)
        if stop is None and end == limit and at_end:
            stop = end
        if stop is not None:
            if not quoted and dialect.ending == LF and stop > end > at and data[end - 1] == CR:
                end -= 1
            return Record(end, stop, (*cells, (at, end)))
        cut = end == limit or (data[end] == CR and end + 1 == limit and dialect.ending == LF)
        if cut and not at_end:
            return Failure("record-too-long", "the record is longer than the cap", limit)
        return Failure("text-after-quote", "text follows a closing quote", end)


def _line_end(data: bytes, at: int, dialect: Dialect, limit: int) -> int | None:
    """Return the offset behind the line ending at `at`, or None where there is none."""
    if at < limit and data[at] == dialect.ending:
        return at + 1
    if dialect.ending == LF and at + 1 < limit and data[at] == CR and data[at + 1] == LF:
        return at + 2
    return None


def unquoted(cell: bytes, dialect: Dialect) -> bytes:
    """Return a cell's value."""
    if not dialect.quoting or not cell.startswith(b'"'):
        return cell
    content = cell[1:-1]
    return _ESCAPE.sub(rb"\1", content) if dialect.escape else content.replace(b'""', b'"')


def quoted_if_needed(cell: str, dialect: Dialect) -> str:
    """Return a value as a cell, in quotes only where it would not be read back without."""
    plain = cell and not any(c in cell for c in f'"\r\n{chr(dialect.delimiter)}')
    if plain or not dialect.quoting:
        return cell
    if dialect.escape:
        cell = cell.replace("\\", "\\\\").replace('"', '\\"')
    else:
        cell = cell.replace('"', '""')
    return f'"{cell}"'


def delimiter_of(text: str) -> str:
    r"""Return the character that is meant: itself, a name such as `tab`, or `\t` and `\x01`.

    Raises:
        UsageError: It is none, or none that can separate cells.
    """
    character = DELIMITERS.get(text.lower(), text)
    if escape := _NUMBERED.fullmatch(text):
        character = chr(int(escape[1] or escape[2] or "9", 16))
    if len(character) != 1 or not character.isascii() or character in _NO_DELIMITERS:
        raise UsageError(
            f"the delimiter {text!r} is not usable",
            f"give one ASCII character that is no quote, digit or point, or one of "
            f"{', '.join(DELIMITERS)}, \\t, \\x01",
        )
    return character


def typed(delimiter: str) -> str:
    """Return a delimiter as it is typed: `tab`, or the character itself."""
    return {"\t": "tab", " ": "space"}.get(delimiter, delimiter)
