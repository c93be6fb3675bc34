"""The bar on a terminal, whose remaining time is one that a user can plan with.

tqdm reckons it from the rate of the last windows and from how much there is: of a few files the
rows, which are counted or estimated before the first is scored; of many the files.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm

    from scorer.run_options import Outcome, RunOptions

_FEW = 10


class Progress:
    """How far a run is; without a bar, nothing is counted."""

    def __init__(self, bar: "tqdm | None" = None, expected: dict[Path, int] | None = None) -> None:
        self._bar = bar
        self._expected = expected  # rows of each file; None where files are counted
        self._rows = 0  # of the file in hand

    def hear(self, rows: int) -> None:
        """Take note of rows that are done."""
        self._rows += rows
        if self._bar is not None and self._expected is not None:
            with suppress(OSError):  # the terminal is gone, the run is not
                self._bar.update(rows)

    def settle(self, outcome: "Outcome") -> None:
        """Take note of a file that is done, and clear the line for what is to be said of it."""
        if self._bar is None:
            return
        with suppress(OSError):
            if self._expected is None:
                self._bar.update()
            else:
                self._bar.total += self._rows - self._expected.get(outcome.input, 0)
            self._bar.clear()
        self._rows = 0


@contextmanager
def closed_quietly(bar: "tqdm") -> "Iterator[tqdm]":
    """Give a bar that goes with the block; a terminal that is gone by then is no error."""
    try:
        yield bar
    finally:
        with suppress(OSError):
            bar.close()


@contextmanager
def progress(wanted: "RunOptions", files: Sequence[object], *, hidden: bool) -> Iterator[Progress]:
    """Show a bar on stderr while the block lasts, if somebody watches.

    What is not here yet, as it belongs to a URL, is counted when it comes.
    """
    if hidden or not sys.stderr.isatty():
        yield Progress()
        return
    from tqdm import tqdm

    from scorer.preview import expected_rows

    if len(files) > _FEW:
        with closed_quietly(tqdm(total=len(files), unit=" files", leave=False)) as bar:
            yield Progress(bar)
        return
    expected = expected_rows(wanted, [each for each in files if isinstance(each, Path)])
    total = sum(expected.values())
    bar = tqdm(total=total, unit=" tweets", unit_scale=True, leave=False)
    with closed_quietly(bar):
        yield Progress(bar, expected)
