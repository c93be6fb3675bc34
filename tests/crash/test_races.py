"""One writer: whoever comes second waits, goes away or finds the work done."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from tests.crash.harness import WATCHDOG, Running, Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import Theatre

Theatres = Callable[[str], Theatre]
_LONG_BEFORE = 10  # steps before the commit: the lock is still to be looked at
LOST_LOCK = {0, 75}  # how runs may end that somebody robbed of their common lock


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """Return the file that those who wait for it are waiting for."""
    return tmp_path / "go"


def lock_of(scene: Scene) -> Path:
    return scene.directory / f".{scene.output.name}.tweetscore.lock"


def wait_for_one(runs: list[Running]) -> int:
    """Wait until one of the runs is over, while the others score; return which."""
    deadline = time.monotonic() + WATCHDOG
    while time.monotonic() < deadline:
        for number, run in enumerate(runs):
            if run.is_over(0.002):
                return number
        assert sum("score 200" in run.notes() for run in runs) < 2, "two of them are at work"
    raise TimeoutError("nobody gave in")


@pytest.mark.ci
@pytest.mark.long
def test_of_two_runs_started_together_exactly_one_wins(
    theatre: Theatres,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """The winner scores while the loser ends with 75, having touched nothing."""
    play = theatre("csv")
    first_wins = 0
    for number in range(count(50, 200)):
        scene = play.copy()
        start, go = tmp_path / f"start-{number}", tmp_path / f"go-{number}"
        with ExitStack() as stack:
            held = {"hold_at": 1, "go": str(go)}
            runs = [
                stack.enter_context(
                    zygote.start(scene.command, scene.directory, stub=held, start=start)
                )
                for _ in range(2)
            ]
            start.touch()
            loser = wait_for_one(runs)
            lost = runs[loser].end()
            assert (lost.code, lost.loaded, lost.windows) == (75, False, 0), lost.stderr
            go.touch()
            won = runs[1 - loser].end()
        play.check_complete(scene, won)
        assert won.windows == 5
        first_wins += loser
        play.drop(scene)
    figure(f"{first_wins} times the first that was started, else the second")


def test_who_comes_while_another_works_ends_with_75_or_waits(
    theatre: Theatres, zygote: Zygote, go: Path
) -> None:
    """Without --lock-wait, or when it has passed: 75. With it: the work is found done."""
    play = theatre("csv")
    scene = play.copy()
    held = {"hold_at": 3, "go": str(go)}
    with zygote.start(scene.command, scene.directory, stub=held) as at_work:
        at_work.wait_until(lambda run: run.notes().count("score 200") == 3)
        for wait in ([], ["--lock-wait", "0.2"]):
            other = zygote.run([*scene.command, *wait], scene.directory)
            assert (other.code, other.windows) == (75, 0)
            assert "another run is writing out.csv" in other.stderr
        patience = [*scene.command, "--lock-wait", "60"]
        with zygote.start(patience, scene.directory, event=0) as patient:
            patient.wait_until(lambda run: sum("flock" in event for event in run.events()) > 1)
            go.touch()
            play.check_complete(scene, at_work.end())
            ended = patient.end()
    play.check_complete(scene, ended)
    assert (ended.windows, ended.loaded) == (0, False)
    assert "up to date" in ended.stderr


def test_a_dead_holder_holds_nothing(theatre: Theatres, zygote: Zygote, go: Path) -> None:
    """After a SIGKILL in the middle the next run needs no waiting, and goes on where it was."""
    play = theatre("csv")
    scene = play.copy()
    held = {"hold_at": 4, "go": str(go)}
    with zygote.start(scene.command, scene.directory, stub=held) as run:
        run.wait_until(lambda run: run.notes().count("score 200") == 4)
        assert zygote.run(scene.command, scene.directory).code == 75
        run.send(signal.SIGKILL)
        assert run.end().code == -signal.SIGKILL
    again = zygote.run(scene.command, scene.directory)
    play.check_complete(scene, again)
    assert again.windows == 2


@pytest.mark.ci
@pytest.mark.long
def test_stopped_anywhere_while_another_runs(
    theatre: Theatres,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """At every (other) N: a run stands still before its N-th step, another one comes and goes."""
    play = theatre("csv")
    codes = {0: 0, 75: 0}
    for step in range(1, 200, count(2, 1)):
        scene = play.copy()
        go = tmp_path / f"go-{step}"
        with zygote.stopped(scene, step, go) as first:
            stopped = len(first.events()) >= step
            second = zygote.run(scene.command, scene.directory)
            go.touch()
            ended = first.end()
        assert second.code in codes, second.stderr
        play.check_complete(scene, ended)
        assert {ended.windows, second.windows} == {0, 5}
        play.drop(scene)
        if not stopped:
            break
        codes[second.code] += 1
    figure(f"the other one scored {codes[0]} times, and was turned away {codes[75]} times")
    assert min(codes.values()) > 0


def commit_of(scene: Scene, events: list[str]) -> int:
    """Return the number of the step that renames something to OUTPUT."""
    ends = [f" {scene.output.name}", f" {scene.output}"]
    return next(
        number
        for number, event in enumerate(events, 1)
        if event.startswith("os.rename") and event.endswith(tuple(ends))
    )


@pytest.mark.ci
@pytest.mark.long
def test_met_while_it_publishes(
    theatre: Theatres,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Between commit and tidying up another run looks around, at (every) pair of their steps."""
    play = theatre("csv")
    scene = play.copy()
    events = zygote.run(scene.command, scene.directory, event=0).events
    lock = next(n for n, event in enumerate(events, 1) if event.startswith("fcntl"))
    codes = {0: 0, 75: 0}
    for step in range(commit_of(scene, events), len(events) + 1, count(2, 1)):
        for other_step in range(1, lock + 2):
            scene = play.copy()
            go, other_go = (tmp_path / f"{name}-{step}-{other_step}" for name in ("go", "other"))
            with (
                zygote.stopped(scene, step, go) as first,
                zygote.stopped(scene, other_step, other_go) as other,
            ):
                go.touch()
                play.check_complete(scene, first.end())
                other_go.touch()
                ended = other.end()
            assert ended.code in codes, (events[step - 1], events[other_step - 1], ended.stderr)
            assert ended.windows == 0
            assert scene.products() == play.expected
            assert scene.names() == play.names
            codes[ended.code] += 1
            play.drop(scene)
    figure(f"the other one found the work done {codes[0]} times, the lock taken {codes[75]} times")
    assert min(codes.values()) > 0


def check_next_night(play: Theatre, scene: Scene, zygote: Zygote) -> None:
    """Whatever two runs without a common lock left: the next night is right and tidy."""
    assert zygote.run(scene.command, scene.directory).code == 0
    scene.input.touch()
    play.check_complete(scene, zygote.run(scene.command, scene.directory))


@pytest.mark.ci
@pytest.mark.long
def test_a_lock_file_that_somebody_deletes_spoils_nothing(
    theatre: Theatres, zygote: Zygote, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """At every (fourth) N: a run stands before its N-th step, its lock goes, another run comes."""
    play = theatre("csv")
    for step in range(1, 200, count(4, 1)):
        scene = play.copy()
        go = tmp_path / f"go-{step}"
        with zygote.stopped(scene, step, go) as first:
            stopped = len(first.events()) >= step
            lock_of(scene).unlink(missing_ok=True)
            second = zygote.run(scene.command, scene.directory)
            go.touch()
            ended = first.end()
        assert {ended.code, second.code} <= LOST_LOCK, (step, ended.stderr, second.stderr)
        assert scene.output.read_bytes() == play.expected.output
        check_next_night(play, scene, zygote)
        play.drop(scene)
        if not stopped:
            break


@pytest.mark.ci
@pytest.mark.long
def test_two_runs_that_hold_a_lock_each_never_publish_half_a_file(
    theatre: Theatres,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """A run about to commit, its lock deleted, another one at its N-th step: whole files only."""
    play = theatre("csv")
    scene = play.copy()
    whole = {scene.output.read_bytes(), play.expected.output}
    events = zygote.run(scene.command, scene.directory, event=0).events
    commit = commit_of(scene, events)
    codes: Counter[tuple[int, int]] = Counter()
    steps = range(1, len(events) + 1, count(8, 1))
    for before, other_step in product((0, 4, _LONG_BEFORE), steps):
        scene = play.copy()
        go, other_go = (tmp_path / f"{name}-{before}-{other_step}" for name in ("go", "other"))
        with zygote.stopped(scene, commit - before, go) as first:
            lock_of(scene).unlink()
            with zygote.stopped(scene, other_step, other_go) as other:
                go.touch()
                one = first.end()
                assert scene.output.read_bytes() in whole
                other_go.touch()
                two = other.end()
        assert {one.code, two.code} <= LOST_LOCK, (before, one.stderr, two.stderr)
        assert one.code == 75 or before < _LONG_BEFORE
        content = scene.output.read_bytes()
        assert content == play.expected.output if 0 in {one.code, two.code} else content in whole
        check_next_night(play, scene, zygote)
        codes[one.code, two.code] += 1
        play.drop(scene)
    figure(f"exit codes: {dict(codes)}")
    assert {(0, 0), (75, 0)} <= set(codes)
