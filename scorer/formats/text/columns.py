"""Finding the text column by its name, or what lies inside of one by a name such as `data.text`."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from scorer.errors import DataError
from scorer.hints import options

_SHOWN = 20
_NAME_SHOWN = 60  # characters of a column's name; a hostile header's may be a MiB
_COMPARED = 1000  # columns among which the likeliest is searched
_TEXTS = (
    *("text", "tweet", "full_text", "content", "message", "body"),
    *("comment", "comentario", "mensaje", "review"),
)
_USUAL = {
    "--text-column": _TEXTS,
    "text_column": _TEXTS,  # as Python's callers name it
    "--id-column": ("id", "tweet_id", "id_str", "status_id"),
    "--label-column": ("label", "sentiment", "airline_sentiment", "target", "class", "polarity"),
}

ValuesOption = Literal["--id-column", "--label-column"]  # by which a second column is named


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
        nested: Names of values inside of columns, candidates for the hint.
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
    """Return the error with the likely name as a hint, or with none."""
    if likely is None:
        return DataError(problem, f"name one with {option}")
    if not option.startswith("--"):
        return DataError(problem, f"did you mean {option}={likely!r}?")
    hint = {option: likely}
    return DataError(problem, f"did you mean {options(hint)}?", hint)


def visible(name: str) -> str:
    """Return a name without blanks and byte-order marks around it, which are invisible."""
    return name.strip(" \t\r\n\v\f\u00a0\u200b\ufeff")


def named(columns: Sequence[str], name: str, *, exact: bool = False) -> list[int]:
    """Return the columns of exactly that name; if there are none, those that look the same."""
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
    """Return the likeliest name: of a column, or of a value inside of one."""
    close_to = [column for column in columns[:_COMPARED] if len(column) <= _NAME_SHOWN]
    by_lower = {inner.rpartition(".")[2].lower(): inner for inner in reversed(nested)}
    by_lower |= {inner.lower(): inner for inner in reversed(nested)}
    by_lower |= {visible(column).lower(): column for column in reversed(close_to)}
    usual = _USUAL[option]
    # `textID` is spelled like `text`, but `tweet` means it.
    alike = [other for other in usual if other in by_lower] if name.lower() in usual else []
    for wanted in (*alike, name.lower(), *usual):
        close = difflib.get_close_matches(wanted, by_lower, n=1)
        if close:
            return by_lower[close[0]]
    return None


Keys: TypeAlias = tuple[str, ...]  # of a value: its own, after those of the objects around it

#: What is inside of an object; of what is none, what it is.
Inside: TypeAlias = "Mapping[str, Inside] | Literal['value', 'list', 'twice']"

_HINTED = 1000  # names that can be hinted at
_LONGEST = 60  # characters of one


def find_keys(
    place: Path | str,
    columns: Sequence[str],
    name: str,
    inside: Callable[[], Mapping[str, Inside]],
    option: str | None = "--text-column",
) -> Keys:
    """Return the keys that lead to a value; a column of exactly that name comes before all else.

    Names with dots in them are taken whole: of two ways to read a name, the one with fewer keys.

    Args:
        place: The file, or what else has columns, for messages.
        columns: Its columns' names.
        name: The one that is wanted; keys are joined by dots.
        inside: Returns what the columns hold; called only where there is no such column.
        option: By which the user names it; None where it was named when the file was written.

    Raises:
        DataError: There is none, or more than one, or a list is on the way.
    """
    tree = {} if name in columns else inside()
    found = list(_ways(tree, name))
    if ways := [keys for keys, rest in found if not rest]:
        return min(ways, key=len)
    for keys, _ in found:
        raise _no_way(place, tree, keys, name, option)
    if option is None:
        return (columns[check_column(place, columns, name)],)
    exact = not option.startswith("--")  # Python's callers see their names as they are
    names = list(islice(_names(tree), _HINTED))
    return (columns[find_column(place, columns, name, option, exact=exact, nested=names)],)


def no_text(problem: str, inside: Inside, name: str, option: str = "--text-column") -> DataError:
    """Return the error for a column that is no text; one of its members may be."""
    names = list(islice(_names(inside, f"{name}."), _HINTED)) if isinstance(inside, Mapping) else []
    likely = likeliest((), name, option, names) or next(iter(names), None)
    if likely is None:
        return DataError(problem, f"name another with {option}")
    return or_rather(problem, option, likely)


def _ways(inside: Inside, name: str) -> Iterator[tuple[Keys, str]]:
    """Yield the keys that a name can mean, each with what is left of it where they end early."""
    if not isinstance(inside, Mapping):
        return
    for key, deeper in inside.items():
        if name == key:
            yield (key,), ("" if deeper != "twice" else name)
        elif name.startswith(f"{key}."):
            rest = name[len(key) + 1 :]
            if deeper in ("list", "twice"):
                yield (key,), rest
            for keys, left in _ways(deeper, rest):
                yield (key, *keys), left


def _no_way(
    place: Path | str, tree: Mapping[str, Inside], keys: Keys, name: str, option: str | None
) -> DataError:
    at: Inside = tree
    for key in keys:
        at = at[key] if isinstance(at, Mapping) else at
    found = ".".join(keys)
    if at == "twice":
        return DataError(f"{place} has {found!r} more than once", "rename all but one")
    return DataError(
        f"{found!r} of {place} is a list or a map: {name!r} may be many values in one row",
        "write a row for each of them first"
        + (f", or name another with {option}" if option else ""),
    )


def _names(inside: Mapping[str, Inside], before: str = "") -> Iterator[str]:
    """Yield the names of what lies inside of objects, and is none itself."""
    for key, deeper in inside.items():
        name = f"{before}{key}"
        if len(name) > _LONGEST:
            continue
        if isinstance(deeper, Mapping):
            yield from _names(deeper, f"{name}.")
        elif before and deeper == "value":
            yield name
