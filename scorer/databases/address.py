"""Where a table lives: the database's URL, the names in it, and the options of a call."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from scorer import hints
from scorer.errors import DataError, UsageError
from scorer.os_errors import reading
from scorer.store.own_files import open_own

_PART = re.compile(r'"(?:[^"\0]|"")+"|[^".\0][^.\0]*')  # a quote in quotes is written twice
# Catalog, schema and table at most.
_TABLE = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern})){{0,2}}")


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
    if not _TABLE.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a table",
            "write table or schema.table; a part that holds a dot goes in double quotes: "
            '"my.table"',
        )
    parts = _PART.findall(name)
    return TableName(tuple(p[1:-1].replace('""', '"') if p[0] == '"' else p for p in parts))


Kind = Literal["duckdb", "sqlite", "postgresql"]

_EXAMPLES = "sqlite:///tweets.db, duckdb:////data/tweets.duckdb or postgresql://user@host/name"
_HIDDEN = "***"
_MAGIC = (("sqlite", "an SQLite", 0, b"SQLite format 3\0"), ("duckdb", "a DuckDB", 8, b"DUCK"))
_SECRET = ("pass", "secret", "token")  # in the names of parameters, known to libpq or not


@dataclass(frozen=True, slots=True)
class Address:
    """One database; never printed but as `shown`."""

    kind: Kind
    where: str  # a path, or what libpq takes
    shown: str  # without passwords
    secrets: tuple[str, ...] = ()  # the passwords, as they are written and as they are meant

    @property
    def path(self) -> Path:
        """Return the file of a database that is one."""
        return Path(self.where)

    def hide(self, words: str) -> str:
        """Return what a library says without the passwords."""
        for secret in self.secrets:
            words = words.replace(secret, _HIDDEN)
        return words


def parse_address(url: str) -> Address:
    """Return the database that a URL means.

    Raises:
        UsageError: it is no URL of a database that is known.
    """
    scheme, colon, rest = url.partition(":")
    match scheme.lower() if colon else "":
        case "duckdb" | "sqlite" as kind:
            if not rest.startswith("///") or len(rest) == len("///"):
                raise UsageError(
                    f"{url} names no file",
                    f"write {kind}:///relative/path or {kind}:////absolute/path",
                )
            return Address("duckdb" if kind == "duckdb" else "sqlite", rest[3:], url)
        case "postgresql" | "postgres":
            return _postgresql(url)
    # What is no address may be a password: it is not repeated.
    raise UsageError("DATABASE is no URL of a database", f"write it like {_EXAMPLES}")


def check_engine(kind: Kind, path: Path) -> None:
    """Hold the engine of a URL against the first bytes of the file.

    An engine that opens another's file looks for an extension, or calls it damaged.

    Raises:
        DataError: It is the file of another engine.
        InputMissing: It is not there, or cannot be read.
    """
    with reading(path), open_own(path) as file:
        head = file.read(16)
    for other, words, start, magic in _MAGIC:
        if other != kind and head[start:].startswith(magic):
            url = hints.word(f"{other}:///{path}")
            raise DataError(f"{path} is {words} database", f"write {url}")


def _postgresql(url: str) -> Address:
    scheme, slashes, rest = url.partition("://")
    try:
        urlsplit(url)
    except ValueError:  # its words may hold the password
        raise _malformed() from None
    if not slashes:
        raise _malformed()
    # As libpq does: the login ends before the first slash. It holds the last @, as a password may
    # hold one that was not written as %40.
    authority, slash, tail = rest.partition("/")
    login, at, host = authority.rpartition("@")
    if not at and "@" in tail.partition("?")[0]:  # what was cut in two may be a password
        raise _malformed("write / in a login as %2F")
    user, colon, password = login.partition(":")
    before, mark, query = (host + slash + tail).partition("?")
    parameters = [part.partition("=")[::2] for part in query.split("&")] if mark else []
    written = [password, *(value for name, value in parameters if _is_secret(name))]
    secrets = dict.fromkeys(form for s in written if s for form in (s, unquote(s), quote(s)))
    shown = f"{scheme}://{user}:{_HIDDEN}{at}" if colon else f"{scheme}://{login}{at}"
    public = (f"{n}={_HIDDEN if _is_secret(n) else value}" for n, value in parameters)
    shown += before + mark + "&".join(public)
    return Address("postgresql", url, shown, tuple(secrets))


def _is_secret(parameter: str) -> bool:
    return any(word in unquote(parameter).lower() for word in _SECRET)


def _malformed(remedy: str = f"write it like {_EXAMPLES}") -> UsageError:
    return UsageError("the URL of the PostgreSQL database is malformed", remedy)
