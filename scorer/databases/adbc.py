"""What SQLite and PostgreSQL share: a connection through an ADBC driver."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from adbc_driver_manager import dbapi

from scorer.databases.address import TableName
from scorer.databases.engine import Column, Faults
from scorer.errors import TweetscoreError
from scorer.prefetch import interruptible

T = TypeVar("T")


class AdbcSession(ABC):
    """A connection in autocommit: what belongs together is between BEGIN and COMMIT."""

    def __init__(self, connection: dbapi.Connection, faults: Faults) -> None:
        """Use a connection, which stays its maker's to close."""
        self.faults = faults
        self._connection = connection

    @abstractmethod
    def translated(self, error: dbapi.Error) -> TweetscoreError:
        """Return the error of ours for one of the driver's."""

    @abstractmethod
    def columns_statement(self, table: TableName) -> tuple[str, ...]:
        """Return a statement for names and types of a table's columns, and its values."""

    @abstractmethod
    def ingest(self, reader: Any, table: TableName) -> None:
        """Append a reader to a table in the work area."""

    def execute(self, statement: str, *values: object) -> None:
        """Run a statement."""
        self.rows(statement, *values)  # all of them: a driver may run it bit by bit

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows of a small result."""

        def ask(cursor: dbapi.Cursor) -> list[tuple[Any, ...]]:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

        return self._with_cursor(ask)

    def read(self, statement: str, take: Callable[[Any], T]) -> T:
        """Hand a result of any size over."""

        def ask(cursor: dbapi.Cursor) -> T:
            cursor.execute(statement)
            with cursor.fetch_record_batch() as reader:
                return take(reader)

        return self._with_cursor(ask)

    def columns(self, table: TableName) -> tuple[Column, ...]:
        """Return the columns of a table."""
        return tuple(Column(*row) for row in self.rows(*self.columns_statement(table)))

    def append(self, reader: Any, table: TableName) -> None:
        """Append a reader to a table in the work area."""
        with self._in_our_words():
            interruptible(lambda: self.ingest(reader, table), self._connection.adbc_cancel)

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        try:
            yield
        except dbapi.Error as error:
            raise self.translated(error) from error

    def _with_cursor(self, ask: Callable[[dbapi.Cursor], T]) -> T:
        with self._in_our_words(), closing(self._connection.cursor()) as cursor:
            return interruptible(lambda: ask(cursor), cursor.adbc_cancel)
