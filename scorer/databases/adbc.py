"""What SQLite and PostgreSQL share: a connection through an ADBC driver."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from adbc_driver_manager import dbapi

from scorer.databases.engine import Column
from scorer.databases.names import TableName
from scorer.errors import TweetscoreError

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
        with self._cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def batches(self, statement: str) -> Iterator[Any]:
        """Give a reader over a result."""
        with self._cursor() as cursor:
            cursor.execute(statement)
            with cursor.fetch_record_batch() as reader:
                yield reader

    def columns(self, table: TableName) -> tuple[Column, ...]:
        """Return the columns of a table."""
        return tuple(Column(*row) for row in self.rows(*self._columns(table)))

    def append(self, reader: Any, table: TableName) -> None:
        """Append a reader to a table in the work area."""
        with in_our_words(self._translate):
            self._append(reader, table)

    @contextmanager
    def _cursor(self) -> Iterator[dbapi.Cursor]:
        cursor: AbstractContextManager[dbapi.Cursor] = self._connection.cursor()
        with in_our_words(self._translate), cursor as opened:
            yield opened
