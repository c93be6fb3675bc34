"""What SQLite and PostgreSQL share: a connection through an ADBC driver."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from adbc_driver_manager import dbapi

from scorer.databases.engine import Column
from scorer.databases.interrupts import interruptibly
from scorer.databases.names import TableName
from scorer.errors import TweetscoreError

T = TypeVar("T")
Translate = Callable[[dbapi.Error], TweetscoreError]


@contextmanager
def in_our_words(translate: Translate) -> Iterator[None]:
    """Turn a driver's error into one of ours."""
    try:
        yield
    except dbapi.Error as error:
        raise translate(error) from error


class AdbcSession:
    """A connection in autocommit: what belongs together is between BEGIN and COMMIT."""

    def __init__(
        self,
        connection: dbapi.Connection,
        translate: Translate,
        columns: Callable[[TableName], tuple[str, ...]],
        append: Callable[[Any, TableName], None],
    ) -> None:
        """Take a connection over.

        Args:
            connection: It stays its maker's to close.
            translate: Names the driver's errors.
            columns: Returns a statement for names and types of a table's columns, and its values.
            append: Appends a reader to a table in the work area.
        """
        self._connection = connection
        self._translate = translate
        self._columns = columns
        self._append = append

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
        return tuple(Column(*row) for row in self.rows(*self._columns(table)))

    def append(self, reader: Any, table: TableName) -> None:
        """Append a reader to a table in the work area."""
        with in_our_words(self._translate):
            interruptibly(lambda: self._append(reader, table), self._connection.adbc_cancel)

    def _with_cursor(self, ask: Callable[[dbapi.Cursor], T]) -> T:
        with in_our_words(self._translate), closing(self._connection.cursor()) as cursor:
            return interruptibly(lambda: ask(cursor), cursor.adbc_cancel)
