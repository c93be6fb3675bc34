"""Finding a value by its name: a column, or what lies deeper in one, as in `data.text`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

from scorer.errors import DataError
from scorer.files.columns import check_column, find_column, likeliest, or_rather

Keys: TypeAlias = tuple[str, ...]  # of a value: its own, after those of the objects around it

#: What is inside of an object; of what is none, what it is.
Inside: TypeAlias = "Mapping[str, Inside] | Literal['value', 'list', 'twice']"

_SHOWN = 1000  # names that can be hinted at
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
    names = list(islice(_names(tree), _SHOWN))
    return (columns[find_column(place, columns, name, option, exact=exact, nested=names)],)


def no_text(problem: str, inside: Inside, name: str, option: str = "--text-column") -> DataError:
    """Return the error for a column that is no text; one of its members may be."""
    names = list(islice(_names(inside, f"{name}."), _SHOWN)) if isinstance(inside, Mapping) else []
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
