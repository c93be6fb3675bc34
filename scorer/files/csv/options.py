"""What a call says of how its CSV files are written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from scorer.errors import UsageError
from scorer.files.csv.dialect import Dialect

NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
_ESCAPES = re.compile(r"\\t|\\x([0-9a-fA-F]{2})|\\u00([0-9a-fA-F]{2})")
# Quotes and line ends mean something else; with digits and a point our scores are written.
_NO_DELIMITERS = '"\r\n\0.0123456789'


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """The dialect and the encoding, as far as they are said; the rest is found in the file."""

    encoding: str | None = None  # None: UTF-8, or UTF-16 where a byte-order mark says so
    delimiter: str | None = None  # None: what the header shows, or the extension says
    quote: str = "double"  # or "none": quotes are data
    escape: str = "quote"  # of a quote in a quoted cell: another quote, or a "backslash"
    columns: tuple[str, ...] | None = None  # names for a file without a header

    @classmethod
    def recorded(cls, report: Mapping[str, Any]) -> Self:
        """Return how a run read its input, and so how its output is read."""
        options = report["options"]
        found = (report["input"] or {}).get("delimiter") or {}
        columns = options.get("columns")
        return cls(
            options["encoding"],
            options["delimiter"] or found.get("character"),
            options.get("quote", "double"),
            options.get("escape", "quote"),
            columns and tuple(columns),
        )

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

    def dialect(self, delimiter: str, ending: int) -> Dialect:
        """Return the dialect of a file with this delimiter and line ending."""
        return Dialect(
            ord(delimiter), ending, self.quote != "none", escape=self.escape == "backslash"
        )

    @property
    def given(self) -> tuple[str, ...]:
        """The names of what is said, as the command line has them."""
        usual = CsvOptions()
        return tuple(
            "--no-header" if field.name == "columns" else f"--{field.name}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(usual, field.name)
        )


def delimiter_of(text: str) -> str:
    r"""Return the character that is meant: itself, a name such as `tab`, or `\t` and `\x01`.

    Raises:
        UsageError: It is none, or none that can separate cells.
    """
    character = NAMES.get(text.lower(), text)
    if escape := _ESCAPES.fullmatch(text):
        character = chr(int(escape[1] or escape[2] or "9", 16))
    if len(character) != 1 or not character.isascii() or character in _NO_DELIMITERS:
        raise UsageError(
            f"the delimiter {text!r} is not usable",
            f"give one ASCII character that is no quote, digit or point, or one of "
            f"{', '.join(NAMES)}, \\t, \\x01",
        )
    return character


def typed(delimiter: str) -> str:
    """Return a delimiter as it is typed: `tab`, or the character itself."""
    return {"\t": "tab", " ": "space"}.get(delimiter, delimiter)
