"""Finding the text column by its name."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import DataError

_SHOWN = 20
_NAME_SHOWN = 60  # characters of a column's name; a hostile header's may be a MiB
_COMPARED = 1000  # columns among which the likeliest is looked for
_USUAL = ("text", "tweet", "full_text", "content", "message", "body")


def find_text_column(
    place: Path | str, columns: Sequence[str], name: str, option: str = "--text-column"
) -> int:
    """Return the number of the column; raise DataError when it is missing or there twice.

    `place` and `option` are what the message calls the input and the way to name a column.
    """
    found = columns.count(name)
    if found == 1:
        return columns.index(name)
    if found:
        raise DataError(f"{place} has {found} columns {name!r}", "rename all but one")
    shown = ", ".join(map(_short, columns[:_SHOWN])) + (", ..." if len(columns) > _SHOWN else "")
    likely = _likeliest(columns[:_COMPARED], name)
    remedy = f"did you mean {option} {likely}?" if likely else f"name one with {option}"
    if any("\0" in column for column in columns):
        remedy = "if it is UTF-16, give --encoding utf-16-le or utf-16-be; else convert it to UTF-8"
    raise DataError(f"{place} has no column {name!r}, only: {shown}", remedy)


def _short(column: str) -> str:
    return column if len(column) <= _NAME_SHOWN else column[:_NAME_SHOWN] + "..."


def _likeliest(columns: Sequence[str], name: str) -> str | None:
    named = [column for column in columns if len(column) <= _NAME_SHOWN]
    by_lower = {column.strip().lower(): column for column in reversed(named)}
    for wanted in (name.lower(), *_USUAL):
        close = difflib.get_close_matches(wanted, by_lower, n=1)
        if close:
            return by_lower[close[0]]
    return None
