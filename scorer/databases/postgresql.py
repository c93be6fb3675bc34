"""PostgreSQL through its ADBC driver: COPY in both directions, libpq underneath."""

import os
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from typing import Any

from adbc_driver_manager import dbapi as adbc
from adbc_driver_postgresql import dbapi

from scorer.databases.address import Address, TableName, quoted
from scorer.databases.engine import (
    Column,
    Database,
    Dialect,
    Faults,
    Found,
    Kind,
    Session,
    first_line,
)
from scorer.errors import (
    InputMissing,
    OutputRefused,
    StorageError,
    TweetscoreError,
    UsageError,
)
from scorer.prefetch import interruptible

_WORK = "pg_temp"
_COLUMNS = """
    SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
# Earlier runs were noted by a table's name alone: that means this table only where no other has it.
_FIND = """
    SELECT n.nspname::text, c.relname::text, c.oid::bigint, c.relkind::text,
           c.relpersistence = 't',
           (SELECT count(*) FROM pg_class o WHERE o.relname = c.relname
            AND o.relkind IN ('r', 'p') AND o.relpersistence <> 't')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)
"""
_STANDING = """
    SELECT current_setting('transaction_read_only'), current_database()::text,
           has_database_privilege(current_database(), 'TEMPORARY')
"""
_HERE = "SELECT current_database()::text, current_schema()::text"
# Down through views, partitions and children.
_READS = """
    WITH RECURSIVE reads(oid) AS (
        SELECT to_regclass($1)::oid
        UNION
        SELECT below.oid FROM reads, LATERAL (
            SELECT d.refobjid FROM pg_rewrite w
            JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
            WHERE w.ev_class = reads.oid AND w.ev_type = '1'
            AND d.refclassid = 'pg_class'::regclass
            UNION ALL
            SELECT inhrelid FROM pg_inherits WHERE inhparent = reads.oid
        ) AS below(oid)
    )
    SELECT n.nspname::text, c.relname::text, c.oid::bigint
    FROM reads JOIN pg_class c USING (oid) JOIN pg_namespace n ON n.oid = c.relnamespace
"""
# Of a login that failed there is no code, only libpq's words, or the server's.
_BUSY = re.compile("too many (clients|connections)|connection slots|starting up|shutting down")
_NO_URL = re.compile("(invalid|missing|unexpected|extra|forbidden|end of string) ")
_TIMEOUT = 60  # seconds for a login, unless the address has another; libpq's default is none
_TABLES = {"r": "table", "p": "table"}
_OTHERS = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence"}
_SERVERS_OWN = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.*)")
_DRIVERS_OWN = re.compile(r"^[A-Z_]+: (\[libpq\] )?(Failed to connect: )?")

# SQLSTATEs, or the classes that they begin with: the longest that fits counts.
_STATES = {
    Kind.UNSUPPORTED: "0A 25",
    Kind.LOST: "08 25P03 53 57P",
    Kind.READ_ONLY: "25006",
    Kind.TIMEOUT: "25P04 57014",
    Kind.DENIED: "28 42501",
    Kind.BLOCKED: "2BP01 42809 42P07 55",
    Kind.MISSING: "3D 3F 42P01",
    Kind.LOCKED: "40 55006 55P03",
    Kind.NAME: "42",
    Kind.SYNTAX: "42601 42P02",
    Kind.FULL: "53100 53400",
    Kind.MEMORY: "53200",
    Kind.IO: "58",
    Kind.BROKEN: "58P01 F0 XX",
    Kind.DAMAGED: "XX001 XX002",
}
_KINDS = {state: kind for kind, states in _STATES.items() for state in states.split()}

_DIALECT = Dialect(
    work=_WORK,
    number="bigint",
    text="text",
    score="real",
    labels="text[]",
    text_kinds=re.compile(r"(text|character|name|(\w+\.)?citext)(?!.*\]$)"),
    no_text=None,
    as_text="CAST({} AS text)",
    as_bytes='CAST({} AS text) COLLATE "C"',
    begin="BEGIN",
    lock="LOCK TABLE {} IN EXCLUSIVE MODE",
    folds_case=False,
    temporary=_WORK,
    begin_reading="BEGIN READ ONLY",
)


@contextmanager
def open_postgresql(address: Address, wait: float) -> Iterator[Database]:
    """Connect, as libpq does: PGPASSWORD, ~/.pgpass, sslmode and so on.

    All sessions are one connection: the work area is its temporary tables.
    """
    try:
        connection = interruptible(
            lambda: dbapi.connect(_with_timeout(address.where), autocommit=True)
        )
    except adbc.Error as error:
        raise _unreached(address, _words(error)) from error
    with closing(connection):  # its temporary tables go with it
        session = _Session(connection, address)
        _prepare(session, address, wait)
        yield Database(_DIALECT, lambda: nullcontext(session))


def _prepare(session: "_Session", address: Address, wait: float) -> None:
    # 0 would mean for ever.
    session.execute(f"SET lock_timeout = {max(1, round(wait * 1000))}")
    session.execute("SET client_encoding = 'UTF8'")  # as Arrow's texts are
    ((takes_none, database, has_temporary),) = session.rows(_STANDING)
    if not has_temporary:
        raise OutputRefused(
            f"{address.shown}: the user may make no temporary tables for the rows",
            f"GRANT TEMPORARY ON DATABASE {quoted(database)} to the user",
        )
    if takes_none == "on":
        raise OutputRefused(
            f"{address.shown} takes no changes: it is a standby, or "
            "default_transaction_read_only is on",
            "name the primary server in DATABASE, or let this user write",
        )


class _Session(Session):
    driver_error = adbc.Error

    def __init__(self, connection: adbc.Connection, address: Address) -> None:
        super().__init__(connection, Faults(address.shown))
        self._address = address

    def translated(self, error: adbc.Error) -> TweetscoreError:
        words, kind = self._address.hide(_words(error)), _kind(error)
        if kind is Kind.READ_ONLY and self.faults.is_reading:  # of a database that takes changes
            kind = Kind.WRITES
        return self.faults.error(kind, words)

    def columns(self, table: TableName) -> tuple[Column, ...]:
        return tuple(Column(*row) for row in self.rows(_COLUMNS, str(table)))

    def find(self, table: TableName) -> Found:
        ((database, home),) = self.rows(_HERE)
        *prefix, name = table.parts
        if len(prefix) > 1 and prefix.pop(0) != database:
            raise UsageError(
                f"{table} is in another database than {database}",
                "name its database in DATABASE",
            )
        plain = TableName((*prefix, name))
        for schema, spelled, oid, kind, is_temporary, namesakes in self.rows(_FIND, str(plain)):
            return Found(
                TableName((schema, spelled)),
                _identity(schema, spelled, oid),
                kind=_TABLES.get(kind) or _OTHERS.get(kind, "index or type"),
                lasts=not is_temporary,
                earlier_name=spelled if namesakes == 1 else None,
            )
        schema = prefix[0] if prefix else home
        if schema is None:
            return Found(plain, None)  # the engine says that there is no schema for it
        return Found(TableName((schema, name)), None, lasts=not schema.startswith(_WORK))

    def reads(self, table: TableName) -> frozenset[str]:
        return frozenset(_identity(*row) for row in self.rows(_READS, str(table)))

    def make_query(self, view: TableName, query: str) -> None:
        # By the extended protocol, as all that the driver sends: it takes one statement only.
        self.execute(f"CREATE TEMP VIEW {view.parts[-1]} AS {query}")

    def ingest(self, cursor: Any, reader: Any, table: TableName) -> None:
        cursor.adbc_ingest(table.parts[-1], reader, mode="append", temporary=True)


def _with_timeout(url: str) -> str:
    """Return a URL with a limit on how long a server may take to answer."""
    if "connect_timeout=" in url or os.environ.get("PGCONNECT_TIMEOUT"):
        return url
    return f"{url}{'&' if '?' in url else '?'}connect_timeout={_TIMEOUT}"


def _unreached(address: Address, words: str) -> TweetscoreError:
    problem = f"{address.shown} cannot be reached: {address.hide(words)}"
    if _BUSY.search(words):
        return StorageError(problem, "run again later")
    if _NO_URL.match(words):
        return UsageError(problem, "write DATABASE like postgresql://user@host:5432/name")
    return InputMissing(problem, "check URL, login and server")


def _identity(schema: str, name: str, oid: int) -> str:
    """Return a table's name with its number, which no other table ever has."""
    return f"{quoted(schema)}.{quoted(name)} (oid {oid})"


def _words(error: adbc.Error) -> str:
    """Return what the server says, in whichever language, or the driver where there is none."""
    for name, value in error.details or ():
        if _text(name) == "PG_DIAG_MESSAGE_PRIMARY":
            return first_line(_text(value))
    words = str(error)
    if found := _SERVERS_OWN.search(words):
        return first_line(found[1])
    return _DRIVERS_OWN.sub("", first_line(words))


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _kind(error: adbc.Error) -> Kind:
    state = error.sqlstate
    if not state:  # libpq's or the driver's own
        return Kind.LOST if isinstance(error, adbc.OperationalError) else Kind.VALUE
    fitting = [start for start in _KINDS if state.startswith(start)]
    # A value, a constraint, or what a trigger raises, under any code that its author chose.
    return _KINDS[max(fitting, key=len)] if fitting else Kind.VALUE
