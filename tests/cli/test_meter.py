"""What the bar shows, with a clock of the test's own."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scorer.cli.meter import Meter
from scorer.cli.progress import Bar
from scorer.records import Progress

A, B = Path("a.csv"), Path("b.csv")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def meter(clock: Clock, rows: dict[Path, float], **other: Any) -> Meter:
    return Meter(lambda _: 100, max(len(rows), 1), rows, **{"in_rows": True, **other}, clock=clock)


def score(shown: Meter, clock: Clock, path: Path, batches: int, rows: int, **how: Any) -> None:
    """Score batches of so many rows, each in a second."""
    for _ in range(batches):
        clock.now += 1
        shown.add(Progress(path, "score", rows, **how))


def test_rate_and_time_begin_with_the_first_batch(clock: Clock) -> None:
    """Loading the model is no part of them: they hold from the second batch to the end."""
    shown = meter(clock, {A: 100.0})
    shown.add(Progress(A, "load"))
    assert (shown.words, str(shown)) == ("loading the model", "0 of 100 rows")
    clock.now = 60.0
    found = []
    for _ in range(10):
        score(shown, clock, A, 1, 10)
        found.append(str(shown))
    assert found[0] == "10 of 100 rows"
    assert found[1:3] == [
        "20 of 100 rows, 10 rows/s, 0:08 left",
        "30 of 100 rows, 10 rows/s, 0:07 left",
    ]
    assert found[-1] == "100 of 100 rows, 10 rows/s, 0:00 left"
    assert shown.share == 1


def test_batches_that_end_together_are_no_rate(clock: Clock) -> None:
    """As the first ones of several threads do: a rate of a million would jump to a thousand."""
    shown = meter(clock, {A: 100.0})
    for _ in range(4):
        shown.add(Progress(A, "score", 5))
    clock.now = 0.1
    shown.add(Progress(A, "score", 5))
    assert str(shown) == "25 of 100 rows"


def test_the_time_runs_on_while_a_batch_takes_long(clock: Clock) -> None:
    shown = meter(clock, {A: 100.0})
    score(shown, clock, A, 2, 10)
    clock.now += 3
    assert str(shown) == "20 of 100 rows, 10 rows/s, 0:05 left"
    clock.now += 30
    assert str(shown) == "20 of 100 rows, 10 rows/s, 0:00 left"


def test_rows_that_an_earlier_run_had_do_not_make_it_faster(clock: Clock) -> None:
    """A run that is resumed passes over them in no time, and then scores as slowly as ever."""
    shown = meter(clock, {A: 100.0})
    shown.add(Progress(A, "score", 50, known=True))
    assert str(shown) == "50 of 100 rows"
    score(shown, clock, A, 3, 10)
    assert str(shown) == "80 of 100 rows, 10 rows/s, 0:02 left"


def test_a_file_that_has_grown_is_followed(clock: Clock) -> None:
    """Its rows were estimated, or more have come; what is left is what is known."""
    shown = meter(clock, {A: 15.0, B: 10.0})
    score(shown, clock, A, 2, 10)
    assert str(shown) == "20 of 30 rows, file 1 of 2, 10 rows/s, 0:01 left"
    shown.finish(A)
    assert (shown.share, str(shown)[:29]) == (20 / 30, "20 of 30 rows, file 2 of 2, 1")
    shown.finish(B)  # up to date
    assert (shown.share, str(shown)[:13]) == (1, "20 of 20 rows")


def test_many_files_are_weighed_by_their_bytes(clock: Clock) -> None:
    """Their rows are counted when they are scored; those that are up to date weigh nothing."""
    counted: list[Path] = []

    def count(path: Path) -> int:
        counted.append(path)
        return 100

    gone = Path("c.csv")
    weights = {A: 1000.0, B: 3000.0, gone: 500.0}
    shown = Meter(count, 3, weights, in_rows=False, clock=clock)
    shown.finish(gone)
    score(shown, clock, A, 2, 50)
    assert (shown.share, str(shown)) == (0.25, "100 rows, file 2 of 3, 50 rows/s, 0:06 left")
    shown.finish(A)
    score(shown, clock, B, 2, 25)
    assert shown.share == 0.625
    shown.finish(B)
    assert (shown.share, shown.finished, counted) == (1, 3, [A, B])


def test_urls_count_as_files_under_whatever_name(clock: Clock) -> None:
    """The copy of an object has another name, and so has its outcome."""
    shown = meter(clock, {Path("0"): 1.0, Path("1"): 1.0}, in_rows=False)
    score(shown, clock, A, 1, 50)
    assert shown.share == 0.25
    shown.finish(Path("s3://a.csv"))
    assert shown.share == 0.5
    shown.finish(Path("s3://b.csv"))  # failed: it weighs nothing
    assert shown.share == 1


def test_rows_of_a_database_are_counted_when_they_are_there(clock: Clock) -> None:
    shown = meter(clock, {})
    shown.add(Progress(A, "read"))
    assert (shown.share, str(shown)) == (None, "0 rows")
    shown.add(Progress(A, "load"))
    assert (shown.share, str(shown)) == (0, "0 of 100 rows")


def test_hours_are_shown_as_such(clock: Clock) -> None:
    shown = meter(clock, {A: 10_000.0})
    score(shown, clock, A, 2, 1)
    assert str(shown) == "2 of 10,000 rows, 1 rows/s, 2:46:38 left"


class Line:
    """Stands for tqdm: keeps what is drawn."""

    disable = False
    total = n = 0.0
    bar_format = ""

    def __init__(self) -> None:
        self.drawn: list[tuple[float, str]] = []

    def refresh(self, *, nolock: bool) -> None:
        """Keep it."""
        assert nolock
        self.drawn.append((self.n, self.bar_format))

    def clear(self, *, nolock: bool) -> None:
        """Keep it too."""
        assert nolock
        self.drawn.append((self.n, ""))


@pytest.fixture
def bar_of() -> Callable[[Meter], tuple[Bar, Line]]:
    def make(shown: Meter) -> tuple[Bar, Line]:
        line = Line()
        return Bar(shown, cast("Any", line)), line

    return make


def test_each_hundredth_is_drawn_once(
    clock: Clock, bar_of: Callable[[Meter], tuple[Bar, Line]]
) -> None:
    """However fast it goes: a run of 3,534 rows in batches has at most 101 drawings of its own."""
    bar, line = bar_of(meter(clock, {A: 3534.0}))
    for _ in range(3534):
        bar.take(Progress(A, "score", 1))
    assert [int(100 * share) for share, _ in line.drawn] == list(range(101))


def test_a_report_has_the_line_for_itself(
    clock: Clock, bar_of: Callable[[Meter], tuple[Bar, Line]]
) -> None:
    """The state at the end of a file is drawn, then cleared; no thread draws meanwhile."""
    bar, line = bar_of(meter(clock, {A: 3.0, B: 3.0}))
    bar.take(Progress(A, "score", 3))
    with bar.finished(A):
        assert line.drawn[-2][1].endswith("3 of 6 rows, file 2 of 2")
        assert line.drawn[-1][1] == ""
        assert bar._drawing.locked()
    assert not bar._drawing.locked()


def test_each_drawing_of_a_step_turns_the_spinner(
    clock: Clock, bar_of: Callable[[Meter], tuple[Bar, Line]]
) -> None:
    """So that it can be seen that the run goes on."""
    bar, line = bar_of(meter(clock, {A: 3.0}))
    bar.take(Progress(A, "load"))
    bar.take(Progress(A, "load"))
    bar.draw()
    first, second = (shown for _, shown in line.drawn)
    assert first[1:] == second[1:]
    assert first[0] != second[0]
    assert " loading the model " in first


def test_without_a_terminal_nothing_is_counted() -> None:
    bar = Bar()
    bar.take(Progress(A, "score", 3))
    with bar.finished(A):
        bar.draw()


def test_a_bar_that_is_closed_is_not_drawn_again(clock: Clock) -> None:
    """The thread may come once more."""
    Bar(meter(clock, {A: 3.0}), cast("Any", SimpleNamespace(disable=True))).draw()
