"""DuckDB through its own package, which hands Arrow in and out."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from scorer.databases.address import TableName, check_engine, parse_table
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
from scorer.errors import OutputRefused, TweetscoreError, UsageError
from scorer.prefetch import interruptible

T = TypeVar("T")

_INCOMING = "tweetscore_incoming"
_WORK = "tweetscore_work"
_BATCH = 16_384  # rows
_MEMORY = "1GB"  # beyond it DuckDB works on disk; its own choice is most of the box's
_PAUSE = 0.05  # seconds between two attempts to open a file that another process holds
_OF_ANOTHER = "Could not set lock"
_FIND = """
    SELECT database_name, schema_name, table_name, 'table' FROM duckdb_tables()
    WHERE lower(table_name) = lower($1)
    UNION ALL
    SELECT database_name, schema_name, view_name, 'view' FROM duckdb_views()
    WHERE lower(view_name) = lower($1)
"""
_SCHEMAS = "SELECT database_name, schema_name FROM duckdb_schemas()"

# Of words where one class of errors has several kinds; they come first.
_WORDS = tuple(
    (re.compile(words), kind)
    for words, kind in (
        ("must be at the top level|DML statements", Kind.WRITES),
        ("transaction that has already modified|read-only mode", Kind.WRITES),
        ("No space left|Disk quota exceeded|File too large|max_temp_directory_size", Kind.FULL),
        ("Permission denied|Operation not permitted|[Rr]ead-only", Kind.READ_ONLY),
        ("not a valid DuckDB|Trying to read a database file with version", Kind.FOREIGN),
        ("No files found|Cannot open file .*No such file", Kind.MISSING),
        ("[Cc]orrupt|[Cc]hecksum|Could not read enough bytes", Kind.DAMAGED),
        ("already exists|Existing object|is not an? table", Kind.BLOCKED),
        (r"(Function|Type|Collation|Setting) with name", Kind.NAME),
        ("[Cc]onflict", Kind.LOCKED),
    )
)
_ABOUT_WORDS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.IOException,
    duckdb.TransactionException,
    duckdb.InvalidInputException,
)
_KINDS: tuple[tuple[type[duckdb.Error], Kind], ...] = (
    (duckdb.ParserException, Kind.SYNTAX),
    (duckdb.SyntaxException, Kind.SYNTAX),
    (duckdb.CatalogException, Kind.MISSING),
    (duckdb.BinderException, Kind.NAME),
    (duckdb.PermissionException, Kind.DENIED),
    (duckdb.DependencyException, Kind.BLOCKED),
    (duckdb.ResourceInUseException, Kind.UNSUPPORTED),
    (duckdb.OutOfMemoryException, Kind.MEMORY),
    (duckdb.InternalException, Kind.BROKEN),
    (duckdb.FatalException, Kind.BROKEN),
    (duckdb.SerializationException, Kind.DAMAGED),
    (duckdb.HTTPException, Kind.IO),
    (duckdb.OperationalError, Kind.IO),
)

_DIALECT = Dialect(
    work=_WORK,
    number="BIGINT",
    text="VARCHAR",
    score="FLOAT",
    labels="VARCHAR[]",
    text_kinds=re.compile(r"(VARCHAR|ENUM\()(?!.*\]$)"),
    no_text=None,
    as_text="CAST({} AS VARCHAR)",
    as_bytes="encode(CAST({} AS VARCHAR))",
    begin="BEGIN",
    lock=None,  # the file is one process's
    folds_case=True,
    temporary="temp",
)


def open_duckdb(path: Path, work: Path, wait: float) -> Database:
    """Return a file that is there: DuckDB would make a new one, and name a catalog after it.

    It is open only while it is used: no other process can open it then.
    """
    if folded(path.stem) == _WORK:
        raise UsageError(f"{path} is called like the work area", "rename it")
    check_engine("duckdb", path)
    home = path.resolve().parent
    if not os.access(home, os.W_OK):  # DuckDB would find out at the COMMIT
        raise OutputRefused(
            f"{home} cannot be written, where DuckDB keeps a log of {path.name}",
            "check its permissions",
        )
    return Database(_DIALECT, lambda: _session(path, work, wait))


@contextmanager
def _session(path: Path, work: Path, wait: float) -> Iterator["_Session"]:
    """Open the file, and the work area in another one."""
    faults = Faults(str(path))
    work_file = str(work / "work.duckdb").replace("'", "''")
    try:
        with closing(_connect(path, str(work / "spill"), wait)) as connection:
            connection.execute(f"ATTACH '{work_file}' AS {_WORK}")
            yield _Session(connection, faults)
    except duckdb.Error as error:  # also of the end, where the file is brought up to date
        raise _translated(error, faults) from error


def _connect(path: Path, spill: str, wait: float) -> duckdb.DuckDBPyConnection:
    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",  # nothing is fetched from anywhere
        "python_enable_replacements": "false",  # a table is no variable of ours
        "memory_limit": _MEMORY,
        "temp_directory": spill,
    }
    end = time.monotonic() + wait
    while True:
        try:
            return duckdb.connect(path, config=config)
        except duckdb.IOException as error:
            if _OF_ANOTHER not in str(error) or time.monotonic() >= end:
                raise
            time.sleep(_PAUSE)


class _Session(Session):
    driver_error = duckdb.Error

    def translated(self, error: duckdb.Error) -> TweetscoreError:
        return _translated(error, self.faults)

    def with_cursor(self, ask: Callable[[Any], T]) -> T:
        with self.in_our_words():  # a cursor would have a transaction of its own
            return interruptible(lambda: ask(self.connection), self.connection.interrupt)

    def read(self, statement: str, take: Callable[[Any], T]) -> T:
        return self.with_cursor(lambda duck: take(duck.sql(statement).to_arrow_reader(_BATCH)))

    def columns(self, table: TableName) -> tuple[Column, ...]:
        # By another cursor: a table that is not there would end the transaction of this one.
        with self.in_our_words(), self.connection.cursor() as cursor:
            try:
                found = cursor.execute(f"DESCRIBE {table}").fetchall()
            except duckdb.CatalogException:
                return ()
        return tuple(Column(name, kind) for name, kind, *_ in found)

    def find(self, table: TableName) -> Found:
        ((home,),) = self.rows("SELECT current_database()")
        *prefix, name = table.parts
        schemas = self.rows(_SCHEMAS)
        meant = [s for s in schemas if _folded_all(s) in _meant(home, *map(folded, prefix))]
        if len(meant) > 1:
            raise UsageError(
                f"{table} may mean the catalog or the schema {prefix[0]!r}",
                f"write catalog, schema and table: {TableName((*meant[0], name))}",
            )
        for catalog, schema, spelled, kind in self.rows(_FIND, name):
            if (catalog, schema) in meant and folded(spelled) == folded(name):
                return _found(TableName((catalog, schema, spelled)), kind)
        if not meant:
            return Found(table, None)
        ((catalog, schema),) = meant
        return _found(TableName((catalog, schema, name)), None)

    def reads(self, table: TableName) -> frozenset[str]:
        # The plan names each table that is scanned, in full; optimised, some would be missing.
        self.execute("PRAGMA disable_optimizer")
        try:
            ((_, plan),) = self.rows(f"EXPLAIN (FORMAT json) SELECT * FROM {table}")  # noqa: S608  a quoted name
        finally:
            self.execute("PRAGMA enable_optimizer")
        return frozenset(_identity(parse_table(name)) for name in _scanned(json.loads(plan)))

    def make_query(self, view: TableName, query: str) -> None:
        with self.in_our_words():
            statements = self.connection.extract_statements(query)
        if len(statements) != 1:
            words = f"there are {len(statements) or 'no'} statements"
            raise self.faults.error(Kind.SYNTAX, words)
        (statement,) = statements
        if statement.type != duckdb.StatementType.SELECT:
            words = f"this is a statement of type {statement.type.name}"
            raise self.faults.error(Kind.SYNTAX, words)
        if statement.named_parameters:
            raise self.faults.error(Kind.SYNTAX, "parameters have no values here")
        self.execute(f"CREATE TEMP VIEW {view.parts[-1]} AS {query}")

    def ingest(self, cursor: Any, reader: Any, table: TableName) -> None:
        cursor.register(_INCOMING, reader)
        cursor.execute(f"INSERT INTO {table} SELECT * FROM {_INCOMING}")  # noqa: S608  names of ours
        cursor.unregister(_INCOMING)


def _meant(home: str, *prefix: str) -> set[tuple[str, ...]]:
    """Return the catalogs and schemas that stand before a table's name."""
    match prefix:
        case ():
            return {(folded(home), "main")}
        case (one,):
            return {(folded(home), one), (one, "main")}
    return {prefix}


def _folded_all(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names as they are compared."""
    return tuple(map(folded, names))


def _found(name: TableName, kind: str | None) -> Found:
    return Found(
        name,
        _identity(name) if kind else None,
        kind=kind or "table",
        lasts=folded(name.parts[0]) not in {_WORK, "temp", "system"},
        earlier_name=name.parts[-1].lower(),
    )


def _identity(name: TableName) -> str:
    """Return schema and table: a file's catalog is named after the path that led to it."""
    return str(TableName(_folded_all(name.parts[-2:])))


def _scanned(plan: Any) -> Iterator[str]:
    """Return the tables of a plan."""
    for node in plan:
        if table := node.get("extra_info", {}).get("Table"):
            yield table
        yield from _scanned(node.get("children", ()))


def _translated(error: duckdb.Error, faults: Faults) -> TweetscoreError:
    words = first_line(str(error))
    if _OF_ANOTHER in words:
        holder = re.search(r"PID (\d+)", words)
        who = f" ({holder[0]})" if holder else ""
        return faults.error(Kind.LOCKED, f"is open in another process{who}", joint=" ")
    kind = _kind(error, words)
    if "not a valid DuckDB" in words:
        return faults.error(kind, "is no DuckDB database", joint=" ")
    if kind is Kind.READ_ONLY:
        return faults.error(kind, f"cannot be written: {words}", joint=" ")
    return faults.error(kind, words)


def _kind(error: duckdb.Error, words: str) -> Kind:
    if isinstance(error, _ABOUT_WORDS):
        for pattern, kind in _WORDS:
            if pattern.search(words):
                return kind
    for family, kind in _KINDS:
        if isinstance(error, family):
            return kind
    return Kind.VALUE
