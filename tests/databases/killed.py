"""Prepares a fork of the warm process: a stub for the model, and a death half-way.

SIGKILL comes before the Nth statement of the session that writes; 0 is while the model works.
A run that has fewer statements ends well; `said` is the file that holds how many there were.
"""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scorer.databases import open_database, table_run
from scorer.databases.address import TableName
from scorer.databases.engine import Database, Session
from scorer.inference.loading import ModelHandle
from tests.handles import handle_of
from tests.stubs import StubClassifier


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mortal:
    """A session that counts its statements; the first session only reads and does the dry run."""

    said = 0
    sessions = 0
    last = 0  # the statement before which it dies
    notes = Path()

    def __init__(self, session: Session) -> None:
        self._session = session

    def _count(self) -> None:
        if Mortal.sessions == 2:
            Mortal.said += 1
            Mortal.notes.write_text(str(Mortal.said))
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


def prepare(last: int, said: str, environment: dict[str, str]) -> None:
    """Let the run die before a statement."""

    @contextmanager
    def open_mortal(*words: Any) -> Iterator[Any]:
        with open_database(*words) as database:
            yield MortalDatabase(database)

    os.environ.update(environment)
    tempfile.tempdir = None  # TMPDIR may be another one
    Mortal.last, Mortal.notes = last, Path(said)
    stub = StubClassifier()
    if last == 0:
        stub.before_scoring = die
    ModelHandle.of = lambda spec: handle_of(stub)  # type: ignore[method-assign]  # a fork's own
    vars(table_run)["open_database"] = open_mortal
