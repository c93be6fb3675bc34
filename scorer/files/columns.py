"""Finding a column by its name."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import DataError

_SHOWN = 20
_NAME_SHOWN = 60  # characters of a column's name; a hostile header's may be a MiB
_COMPARED = 1000  # columns among which the likeliest is looked for
_TEXTS = ("text", "tweet", "full_text", "content", "message", "body")
_USUAL = {
    "--text-column": _TEXTS,
    "text_column": _TEXTS,  # as Python's callers name it
    "--id-column": ("id", "tweet_id", "id_str", "status_id"),
}


def check_column(path: Path, columns: Sequence[str], name: str) -> None:
    """Raise DataError unless there is one column of that name."""
    if (found := columns.count(name)) > 1:
        raise DataError(f"{path} has {found} columns {_short(name)!r}", "rename all but one")
    if not found:
        raise DataError(f"{path} has no column {_short(name)!r}", f"it has {_listed(columns)}")


def find_column(
    place: Path | str, columns: Sequence[str], name: str, option: str = "--text-column"
) -> int:
    """Return the number of the column; raise DataError when it is missing or there twice.

    Args:
        place: The file, or what else has columns, for messages.
        columns: Its columns' names.
        name: The one that is wanted.
        option: By which the user names it.
    """
    found = columns.count(name)
    if found == 1:
        return columns.index(name)
    if found:
        raise DataError(f"{place} has {found} columns {name!r}", "rename all but one")
    likely = _likeliest(columns[:_COMPARED], name, _USUAL[option])
    remedy = f"did you mean {option} {likely}?" if likely else f"name one with {option}"
    if any("\0" in column for column in columns):
        remedy = "if it is UTF-16, give --encoding utf-16-le or utf-16-be; else convert it to UTF-8"
    raise DataError(f"{place} has no column {name!r}, only: {_listed(columns)}", remedy)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(_short, columns[:_SHOWN])) + (", ..." if len(columns) > _SHOWN else "")


def _short(column: str) -> str:
    return column if len(column) <= _NAME_SHOWN else column[:_NAME_SHOWN] + "..."


def _likeliest(columns: Sequence[str], name: str, usual: Sequence[str]) -> str | None:
    named = [column for column in columns if len(column) <= _NAME_SHOWN]
    by_lower = {column.strip().lower(): column for column in reversed(named)}
    for wanted in (name.lower(), *usual):
        close = difflib.get_close_matches(wanted, by_lower, n=1)
        if close:
            return by_lower[close[0]]
    return None
