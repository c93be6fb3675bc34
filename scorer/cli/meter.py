"""How far a run has come: rows, their rate, and the time that remains. Nothing is drawn here."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scorer.hints import counted
from scorer.records import Progress

_SETTLED_S = 0.3  # of work: the first batches of all callers end together
_STEPS = {
    "load": "loading the model",
    "check": "checking the model",
    "read": "reading",
    "score": "",  # the rows say it
    "publish": "writing",
}


@dataclass(slots=True)
class Meter:
    """Adds up the messages of a run.

    A run is the sum of its inputs' weights, whatever those are: rows of a few inputs, bytes of
    many, which nobody wants to have counted first. The rate is that of all rows which the model
    has answered since the first one, so it changes little from window to window.
    """

    count: Callable[[Path], int]  # returns about how many rows an input has
    files: int
    weights: dict[Path, float]  # of the inputs; what is not in it is weighed when its turn comes
    in_rows: bool  # whether the weights are rows
    clock: Callable[[], float] = time.monotonic
    words: str = ""  # what is done now; nothing while rows are being scored
    rows: int = 0  # of all inputs
    finished: int = 0  # inputs
    _total: float = 0.0  # weight of all inputs
    _behind: float = 0.0  # weight of those that are finished
    _known: float = 0.0  # weight of what did not need the model
    _path: Path | None = None  # of the current input
    _weight: float | None = None  # likewise; None where it is not known yet
    _file_rows: int = 0  # of the current input, that are done
    _expected: int | None = None  # rows of it; None until they are needed
    _scored: int = 0  # rows that the model has answered since its first batch
    _since: float | None = None  # when that was done
    _last: float = field(default=0.0)  # when it last did

    def __post_init__(self) -> None:
        """Begin with what is known of the inputs."""
        self._total = sum(self.weights.values())

    def add(self, message: Progress) -> None:
        """Take one message into account."""
        if message.input != self._path:
            self._begin(message.input)
        if self._weight is None and message.step != "read":  # what is still read has no rows yet
            self._weight = float(self.count(message.input))
            self._total += self._weight
        self.words = _STEPS[message.step]
        if message.rows:
            self._add_rows(message.rows, known=message.known)

    def finish(self, path: Path) -> None:
        """Take into account that an input is done, or failed, or was up to date."""
        if self._path is None:
            self._begin(path)
        held = self._weight or 0.0
        weight = float(self._file_rows) if self.in_rows else held * bool(self._file_rows)
        self._total += weight - held
        self._behind += weight
        self.finished += 1
        self._path, self._weight, self._file_rows, self.words = None, None, 0, ""

    @property
    def share(self) -> float | None:
        """The share of the work that is done, from 0 to 1; None where it cannot be known."""
        return min(self._done / self._total, 1.0) if self._total else None

    @property
    def rate(self) -> float | None:
        """Rows per second that the model answers; None until it can be told."""
        if self._since is None or self._last - self._since < _SETTLED_S:
            return None
        return self._scored / (self._last - self._since)

    @property
    def remaining(self) -> float | None:
        """Seconds that are left at this speed; None where they cannot be known."""
        done = self._done
        if self.rate is None or self._since is None or done <= self._known:
            return None
        left = (self._total - done) / (done - self._known) * (self._last - self._since)
        return max(0.0, left - (self.clock() - self._last))

    def __str__(self) -> str:
        """Return rows, files, rate and remaining time."""
        return ", ".join(self._parts())

    def fitted(self, columns: int) -> str:
        """Return what fits into that many characters: the rate goes first, then the files."""
        parts = self._parts()
        while len(", ".join(parts)) > columns and len(parts) > 2:
            del parts[-2]
        return ", ".join(parts)

    def _parts(self) -> list[str]:
        parts = [self._rows_of_all()]
        if self.files > 1:
            parts.append(f"file {min(self.finished + 1, self.files):,} of {self.files:,}")
        if self.rate:
            parts.append(f"{self.rate:,.0f} rows/s")
        if self.remaining is not None:
            parts.append(f"{_clock_time(self.remaining)} left")
        return parts

    @property
    def _done(self) -> float:
        return self._behind + (self._weight or 0.0) * self._file_share

    @property
    def _file_share(self) -> float:
        return min(self._file_rows / self._expected, 1.0) if self._expected else 0.0

    def _begin(self, path: Path) -> None:
        self._path, self._file_rows, self._expected = path, 0, None
        if path not in self.weights and not self.in_rows and self.weights:
            path = next(iter(self.weights))  # it has another name here: that of a URL's copy
        self._weight = self.weights.pop(path, None if self.in_rows else 0.0)

    def _add_rows(self, rows: int, *, known: bool) -> None:
        weight = self._weight or 0.0
        if self._expected is None and self._path is not None:
            self._expected = int(weight) if self.in_rows else self.count(self._path)
        before = self._file_share
        self.rows += rows
        self._file_rows += rows
        if self.in_rows and self._file_rows > weight:  # it has grown, or was estimated
            self._total += self._file_rows - weight
            self._weight = weight = float(self._file_rows)
            self._expected = self._file_rows
        if known:
            self._known += max(0.0, self._file_share - before) * weight
        elif self._since is None:
            # The rate begins with the end of the first batch: loading is no part of it.
            self._since = self._last = self.clock()
            self._known = self._done
        else:
            self._scored += rows
            self._last = self.clock()

    def _rows_of_all(self) -> str:
        if self.in_rows and self._total:
            return f"{self.rows:,} of {counted(round(self._total), 'row')}"
        return counted(self.rows, "row")


def _clock_time(seconds: float) -> str:
    """Return seconds as 0:07, 1:05 or 2:00:00."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
