"""What an engine is to the rest: SQL with a dialect, texts out and answers in as Arrow."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from scorer.databases.faults import Faults
from scorer.databases.names import TableName
from scorer.errors import TweetscoreError

T = TypeVar("T")

_SHOWN = 300  # letters of what an engine says


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, its type in the engine's words; '' where values have their own."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the engines differ in what they are told."""

    work: str  # the schema of tables that only this run sees
    number: str  # type of a row's number
    text: str  # type of a label
    score: str  # type of a score
    text_kinds: re.Pattern[str]  # types of columns that hold texts
    no_text: str | None  # condition for a value that is none, where types do not tell
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


class Session(Protocol):
    """A connection. What the engine refuses is an error of ours, in one line of its words."""

    @property
    def faults(self) -> Faults:
        """The errors that it has."""

    def find(self, table: TableName) -> Found:
        """Resolve a name as the engine does."""

    def reads(self, table: TableName) -> frozenset[str]:
        """Return the identities of all tables that rows of a table or view come from."""

    def make_query(self, view: TableName, query: str) -> None:
        """Make a temporary view of a query; nothing of the query runs.

        Raises:
            UsageError: the engine does not take it for exactly one SELECT.
        """

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement; values are in the places of $1, $2 ..."""

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a small result."""

    def read(self, statement: str, take: Callable[[Any], T]) -> T:
        """Hand a result of any size over as a pyarrow RecordBatchReader, memory flat."""

    def columns(self, table: TableName) -> tuple[Column, ...]:
        """Return the columns of a table; none where there is no such table."""

    def append(self, reader: Any, table: TableName) -> None:
        """Append a RecordBatchReader to a table in the work area, columns in order."""


class Database(Protocol):
    """A database, and a work area beside it that only this run sees."""

    @property
    def dialect(self) -> Dialect:
        """How it is spoken to."""

    def session(self) -> AbstractContextManager[Session]:
        """Give a connection; between two of them the work area stays."""


@contextmanager
def transaction(session: Session, dialect: Dialect) -> Iterator[None]:
    """Commit at the end; after an error the database is as it was."""
    session.execute(dialect.begin)
    try:
        yield
    except BaseException:
        with suppress(TweetscoreError):  # a connection that broke has nothing to undo
            session.execute("ROLLBACK")
        raise
    session.execute("COMMIT")


def folded(name: str) -> str:
    """Return a name with its ASCII letters in lower case, as DuckDB and SQLite compare names."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def first_line(words: str) -> str:
    """Return the line of an engine's message that says what is wrong."""
    lines = (line.strip() for line in words.splitlines())
    return next(filter(None, lines), "no reason given")[:_SHOWN]
