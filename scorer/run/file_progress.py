"""Tells how far one input has come, also while a window is being scored.

The batches of a window are sorted by token length, so rows would be done slowly at first and fast
in the end. A window's progress is therefore the share of its work, told as that share of its rows:
a rate and a remaining time that are computed of it hold.
"""

from pathlib import Path

from scorer.records import OnProgress, Progress, Step


class FileProgress:
    """Turns steps and shares of windows into messages for a callback."""

    def __init__(self, path: Path, callback: OnProgress) -> None:
        self._path = path
        self._callback = callback
        self._rows = 0  # of the window
        self._known = 0  # of those, answered by an earlier output
        self._done = 0  # of all

    def step(self, step: Step) -> None:
        """Tell what is done now."""
        self._callback(Progress(self._path, step))

    def begin(self, rows: int, step: Step = "score", *, known: int = 0) -> None:
        """Begin a window of so many rows, or go on with one that was begun with the check."""
        self._rows, self._known = rows, known
        self.step(step)
        self._add(known, known=True)

    def share(self, share: float) -> None:
        """Tell how much of the window's work is done; less than before is nothing new."""
        self._add(self._known + int(share * (self._rows - self._known)))

    def end(self) -> None:
        """Tell that the window is done."""
        self._add(self._rows)
        self._done = 0
        self.step("read")

    def _add(self, done: int, *, known: bool = False) -> None:
        if done > self._done:
            self._callback(Progress(self._path, "score", done - self._done, known))
            self._done = done
