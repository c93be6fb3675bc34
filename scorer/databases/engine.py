"""What a database is to the rest, and its errors as errors of ours."""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, ClassVar, TypeVar

from scorer.databases.address import TableName
from scorer.errors import (
    DataError,
    InputMissing,
    OutOfMemory,
    OutputLocked,
    OutputRefused,
    StorageError,
    TweetscoreError,
    UsageError,
)
from scorer.prefetch import interruptible


class Kind(Enum):
    """What went wrong, whichever engine says so."""

    SYNTAX = auto()  # not one SELECT
    UNSUPPORTED = auto()  # a statement that the engine does not run in this place
    WRITES = auto()  # a query that would change something
    MISSING = auto()  # no such table, schema or file
    NAME = auto()  # no such column, function or type, or one that does not fit
    VALUE = auto()  # a value that cannot be computed or stored: constraints and triggers, too
    DENIED = auto()  # a privilege
    READ_ONLY = auto()  # the database may not be written
    BLOCKED = auto()  # another object stands in the way
    LOCKED = auto()
    TIMEOUT = auto()  # a time limit of the server
    FULL = auto()  # disk or quota
    MEMORY = auto()
    LOST = auto()  # the connection
    FOREIGN = auto()  # a file that is no database of this engine
    DAMAGED = auto()  # a file that once was one
    BROKEN = auto()  # the engine itself
    IO = auto()


_Meaning = tuple[type[TweetscoreError], str]

_SELECT = "give --query exactly one SELECT that changes nothing"
_SPACE = "free some space (docs/databases.md says where), then run again"
_TIMEOUT = (
    "raise statement_timeout for this user, or for this run: "
    "add ?options=-cstatement_timeout%3D0 to DATABASE"
)
_LOST = (
    "run again; if the server ends idle sessions, add ?options=-cidle_session_timeout%3D0 "
    "to DATABASE"
)

_READING: dict[Kind, _Meaning] = {
    **dict.fromkeys((Kind.SYNTAX, Kind.UNSUPPORTED, Kind.WRITES), (UsageError, _SELECT)),
    Kind.MISSING: (InputMissing, "check {asked}"),
    Kind.NAME: (DataError, "check {asked}"),
    Kind.VALUE: (DataError, "leave such rows out, or cast them, with --query"),
    Kind.BLOCKED: (DataError, "check {asked}"),
    Kind.DENIED: (InputMissing, "grant the user what {asked} reads"),
    Kind.TIMEOUT: (InputMissing, _TIMEOUT),  # it would end the next try, too
}
_WRITING: dict[Kind, _Meaning] = {
    **dict.fromkeys(
        (Kind.SYNTAX, Kind.UNSUPPORTED, Kind.WRITES, Kind.BLOCKED),
        (OutputRefused, "name another table with --into"),
    ),
    Kind.MISSING: (OutputRefused, "create it, or name another table with --into"),
    Kind.NAME: (OutputRefused, "check the table, its triggers and its defaults"),
    Kind.VALUE: (DataError, "check the rows against the table's constraints and triggers"),
    Kind.DENIED: (OutputRefused, "check the user's privileges"),
    Kind.TIMEOUT: (OutputRefused, _TIMEOUT),
}
_ALWAYS: dict[Kind, _Meaning] = {
    Kind.LOCKED: (OutputLocked, "wait longer for the other session with --lock-wait"),
    Kind.READ_ONLY: (OutputRefused, "check the permissions of the database and its directory"),
    Kind.FULL: (StorageError, _SPACE),
    Kind.MEMORY: (OutOfMemory, "score fewer rows or columns at once with --query"),
    Kind.LOST: (StorageError, _LOST),
    Kind.FOREIGN: (DataError, "check the name"),
    Kind.DAMAGED: (DataError, "check the database with its own tools, or restore it"),
    Kind.BROKEN: (StorageError, "look into the engine's log, or report it to the engine's makers"),
    Kind.IO: (StorageError, "check the device and run again"),
}


class Faults:
    """The errors of one session."""

    def __init__(self, place: str) -> None:
        """Take the database's name for messages, which holds no password."""
        self._place = place
        self._asked: str | None = None

    @contextmanager
    def reading(self, asked: str) -> Iterator[None]:
        """Within this, errors are about the source that an option asks for."""
        self._asked = asked
        try:
            yield
        finally:
            self._asked = None

    @property
    def is_reading(self) -> bool:
        """Whether errors are about the source."""
        return self._asked is not None

    def error(self, kind: Kind, words: str, *, joint: str = ": ") -> TweetscoreError:
        """Return the error of a kind: the database's name and the engine's words in one line."""
        meanings = _ALWAYS | (_READING if self.is_reading else _WRITING)
        error, remedy = meanings[kind]
        return error(f"{self._place}{joint}{words}", remedy.format(asked=self._asked))


T = TypeVar("T")

_SHOWN = 300  # letters of what an engine says


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, its type in the engine's words; '' where values have their own."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the statements of the engines differ."""

    work: str  # the schema of tables that only this run sees
    number: str  # type of a row's number
    text: str  # type of a label
    score: str  # type of a score
    labels: str  # type of a list of labels
    text_kinds: re.Pattern[str]  # types of columns that hold texts
    no_text: str | None  # condition for a value that is no text, where columns have no types
    as_text: str
    as_bytes: str  # of a text: what no collation calls equal
    begin: str  # a transaction that writes
    lock: str | None  # keeps other writers from a table, where a transaction does not
    folds_case: bool  # whether names that differ in the case of ASCII letters are one
    temporary: str  # the schema of the view that the query becomes
    begin_reading: str | None = None  # a transaction in which a query cannot write

    def folded(self, name: str) -> str:
        """Return the same for all spellings of a name."""
        return folded(name) if self.folds_case else name


@dataclass(frozen=True, slots=True)
class Found:
    """What the engine takes a name for."""

    name: TableName  # with its schema, spelled as in the catalog; that of a table to be made
    identity: str | None  # one text for one object, whatever it is called by; None: not there
    kind: str = "table"  # or "view", or the engine's other word for what is no table
    lasts: bool = True  # False for what ends with the session
    earlier_name: str | None = None  # by which runs were noted before they had an identity


class Session(ABC):
    """A connection in autocommit: what belongs together is between BEGIN and COMMIT.

    What the engine refuses is an error of ours, in one line of its words. Cursors are those of an
    ADBC driver, unless a session asks its library in another way.
    """

    driver_error: ClassVar[type[Exception]]

    def __init__(self, connection: Any, faults: Faults) -> None:
        """Use a connection, which stays its maker's to close."""
        self.faults = faults
        self.connection = connection

    @abstractmethod
    def find(self, table: TableName) -> Found:
        """Resolve a name as the engine does."""

    @abstractmethod
    def reads(self, table: TableName) -> frozenset[str]:
        """Return the identities of all tables that rows of a table or view come from."""

    @abstractmethod
    def columns(self, table: TableName) -> tuple[Column, ...]:
        """Return the columns of a table; none where there is no such table."""

    @abstractmethod
    def make_query(self, view: TableName, query: str) -> None:
        """Make a temporary view of a query; nothing of the query runs.

        Raises:
            UsageError: the engine does not take it for exactly one SELECT.
        """

    @abstractmethod
    def ingest(self, cursor: Any, reader: Any, table: TableName) -> None:
        """Append a reader to a table in the work area, without its errors in our words."""

    @abstractmethod
    def translated(self, error: Any) -> TweetscoreError:
        """Return the error of ours for one of the driver's."""

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement; values are in the places of $1, $2 ..."""
        self.rows(statement, *values)  # all of them: a driver may run it bit by bit

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a small result."""

        def ask(cursor: Any) -> list[tuple[Any, ...]]:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

        return self.with_cursor(ask)

    def read(self, statement: str, take: Callable[[Any], T]) -> T:
        """Hand a result of any size over as a pyarrow RecordBatchReader, memory flat."""

        def ask(cursor: Any) -> T:
            cursor.execute(statement)
            with cursor.fetch_record_batch() as reader:
                return take(reader)

        return self.with_cursor(ask)

    def append(self, reader: Any, table: TableName) -> None:
        """Append a RecordBatchReader to a table in the work area, columns in order."""
        self.with_cursor(lambda cursor: self.ingest(cursor, reader, table))

    def with_cursor(self, ask: Callable[[Any], T]) -> T:
        """Return what a function of a cursor returns; a signal interrupts it."""
        with self.in_our_words(), closing(self.connection.cursor()) as cursor:
            return interruptible(lambda: ask(cursor), cursor.adbc_cancel)

    @contextmanager
    def in_our_words(self) -> Iterator[None]:
        """Within this, errors of the driver are errors of ours."""
        try:
            yield
        except self.driver_error as error:
            raise self.translated(error) from error


@dataclass(frozen=True, slots=True)
class Database:
    """A database, and a work area beside it that only this run sees."""

    dialect: Dialect
    session: Callable[[], AbstractContextManager[Session]]  # between two the work area stays


@contextmanager
def transaction(session: Session, dialect: Dialect, *, dry_run: bool = False) -> Iterator[None]:
    """Commit at the end, or roll back a dry run; after an error the database is as it was."""
    session.execute(dialect.begin)
    try:
        yield
    except BaseException:
        with suppress(TweetscoreError):  # a connection that broke has nothing to undo
            session.execute("ROLLBACK")
        raise
    session.execute("ROLLBACK" if dry_run else "COMMIT")


def folded(name: str) -> str:
    """Return a name with its ASCII letters in lower case, as DuckDB and SQLite compare names."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def first_line(words: str) -> str:
    """Return the line of an engine's message that says what is wrong."""
    lines = (line.strip() for line in words.splitlines())
    return next(filter(None, lines), "no reason given")[:_SHOWN]
