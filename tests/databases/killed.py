"""A run of `tweetscore table` with a stub for the model, which kills itself half-way.

usage: python -m tests.databases.killed URL N
SIGKILL comes before the Nth statement of the session that writes; 0 is while the model works.
A run that has fewer statements ends well, and prints how many.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from scorer.databases import open_database, table_run
from scorer.databases.address import TableName, parse_address
from scorer.databases.checks import TableOptions
from scorer.databases.engine import Database, Session
from scorer.options import ModelSpec, OutputSpec
from tests.handles import handle_of
from tests.stubs import StubClassifier


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A session that counts its statements; the first session only reads and does the dry run."""

    said = 0
    sessions = 0
    last = 0  # the statement before which it dies

    def __init__(self, session: Session) -> None:
        self._session = session

    def _count(self) -> None:
        if Mortal.sessions == 2:
            Mortal.said += 1
            if Mortal.said == Mortal.last:
                die()

    def execute(self, *words: Any) -> None:
        """Count, then do."""
        self._count()
        self._session.execute(*words)

    def append(self, reader: Any, table: TableName) -> None:
        """Count, then do."""
        self._count()
        self._session.append(reader, table)

    def __getattr__(self, name: str) -> Any:
        """Do."""
        return getattr(self._session, name)


class MortalDatabase:
    """A database whose sessions are mortal."""

    def __init__(self, database: Database) -> None:
        self.dialect = database.dialect
        self._database = database

    @contextmanager
    def session(self) -> Iterator[Any]:
        """Give the next session."""
        with self._database.session() as session:
            Mortal.sessions += 1
            yield Mortal(session)


def main(url: str, last: int) -> None:
    @contextmanager
    def open_mortal(*words: Any) -> Iterator[Any]:
        with open_database(*words) as database:
            yield MortalDatabase(database)

    Mortal.last = last
    stub = StubClassifier()
    if last == 0:
        stub.before_scoring = die
    options = TableOptions(
        parse_address(url),
        TableName(("tweets",)),
        TableName(("scored",)),
        ModelSpec(),
        OutputSpec(),
        incremental=False,
        id_column="id",
    )
    with patch.object(table_run, "open_database", open_mortal):
        table_run.score_table(options, model=handle_of(stub))
    print(Mortal.said)  # noqa: T201  the test reads it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
