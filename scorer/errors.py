"""The errors of tweetscore, each with its exit code.

::

    TweetscoreError
    ├── UsageError           2   the call contradicts itself
    ├── DataError           65   the input's content cannot be scored
    ├── InputMissing        66   the input is not there
    ├── DeviceUnavailable   69   the device or provider asked for is not there
    │   ├── DeviceFull      69   its memory cannot hold a batch
    │   └── EngineFailed    69   the cluster loses its workers again and again
    ├── OutOfMemory         71   memory is used up
    ├── OutputRefused       73   the output cannot be created, or is not ours to replace
    ├── StorageError        74   reading or writing failed half-way
    ├── OutputLocked        75   another run is writing the output
    ├── GateFailed          76   answers differ from PyTorch's by more than the gate allows
    ├── InvalidBundle       78   the model bundle or the installation is not usable
    ├── MissingExtra        78   a library that an extra brings is not installed
    ├── InvalidConfig       78   the configuration file is not usable
    └── NotResumable        78   no unfinished run can go on, though that was required

A message is one line: what happened, where, and after a semicolon what to do. Anything that
is not in this tree is a bug of ours and exits 70, but for an error of the operating system, which
exits 74, Python's MemoryError, which exits 71, and an interrupt: 130, or 143 when it came as
SIGTERM. A run that is complete, but outside a bound that the call sets, is no error and exits 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, TypeGuard

OUTSIDE_BOUND = 3


def one_line(text: str) -> str:
    """Return a text in which no name of a file or an object ends the line or moves the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass(frozen=True, slots=True)
class Step:
    """A command that comes before `tweetscore run`, and what that is then called with.

    Attributes:
        command: As it is typed.
        joint: Whether what the command writes is read, or what it left.
        input: What stands in the place of the input: `-` after a pipe; "" where the input stays.
        output: What `-o` is, unless the call says it.
        words: The text before the command.
    """

    command: str
    joint: Literal["&&", "|"]
    input: str
    output: str = ""
    words: str = "try"

    def before(self, call: str) -> str:
        """Return both commands as one line, after the words."""
        return f"{self.words}: {self.command} {self.joint} {call}"


class TweetscoreError(Exception):
    """Base of all errors that are not bugs.

    Args:
        problem: What happened and where: a clause without a full stop.
        remedy: What the reader can do about it: an imperative clause, or nothing.
        options: The same as options of the command line with their values (None for a flag),
            where giving them is all there is to do: the command line shows the whole command.
        step: A command that has to come first, and what it leaves as the input; likewise.
    """

    exit_code: ClassVar[int] = 70

    def __init__(
        self,
        problem: str,
        remedy: str = "",
        options: Mapping[str, str | None] | None = None,
        step: Step | None = None,
    ) -> None:
        super().__init__(problem, remedy, options, step)
        self.problem = problem
        self.remedy = remedy
        self.options = dict(options or {})
        self.step = step

    def reworded(self, words: Callable[[str], str]) -> Self:
        """Return the same error with a changed text, such as other names for places."""
        return type(self)(words(self.problem), words(self.remedy), self.options, self.step)

    def __str__(self) -> str:
        """Return the one line that the user reads, whatever a file name or a cell put in it."""
        return self.line(self.remedy)

    def line(self, remedy: str) -> str:
        """Return the problem and a remedy as one line."""
        return one_line(f"{self.problem}; {remedy}" if remedy else self.problem)


class UsageError(TweetscoreError):
    """The call contradicts itself."""

    exit_code = 2


class DataError(TweetscoreError):
    """The input's content cannot be scored."""

    exit_code = 65


class InputMissing(TweetscoreError):
    """The input is not there."""

    exit_code = 66


class DeviceUnavailable(TweetscoreError):
    """The device or provider asked for is not there."""

    exit_code = 69


class DeviceFull(DeviceUnavailable):
    """The device's memory cannot hold a batch; it may hold a smaller one."""


class EngineFailed(DeviceUnavailable):
    """The cluster loses its workers again and again; what they had done is done."""


class OutOfMemory(TweetscoreError):
    """Memory, or the address space or the threads that the process may have, are used up."""

    exit_code = 71


class OutputRefused(TweetscoreError):
    """The output cannot be created, or is not ours to replace."""

    exit_code = 73


class StorageError(TweetscoreError):
    """Reading or writing failed half-way: a full disk, a failing device."""

    exit_code = 74


class OutputLocked(TweetscoreError):
    """Another run is writing the output."""

    exit_code = 75


class GateFailed(TweetscoreError):
    """Answers differ from PyTorch's by more than the gate allows."""

    exit_code = 76


class InvalidBundle(TweetscoreError):
    """The model bundle or the installation is not usable."""

    exit_code = 78


class MissingExtra(TweetscoreError):
    """A library that an extra brings is not installed."""

    exit_code = 78


class InvalidConfig(TweetscoreError):
    """The configuration file is not usable."""

    exit_code = 78


class NotResumable(TweetscoreError):
    """No unfinished run can go on, though that was required."""

    exit_code = 78


class Terminated(KeyboardInterrupt):
    """SIGTERM: an interrupt that a service manager sent, not a person."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of a run that ends with this error."""
    if isinstance(error, TweetscoreError):
        return error.exit_code
    if isinstance(error, Terminated):
        return 143
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, MemoryError):
        return OutOfMemory.exit_code
    if isinstance(error, OSError):
        return StorageError.exit_code
    return 70


def is_unicode(value: object) -> TypeGuard[str]:
    """Tell whether a value is a text that UTF-8 can write: one without halves of emoji."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_PLAIN = (bool, float, int, str, bytes)  # types whose values are shown beside their names
_SHOWN = 30  # of their letters


def shown(value: object) -> str:
    """Return what a caller's value is, in a few words that never run code of the value's own."""
    kind = type(value)
    if value is None:
        return "None"
    if kind not in _PLAIN or (isinstance(value, int) and value.bit_length() > 64):
        return f"of the type {kind.__name__}"
    short = value[:_SHOWN] if isinstance(value, (str, bytes)) else value
    return f"{short!r} ({kind.__name__})"
