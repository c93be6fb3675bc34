"""Finding a column by its name."""

import difflib
from collections.abc import Sequence
from pathlib import Path

from scorer.errors import DataError
from scorer.hints import options

_SHOWN = 20
_NAME_SHOWN = 60  # characters of a column's name; a hostile header's may be a MiB
_COMPARED = 1000  # columns among which the likeliest is looked for
_TEXTS = (
    *("text", "tweet", "full_text", "content", "message", "body"),
    *("comment", "comentario", "mensaje", "review"),
)
_USUAL = {
    "--text-column": _TEXTS,
    "text_column": _TEXTS,  # as Python's callers name it
    "--id-column": ("id", "tweet_id", "id_str", "status_id"),
}


def check_column(path: Path | str, columns: Sequence[str], name: str) -> int:
    """Return the number of the column; raise DataError unless there is one of that name."""
    found = named(columns, name)
    if len(found) > 1:
        raise DataError(f"{path} has {len(found)} columns {short(name)!r}", "rename all but one")
    if not found:
        raise DataError(f"{path} has no column {short(name)!r}", f"it has {listed(columns)}")
    return found[0]


def find_column(
    place: Path | str,
    columns: Sequence[str],
    name: str,
    option: str = "--text-column",
    *,
    exact: bool = False,
    nested: Sequence[str] = (),
) -> int:
    """Return the number of the column; raise DataError when it is missing or there twice.

    Args:
        place: The file, or what else has columns, for messages.
        columns: Its columns' names.
        name: The one that is wanted.
        option: By which the user names it.
        exact: Blanks and byte-order marks around a name count, as they do in SQL and in Python.
        nested: Names of what lies inside of columns, which may be meant.
    """
    found = named(columns, name, exact=exact)
    if len(found) == 1:
        return found[0]
    if found and columns[found[0]] == name:
        raise DataError(f"{place} has {len(found)} columns {name!r}", "rename all but one")
    problem = f"{place} has no column {short(name)!r}, only: {listed((*columns, *nested))}"
    likely = columns[found[0]] if found else likeliest(columns, name, option, nested)
    if any("\0" in column for column in columns):
        remedy = "if it is UTF-16, give --encoding utf-16-le or utf-16-be; else convert it to UTF-8"
        raise DataError(problem, remedy)
    # Of two names that look the same, only the exact one is one column.
    shown = likely if found or likely is None else visible(likely) or likely
    raise or_rather(problem, option, shown)


def or_rather(problem: str, option: str, likely: str | None) -> DataError:
    """Return the error with the name that is likely to be meant, or with none."""
    if likely is None:
        return DataError(problem, f"name one with {option}")
    if not option.startswith("--"):
        return DataError(problem, f"did you mean {option}={likely!r}?")
    hint = {option: likely}
    return DataError(problem, f"did you mean {options(hint)}?", hint)


def visible(name: str) -> str:
    """Return a name without blanks and byte-order marks around it: nobody sees them."""
    return name.strip(" \t\r\n\v\f\u00a0\u200b\ufeff")


def named(columns: Sequence[str], name: str, *, exact: bool = False) -> list[int]:
    """Return the columns of that name as it stands; only if there is none, those that look so."""
    found = [i for i, column in enumerate(columns) if column == name]
    if found or exact:
        return found
    wanted = visible(name)
    return [i for i, column in enumerate(columns) if visible(column) == wanted]


def listed(columns: Sequence[str]) -> str:
    """Return the first names, for a message."""
    return ", ".join(map(short, columns[:_SHOWN])) + (", ..." if len(columns) > _SHOWN else "")


def short(column: str) -> str:
    """Return a name for a message: a hostile one may be a MiB."""
    return column if len(column) <= _NAME_SHOWN else column[:_NAME_SHOWN] + "..."


def likeliest(
    columns: Sequence[str],
    name: str,
    option: str = "--text-column",
    nested: Sequence[str] = (),
) -> str | None:
    """Return the column, or the name of what lies inside of one, that is likely to be meant."""
    close_to = [column for column in columns[:_COMPARED] if len(column) <= _NAME_SHOWN]
    by_lower = {inner.rpartition(".")[2].lower(): inner for inner in reversed(nested)}
    by_lower |= {inner.lower(): inner for inner in reversed(nested)}
    by_lower |= {visible(column).lower(): column for column in reversed(close_to)}
    for wanted in (name.lower(), *_USUAL[option]):
        close = difflib.get_close_matches(wanted, by_lower, n=1)
        if close:
            return by_lower[close[0]]
    return None
