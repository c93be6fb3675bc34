"""PostgreSQL through its ADBC driver: COPY in both directions, libpq underneath."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql import dbapi

from scorer.databases.adbc import AdbcSession
from scorer.databases.address import Address
from scorer.databases.engine import Dialect, first_line
from scorer.databases.names import TableName
from scorer.errors import (
    DataError,
    InputMissing,
    OutputLocked,
    OutputRefused,
    StorageError,
    TweetscoreError,
)

_WORK = "pg_temp"
_COLUMNS = """
    SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_SERVERS_OWN = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.*)")
_DRIVERS_OWN = re.compile(r"^[A-Z_]+: (\[libpq\] )?(Failed to connect: )?")
# SQLSTATEs, or the classes that they begin with.
_LOCKED = ("55P03", "40P01", "40001")
_REFUSED = ("42501", "25006", "2BP01", "0A000")
_ABOUT_DATA = ("22", "23", "42", "3F", "21")


class PostgreSQL:
    """One connection: the work area is the temporary tables of its session."""

    dialect = Dialect(
        work=_WORK,
        number="bigint",
        text="text",
        score="real",
        text_kinds=re.compile("text|character|name|citext"),
        no_text=None,
        as_text="CAST({} AS text)",
        as_bytes='CAST({} AS text) COLLATE "C"',
        begin="BEGIN",
        lock="LOCK TABLE {} IN EXCLUSIVE MODE",
        folds_case=False,
        home="public",
    )

    def __init__(self, address: Address, wait: float) -> None:
        self._address = address
        self._wait = wait

    def __enter__(self) -> Self:
        """Connect, as libpq does: PGPASSWORD, ~/.pgpass, sslmode and so on."""
        try:
            self._connection = dbapi.connect(self._address.where, autocommit=True)
        except adbc.Error as error:
            words = self._address.hide(_words(error))
            raise InputMissing(
                f"{self._address.shown} cannot be reached: {words}", "check URL, login and server"
            ) from error
        self._session = AdbcSession(
            self._connection, partial(_translated, address=self._address), _columns, self._append
        )
        # 0 would mean for ever.
        self._session.execute(f"SET lock_timeout = {max(1, round(self._wait * 1000))}")
        self._session.execute("SET client_encoding = 'UTF8'")  # as Arrow's texts are
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection; its temporary tables go with it."""
        self._connection.close()

    @contextmanager
    def session(self) -> Iterator[AdbcSession]:
        """Give the one connection."""
        yield self._session

    def _append(self, reader: Any, table: TableName) -> None:
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table.parts[-1], reader, mode="append", temporary=True)


def _columns(table: TableName) -> tuple[str, ...]:
    return _COLUMNS, str(table)


def _words(error: adbc.Error) -> str:
    """Return what the server says, or the driver where there is none."""
    words = str(error)
    if found := _SERVERS_OWN.search(words):
        return first_line(found[1])
    return _DRIVERS_OWN.sub("", first_line(words))


def _translated(error: adbc.Error, address: Address) -> TweetscoreError:
    words, state = address.hide(_words(error)), error.sqlstate or ""
    if state in _LOCKED:
        return OutputLocked(
            f"{address.shown}: {words}", "another session writes; wait for it with --lock-wait"
        )
    if state in _REFUSED:
        return OutputRefused(f"{address.shown}: {words}", "check the user's privileges")
    if state.startswith(_ABOUT_DATA):
        return DataError(f"{address.shown}: {words}")
    return StorageError(f"{address.shown}: {words}", "run again")
