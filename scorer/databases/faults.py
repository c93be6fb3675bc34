"""The kinds of errors that an engine reports, and the one error of ours for each.

Each engine maps its own codes to a kind; what a kind means is said here once. An error while the
source is read is about the input, the same error while the table is written is about the output.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

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


class Kind(Enum):
    """What went wrong, whichever engine says so."""

    SYNTAX = auto()  # not one SELECT
    UNSUPPORTED = auto()  # a statement that the engine does not run in this place
    WRITES = auto()  # a query that would change something
    MISSING = auto()  # no such table, schema or file
    NAME = auto()  # no such column, function or type, or one that does not fit
    VALUE = auto()  # a value that cannot be computed or stored: constraints and triggers, too
    DENIED = auto()  # a privilege
    READ_ONLY = auto()  # nobody may write here
    BLOCKED = auto()  # another object stands in the way
    LOCKED = auto()
    TIMEOUT = auto()  # a limit on time that the server was told
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
    Kind.SYNTAX: (UsageError, _SELECT),
    Kind.UNSUPPORTED: (UsageError, _SELECT),
    Kind.WRITES: (UsageError, _SELECT),
    Kind.MISSING: (InputMissing, "check {asked}"),
    Kind.NAME: (DataError, "check {asked}"),
    Kind.VALUE: (DataError, "leave such rows out, or cast them, with --query"),
    Kind.BLOCKED: (DataError, "check {asked}"),
    Kind.DENIED: (InputMissing, "grant the user what {asked} reads"),
    Kind.TIMEOUT: (InputMissing, _TIMEOUT),  # it would end the next try, too
}
_WRITING: dict[Kind, _Meaning] = {
    Kind.SYNTAX: (OutputRefused, "name another table with --into"),
    Kind.UNSUPPORTED: (OutputRefused, "name another table with --into"),
    Kind.WRITES: (OutputRefused, "name another table with --into"),
    Kind.MISSING: (OutputRefused, "create it, or name another table with --into"),
    Kind.NAME: (OutputRefused, "check the table, its triggers and its defaults"),
    Kind.VALUE: (DataError, "check the rows against the table's constraints and triggers"),
    Kind.BLOCKED: (OutputRefused, "name another table with --into"),
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
