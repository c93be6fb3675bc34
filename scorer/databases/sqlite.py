"""SQLite through its ADBC driver, which brings a SQLite of its own."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from adbc_driver_manager import dbapi as adbc
from adbc_driver_sqlite import dbapi

from scorer.databases.adbc import AdbcSession, in_our_words
from scorer.databases.engine import Dialect, first_line
from scorer.databases.names import TableName
from scorer.errors import DataError, OutputLocked, OutputRefused, StorageError, TweetscoreError
from scorer.files.storage import reading

_WORK = "tweetscore_work"
# Values have types, columns only leanings: what matters of a column is its name.
_COLUMNS = "SELECT name, '' FROM pragma_table_info($1, $2)"
_DRIVERS_OWN = re.compile(r"^[A-Z_]+: (\[SQLite\] )?(Failed to \w+ query: )?")


class SQLite:
    """One file, closed while nobody needs it."""

    dialect = Dialect(
        work=_WORK,
        number="INTEGER PRIMARY KEY",
        text="TEXT",
        score="REAL",
        text_kinds=re.compile(""),
        no_text="typeof({}) NOT IN ('text', 'null')",
        # The driver takes a column's type from its first rows, which may all be null. A blank
        # text and none have the same answer.
        as_text="ifnull({}, '')",
        as_bytes="CAST({} AS BLOB)",
        begin="BEGIN IMMEDIATE",
        lock=None,  # one transaction writes at a time
        folds_case=True,
        home="main",
    )

    def __init__(self, path: Path, work: Path, wait: float) -> None:
        self._path = path
        self._work = work / "work.db"
        self._wait = wait

    def __enter__(self) -> Self:
        """Look whether it is there."""
        with reading(self._path), self._path.open("rb"):
            return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: each session is closed already."""

    @contextmanager
    def session(self) -> Iterator[AdbcSession]:
        """Open the file, and the work area in another one."""
        translate = partial(_translated, path=self._path)
        uri = f"file:{quote(str(self._path.absolute()))}?mode=rw"
        with in_our_words(translate):
            connection = dbapi.connect(uri, autocommit=True)
        with closing(connection):
            session = AdbcSession(connection, translate, _columns, self._append)
            session.rows(f"PRAGMA busy_timeout = {round(self._wait * 1000)}")
            session.execute(f"ATTACH DATABASE $1 AS {_WORK}", str(self._work))
            session.rows(f"PRAGMA {_WORK}.synchronous = OFF")  # it is thrown away
            yield session

    def _append(self, reader: Any, table: TableName) -> None:
        # By a connection of its own: the driver appends to a connection's main database.
        with dbapi.connect(str(self._work), autocommit=True) as own, own.cursor() as cursor:
            cursor.adbc_ingest(table.parts[-1], reader, mode="append")


def _columns(table: TableName) -> tuple[str, ...]:
    schema, name = ("main", *table.parts)[-2:]
    return _COLUMNS, name, schema


def _translated(error: adbc.Error, path: Path) -> TweetscoreError:
    words = _DRIVERS_OWN.sub("", first_line(str(error)))
    if "is locked" in words:
        return OutputLocked(f"{path} is locked by another process", "wait for it with --lock-wait")
    if "readonly" in words or "unable to open" in words or "failed to open" in words:
        return OutputRefused(
            f"{path} cannot be written: {words}", "check its permissions and its directory's"
        )
    if "is not a database" in words:
        return DataError(f"{path} is no SQLite database", "check the name")
    if isinstance(error, (adbc.ProgrammingError, adbc.IntegrityError, adbc.DataError)):
        return DataError(f"{path}: {words}")
    return StorageError(f"{path}: {words}", "run again")
