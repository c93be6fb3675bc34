"""DuckDB through its own package, which hands Arrow in and out."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import duckdb

from scorer.databases.engine import Column, Dialect, first_line
from scorer.databases.interrupts import interruptibly
from scorer.databases.names import TableName
from scorer.errors import (
    DataError,
    OutputLocked,
    OutputRefused,
    StorageError,
    TweetscoreError,
)
from scorer.files.storage import reading

T = TypeVar("T")

_INCOMING = "tweetscore_incoming"
_BATCH = 16_384  # rows
_MEMORY = "1GB"  # beyond it DuckDB works on disk; its own choice is most of the box's
_PAUSE = 0.05  # seconds between two attempts to open a file that another process holds
_OF_ANOTHER = "Could not set lock"
_REFUSED = ("Permission denied", "Operation not permitted", "Read-only", "read-only")
_ABOUT_DATA = (
    duckdb.ProgrammingError,
    duckdb.DataError,
    duckdb.IntegrityError,
    duckdb.NotSupportedError,
    duckdb.DependencyException,
)


class DuckDB:
    """One file, closed while nobody needs it: nobody else can open it meanwhile."""

    dialect = Dialect(
        work="tweetscore_work",
        number="BIGINT",
        text="VARCHAR",
        score="FLOAT",
        text_kinds=re.compile(r"VARCHAR|ENUM\("),
        no_text=None,
        as_text="CAST({} AS VARCHAR)",
        as_bytes="encode(CAST({} AS VARCHAR))",
        begin="BEGIN",
        lock=None,  # the file is one process's
        folds_case=True,
        home="main",
    )

    def __init__(self, path: Path, work: Path, wait: float) -> None:
        self._path = path
        self._work = work
        self._wait = wait

    def __enter__(self) -> Self:
        """Look whether it is there: DuckDB would make a new one."""
        with reading(self._path), self._path.open("rb"):
            return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: each session is closed already."""

    @contextmanager
    def session(self) -> Iterator["_Session"]:
        """Open the file, and the work area in another one."""
        with _in_our_words(self._path), closing(self._connect()) as connection:
            work = str(self._work / "work.duckdb").replace("'", "''")
            connection.execute(f"ATTACH '{work}' AS tweetscore_work")
            yield _Session(connection, self._path)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": "false",  # nothing is fetched from anywhere
            "memory_limit": _MEMORY,
            "temp_directory": str(self._work / "spill"),
        }
        end = time.monotonic() + self._wait
        while True:
            try:
                return duckdb.connect(self._path, config=config)
            except duckdb.IOException as error:
                if _OF_ANOTHER not in str(error) or time.monotonic() >= end:
                    raise
                time.sleep(_PAUSE)


class _Session:
    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def execute(self, statement: str, *values: object) -> None:
        self.rows(statement, *values)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._asked(lambda: self._connection.execute(statement, values).fetchall())

    def read(self, statement: str, take: Callable[[Any], T]) -> T:
        return self._asked(lambda: take(self._connection.sql(statement).to_arrow_reader(_BATCH)))

    def columns(self, table: TableName) -> tuple[Column, ...]:
        # By another cursor: a table that is not there would end the transaction of this one.
        with _in_our_words(self._path), self._connection.cursor() as cursor:
            try:
                found = cursor.execute(f"DESCRIBE {table}").fetchall()
            except duckdb.CatalogException:
                return ()
        return tuple(Column(name, kind) for name, kind, *_ in found)

    def append(self, reader: Any, table: TableName) -> None:
        self._connection.register(_INCOMING, reader)
        self.execute(f"INSERT INTO {table} SELECT * FROM {_INCOMING}")  # noqa: S608  names of ours
        self._connection.unregister(_INCOMING)

    def _asked(self, ask: Callable[[], T]) -> T:
        with _in_our_words(self._path):
            return interruptibly(ask, self._connection.interrupt)


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        raise _translated(error, path) from error


def _translated(error: duckdb.Error, path: Path) -> TweetscoreError:
    words = first_line(str(error))
    if _OF_ANOTHER in words:
        holder = re.search(r"PID (\d+)", words)
        who = f" ({holder[0]})" if holder else ""
        return OutputLocked(
            f"{path} is open in another process{who}", "wait for it with --lock-wait"
        )
    if "not a valid DuckDB" in words:
        return DataError(f"{path} is no DuckDB database", "check the name")
    if any(reason in words for reason in _REFUSED):
        return OutputRefused(f"{path} cannot be written: {words}", "check its permissions")
    if isinstance(error, _ABOUT_DATA):
        return DataError(f"{path}: {words}")
    return StorageError(f"{path}: {words}", "run again")
