"""Finding the text column by its name."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import DataError

_SHOWN = 20
_USUAL = ("text", "tweet", "full_text", "content", "message", "body")


def find_text_column(path: Path, columns: Sequence[str], name: str) -> int:
    """Return the number of the column; raise DataError when it is missing or there twice."""
    found = columns.count(name)
    if found == 1:
        return columns.index(name)
    if found:
        raise DataError(f"{path} has {found} columns {name!r}", "rename all but one")
    shown = ", ".join(columns[:_SHOWN]) + (", ..." if len(columns) > _SHOWN else "")
    likely = _likeliest(columns, name)
    remedy = f"did you mean --text-column {likely}?" if likely else "name one with --text-column"
    raise DataError(f"{path} has no column {name!r}, only: {shown}", remedy)


def _likeliest(columns: Sequence[str], name: str) -> str | None:
    by_lower = {column.strip().lower(): column for column in reversed(columns)}
    for wanted in (name.lower(), *_USUAL):
        close = difflib.get_close_matches(wanted, by_lower, n=1)
        if close:
            return by_lower[close[0]]
    return None
