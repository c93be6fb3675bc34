"""SQLite through its ADBC driver, which brings a SQLite of its own."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi

from scorer.databases.address import TableName, check_engine
from scorer.databases.engine import (
    Column,
    Database,
    Dialect,
    Faults,
    Found,
    Kind,
    Session,
    first_line,
    folded,
)
from scorer.errors import TweetscoreError, UsageError
from scorer.formats.record_batches import lists_as_json

_WORK = "tweetscore_work"
_MAIN = "main"
# Values have types, columns only leanings: what matters of a column is its name.
_COLUMNS = "SELECT name, '' FROM pragma_table_info($1, $2)"
_FIND = (
    "SELECT name, type FROM main.sqlite_schema "
    "WHERE name = $1 COLLATE NOCASE AND type IN ('table', 'view')"
)
_ROOTS = "SELECT rootpage, tbl_name FROM main.sqlite_schema WHERE rootpage > 0"
_DRIVERS_OWN = re.compile(r"^[A-Z_]+: (\[SQLite\] )?(Failed to \w+ query: )?")
# Possessive: a comment ends where it ends, and dashes are not tried in all ways.
_BLANK = re.compile(r"(?:\s|;|--[^\n]*+|/\*(?:(?!\*/).)*+(?:\*/|$))*+", re.DOTALL)

# SQLite's own texts, which are never translated; the driver hands no code on.
_KINDS = tuple(
    (re.compile(words), kind)
    for words, kind in (
        (r"syntax error$|^incomplete input|^unrecognized token", Kind.SYNTAX),
        (r"^parameters are not allowed|^parameter count", Kind.SYNTAX),
        (r"^no such table|^unknown database", Kind.MISSING),
        (r"because it is a view$|^use DROP|already exists$|^object name reserved", Kind.BLOCKED),
        (r"^database (table |schema )?is locked|^database schema has changed", Kind.LOCKED),
        (r"^attempt to write a readonly|^unable to open|failed to open", Kind.READ_ONLY),
        (r"^database or disk is full", Kind.FULL),
        (r"^out of memory", Kind.MEMORY),
        (r"^database disk image is malformed|^malformed database schema", Kind.DAMAGED),
        (r"^file is not a database", Kind.FOREIGN),
        (r"^disk I/O error|^locking protocol", Kind.IO),
    )
)

_DIALECT = Dialect(
    work=_WORK,
    number="INTEGER PRIMARY KEY",
    text="TEXT",
    score="REAL",
    labels="TEXT",  # JSON: there are no lists
    text_kinds=re.compile(""),
    no_text="typeof({}) NOT IN ('text', 'null')",
    # The driver takes a column's type from its first rows, which may all be null. A blank
    # text and none have the same answer.
    as_text="ifnull({}, '')",
    as_bytes="CAST({} AS BLOB)",
    begin="BEGIN IMMEDIATE",
    lock=None,  # one transaction writes at a time
    folds_case=True,
    temporary="temp",
)


def open_sqlite(path: Path, work: Path, wait: float) -> Database:
    """Return a file that is there; it is open only while it is used."""
    check_engine("sqlite", path)
    return Database(_DIALECT, lambda: _session(path, work / "work.db", wait))


@contextmanager
def _session(path: Path, work: Path, wait: float) -> Iterator["_Session"]:
    """Open the file, and the work area in another one."""
    faults = Faults(str(path))
    uri = f"file:{quote(str(path.absolute()))}?mode=rw"
    try:
        connection = dbapi.connect(uri, autocommit=True)
    except adbc.Error as error:
        raise _translated(error, faults) from error
    with closing(connection):
        session = _Session(connection, faults, work)
        session.rows(f"PRAGMA busy_timeout = {round(wait * 1000)}")
        session.execute(f"ATTACH DATABASE $1 AS {_WORK}", str(work))
        session.rows(f"PRAGMA {_WORK}.synchronous = OFF")  # it is thrown away
        yield session


class _Session(Session):
    driver_error = adbc.Error

    def __init__(self, connection: adbc.Connection, faults: Faults, work: Path) -> None:
        super().__init__(connection, faults)
        self._work = work

    def translated(self, error: adbc.Error) -> TweetscoreError:
        return _translated(error, self.faults)

    def columns(self, table: TableName) -> tuple[Column, ...]:
        schema, name = (_MAIN, *table.parts)[-2:]
        return tuple(Column(*row) for row in self.rows(_COLUMNS, name, schema))

    def find(self, table: TableName) -> Found:
        if len(table.parts) > 2:
            raise UsageError(
                f"SQLite has no catalogs, so {table} names no table", "write main.table"
            )
        schema, name = (_MAIN, *table.parts)[-2:]
        if folded(schema) != _MAIN:
            return Found(table, None, lasts=folded(schema) not in {"temp", _WORK})
        for spelled, kind in self.rows(_FIND, name):
            return _found(spelled, kind)
        return Found(TableName((_MAIN, name)), None)

    def reads(self, table: TableName) -> frozenset[str]:
        # The engine's own program for the query: which trees of the file it would open.
        program = self.rows(f"EXPLAIN SELECT * FROM {table}")  # noqa: S608  a quoted name
        names = dict(self.rows(_ROOTS))
        opened = (row[3] for row in program if row[1] == "OpenRead" and row[4] == 0)
        return frozenset(_identity(names[root]) for root in opened if root in names)

    def make_query(self, view: TableName, query: str) -> None:
        _, name = view.parts
        self.execute(f"CREATE TEMP VIEW {name} AS {query}")
        # The driver runs the first of several statements and drops the rest without a word.
        ((kept,),) = self.rows("SELECT sql FROM temp.sqlite_schema WHERE name = $1", name)
        first = kept.removeprefix(f"CREATE VIEW {name} AS ")
        if not query.startswith(first) or not _BLANK.fullmatch(query[len(first) :]):
            raise self.faults.error(Kind.SYNTAX, "there is more than one statement")

    def ingest(self, _: Any, reader: Any, table: TableName) -> None:
        # By a connection of its own: the driver appends to a connection's main database.
        with dbapi.connect(str(self._work), autocommit=True) as own, own.cursor() as cursor:
            cursor.adbc_ingest(table.parts[-1], lists_as_json(reader), mode="append")


def _identity(name: str) -> str:
    return str(TableName((_MAIN, folded(name))))


def _found(name: str, kind: str) -> Found:
    return Found(TableName((_MAIN, name)), _identity(name), kind=kind, earlier_name=name.lower())


def _translated(error: adbc.Error, faults: Faults) -> TweetscoreError:
    words = _DRIVERS_OWN.sub("", first_line(str(error)))
    if isinstance(error, (adbc.IntegrityError, adbc.DataError)):  # a trigger's words may be any
        return faults.error(Kind.VALUE, words)
    for pattern, kind in _KINDS:
        if pattern.search(words):
            return _of_kind(kind, words, faults)
    if isinstance(error, adbc.ProgrammingError):
        return faults.error(Kind.NAME, words)
    return faults.error(Kind.VALUE, words)  # what a function could not compute


def _of_kind(kind: Kind, words: str, faults: Faults) -> TweetscoreError:
    if kind is Kind.FOREIGN:
        return faults.error(kind, "is no SQLite database", joint=" ")
    if kind is Kind.READ_ONLY:
        return faults.error(kind, f"cannot be written: {words}", joint=" ")
    return faults.error(kind, words)
