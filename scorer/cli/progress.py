"""The progress bar of `run` and `table`, on a terminal only."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from scorer.cli.meter import Meter
from scorer.cli.terminal import columns

if TYPE_CHECKING:
    from tqdm import tqdm

    from scorer.options import RunOptions
    from scorer.records import Progress


_FEW = 10  # inputs whose rows are counted before the run
_TICK_S = 0.25  # between two drawings where nothing else is to be shown
_LINES = 20  # of a terminal, for tqdm: more than one
_SHORTEST = 10  # characters of a bar
_STDERR = 2
_SPINNER = "-\\|/"


class Bar:
    """The bar of a run; without a terminal nothing is counted.

    It is drawn with each hundredth of the work and, by a thread, four times a second: also while
    the model is loaded, or a batch takes long. The thread reads no environment without Python's
    lock, so it may run while libraries are loaded (see `scorer.inference.runtime.prepared`).
    """

    def __init__(self, meter: Meter | None = None, bar: "tqdm | None" = None) -> None:
        self._meter = meter
        self._bar = bar
        self._drawing = threading.Lock()  # tqdm's own stays locked where a terminal is gone
        self._drawn: tuple[int, int] = (-1, 0)  # hundredths and finished inputs
        self._words = ""
        self._turns = 0

    def take(self, message: "Progress") -> None:
        """Show what a message of the run says, if it makes a difference."""
        if self._meter is None:
            return
        self._meter.add(message)
        share = self._meter.share or 0.0
        if self._drawn != (int(100 * share), self._meter.finished) or self._begins():
            self.draw()

    def _begins(self) -> bool:
        """Tell whether the run has a new step before its first row."""
        if (meter := self._meter) is None or meter.rows or meter.finished:
            return False
        return meter.words != self._words

    def draw(self) -> None:
        """Draw the bar as it stands."""
        with self._drawing:
            self._draw()

    def _draw(self) -> None:
        if self._bar is None or self._meter is None or self._bar.disable:
            return
        meter, share = self._meter, self._meter.share
        self._drawn, self._words = (int(100 * (share or 0.0)), meter.finished), meter.words
        self._turns += 1
        step = f"{_SPINNER[self._turns % len(_SPINNER)]} {meter.words} " if meter.words else ""
        self._bar.ncols = columns(_STDERR) - 1  # the last column may move the cursor on
        self._bar.bar_format = _line(step, share, meter, self._bar.ncols)
        self._bar.total, self._bar.n = 1.0, share or 0.0
        with suppress(OSError):  # the terminal is gone, the run is not
            self._bar.refresh(nolock=True)

    @contextmanager
    def finished(self, path: Path) -> Iterator[None]:
        """Count an input that is done, and clear the line while the block reports on it."""
        if self._bar is None or self._meter is None:
            yield
            return
        with self._drawing:
            self._meter.finish(path)
            self._draw()
            with suppress(OSError):
                self._bar.clear(nolock=True)
            yield


@contextmanager
def ticking(bar: Bar) -> Iterator[Bar]:
    """Let a thread draw the bar again and again while the block lasts."""
    stopped = threading.Event()

    def tick() -> None:
        while not stopped.wait(_TICK_S):
            bar.draw()

    thread = threading.Thread(target=tick, name="bar", daemon=True)
    thread.start()
    try:
        yield bar
    finally:
        stopped.set()
        thread.join()


@contextmanager
def closed_quietly(bar: "tqdm") -> "Iterator[tqdm]":
    """Yield a bar and close it after the block; a terminal that is gone by then is no error."""
    try:
        yield bar
    finally:
        with suppress(OSError):
            bar.close()


@contextmanager
def progress(wanted: "RunOptions", files: Sequence[object], *, hidden: bool) -> Iterator[Bar]:
    """Show a bar on stderr while the block lasts, if stderr is a terminal.

    Of a few files the rows are counted first; of many the bytes have to do. What is at a URL has
    not been seen yet: each counts as much as another.
    """
    if hidden or not sys.stderr.isatty():
        yield Bar()
        return
    from scorer.run.dry_run import expected_rows

    def count(path: Path) -> int:
        return expected_rows(wanted, [path]).get(path, 0)

    paths = [each for each in files if isinstance(each, Path)]
    if len(paths) == len(files) <= _FEW:
        weights = {path: float(rows) for path, rows in expected_rows(wanted, paths).items()}
    elif len(paths) == len(files):
        weights = {path: _size(path) for path in paths}
    else:
        weights = {Path(str(number)): 1.0 for number in range(len(files))} if files[1:] else {}
    in_rows = (len(files) <= _FEW and len(paths) == len(files)) or not files[1:]
    with drawn(Meter(count, len(files), weights, in_rows)) as bar:
        yield bar


@contextmanager
def table_progress(*, hidden: bool) -> Iterator[Bar]:
    """Show the bar of rows of a database, likewise; they are counted when they have been read."""
    if hidden or not sys.stderr.isatty():
        yield Bar()
        return
    from scorer.options import RunOptions
    from scorer.run.dry_run import expected_rows

    def count(path: Path) -> int:
        return expected_rows(RunOptions.of((path,)), [path]).get(path, 0)

    with drawn(Meter(count, 1, {}, in_rows=True)) as bar:
        yield bar


@contextmanager
def drawn(meter: Meter) -> Iterator[Bar]:
    """Draw a bar on stderr, which is a terminal, while the block lasts."""
    from tqdm import tqdm

    # tqdm hides a bar where the terminal says that it has no lines, so it is not asked.
    width = columns(_STDERR) - 1
    first = f"{meter}"[:width]
    line = tqdm(total=1.0, leave=False, ncols=width, nrows=_LINES, bar_format=first)
    with closed_quietly(line), ticking(Bar(meter, line)) as bar:
        yield bar


def _line(step: str, share: float | None, meter: Meter, width: int) -> str:
    """Return tqdm's format of a line; without a bar where there is no room for one."""
    start = step if share is None else f"{step}{100 * share:3.0f}% "
    text = meter.fitted(width - len(start))
    if share is not None and width - len(f"{start}||{text}") >= _SHORTEST:
        return f"{start[:-1]}|{{bar}}| {text}"
    return f"{start}{text}"[:width]


def _size(path: Path) -> float:
    try:
        return float(max(1, path.stat().st_size))
    except OSError:  # opening it raises the error
        return 1.0
