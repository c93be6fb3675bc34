"""Names of tables and columns: taken as they are written, and quoted wherever they go. Pure."""

from dataclasses import dataclass

from scorer.errors import UsageError

_MOST_PARTS = 3  # catalog, schema, table


def quoted(name: str) -> str:
    """Return an identifier as all three engines take it literally."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class TableName:
    """A table, with its schema or without."""

    parts: tuple[str, ...]

    def __str__(self) -> str:
        """Return the name in quotes, as it stands in a statement."""
        return ".".join(map(quoted, self.parts))

    def beside(self, table: str) -> "TableName":
        """Return another table of the same schema."""
        return TableName((*self.parts[:-1], table))


def parse_table(name: str) -> TableName:
    """Return the table that `tweets`, `main.tweets` or `"my.tweets"` means.

    Raises:
        UsageError: a part is empty, a quote is left open, or there are too many parts.
    """
    parts: list[str] = []
    rest = name
    while True:
        part, rest = _first_part(name, rest)
        parts.append(part)
        if not rest:
            break
        rest = rest[1:]  # the dot
    if len(parts) > _MOST_PARTS:
        raise _no_name(name)
    return TableName(tuple(parts))


def _first_part(name: str, rest: str) -> tuple[str, str]:
    """Return a part and what is left: nothing, or what begins with a dot."""
    if not rest.startswith('"'):
        part, dot, after = rest.partition(".")
        rest = dot + after
    else:
        end = 1
        while (end := rest.find('"', end)) >= 0 and rest[end + 1 : end + 2] == '"':
            end += 2
        part, rest = rest[1:end].replace('""', '"'), rest[end + 1 :]
        if end < 0 or (rest and rest[0] != "."):
            raise _no_name(name)
    if not part or "\0" in part:
        raise _no_name(name)
    return part, rest


def _no_name(name: str) -> UsageError:
    return UsageError(
        f"{name!r} is no name of a table",
        'write table or schema.table; a part that holds a dot goes in double quotes: "my.table"',
    )
