"""What an engine is to the rest: SQL with a dialect, texts out and answers in as Arrow."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

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
    folds_case: bool  # whether names that differ in case are one
    home: str  # the schema of tables that are named without one, unless somebody chose another

    def folded(self, name: str) -> str:
        """Return the same for all spellings of a name."""
        return name.lower() if self.folds_case else name

    def are_same(self, one: TableName, other: TableName) -> bool:
        """Tell whether two names are one table's."""
        first, second = (
            tuple(map(self.folded, (self.home, *name.parts)[-2:])) for name in (one, other)
        )
        return first == second


class Session(Protocol):
    """A connection. What the engine refuses is an error of ours, in one line of its words."""

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


def first_line(words: str) -> str:
    """Return the line of an engine's message that says what is wrong."""
    lines = (line.strip() for line in words.splitlines())
    return next(filter(None, lines), "no reason given")[:_SHOWN]
