"""One writer: a second run waits, ends with 75, or finds the output up to date."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from scorer.store.paths import lock_path
from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import WATCHDOG, Running, Zygote
from tests.crash.workspace import Workspace

_LONG_BEFORE = 10  # steps before the commit: the lock is still to be looked at
LOST_LOCK = {0, 75}  # how runs may end that somebody robbed of their common lock


@pytest.fixture
def go(tmp_path: Path) -> Path:
    """Return the file that those who wait for it are waiting for."""
    return tmp_path / "go"


def lock_of(workspace: Workspace) -> Path:
    return lock_path(workspace.output)


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
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """The winner scores while the loser ends with 75, having touched nothing."""
    case = crash_fixture("csv")
    first_wins = 0
    for number in range(count(50, 200)):
        workspace = case.copy()
        start, go = tmp_path / f"start-{number}", tmp_path / f"go-{number}"
        with ExitStack() as stack:
            held = {"hold_at": 1, "go": str(go)}
            runs = [
                stack.enter_context(
                    zygote.start(workspace.command, workspace.directory, stub=held, start=start)
                )
                for _ in range(2)
            ]
            start.touch()
            loser = wait_for_one(runs)
            lost = runs[loser].end()
            assert (lost.code, lost.loaded, lost.windows) == (75, False, 0), lost.stderr
            go.touch()
            won = runs[1 - loser].end()
        case.check_complete(workspace, won)
        assert won.windows == 5
        first_wins += loser
        case.drop(workspace)
    figure(f"{first_wins} times the first that was started, else the second")


def test_who_comes_while_another_works_ends_with_75_or_waits(
    crash_fixture: CrashFixtures, zygote: Zygote, go: Path
) -> None:
    """Without --lock-wait, or when it has passed: 75. With it: the work is found done."""
    case = crash_fixture("csv")
    workspace = case.copy()
    held = {"hold_at": 3, "go": str(go)}
    with zygote.start(workspace.command, workspace.directory, stub=held) as at_work:
        at_work.wait_until(lambda run: run.notes().count("score 200") == 3)
        for wait in ([], ["--lock-wait", "0.2"]):
            other = zygote.run([*workspace.command, *wait], workspace.directory)
            assert (other.code, other.windows) == (75, 0)
            assert "another run is writing out.csv" in other.stderr
        patience = [*workspace.command, "--lock-wait", "60"]
        with zygote.start(patience, workspace.directory, event=0) as patient:
            patient.wait_until(lambda run: sum("flock" in event for event in run.events()) > 1)
            go.touch()
            case.check_complete(workspace, at_work.end())
            ended = patient.end()
    case.check_complete(workspace, ended)
    assert (ended.windows, ended.loaded) == (0, False)
    assert "up to date" in ended.stderr


def test_a_dead_holder_holds_nothing(
    crash_fixture: CrashFixtures, zygote: Zygote, go: Path
) -> None:
    """After a SIGKILL in the middle the next run needs no waiting, and goes on where it was."""
    case = crash_fixture("csv")
    workspace = case.copy()
    held = {"hold_at": 4, "go": str(go)}
    with zygote.start(workspace.command, workspace.directory, stub=held) as run:
        run.wait_until(lambda run: run.notes().count("score 200") == 4)
        assert zygote.run(workspace.command, workspace.directory).code == 75
        run.send(signal.SIGKILL)
        assert run.end().code == -signal.SIGKILL
    again = zygote.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows == 2


@pytest.mark.ci
@pytest.mark.long
def test_stopped_anywhere_while_another_runs(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """At every (other) N: a run stands still before its N-th step, another one comes and goes."""
    case = crash_fixture("csv")
    codes = {0: 0, 75: 0}
    for step in range(1, 200, count(2, 1)):
        workspace = case.copy()
        go = tmp_path / f"go-{step}"
        with zygote.stopped(workspace, step, go) as first:
            stopped = len(first.events()) >= step
            second = zygote.run(workspace.command, workspace.directory)
            go.touch()
            ended = first.end()
        assert second.code in codes, second.stderr
        case.check_complete(workspace, ended)
        assert {ended.windows, second.windows} == {0, 5}
        case.drop(workspace)
        if not stopped:
            break
        codes[second.code] += 1
    figure(f"the other one scored {codes[0]} times, and was turned away {codes[75]} times")
    assert min(codes.values()) > 0


def commit_of(workspace: Workspace, events: list[str]) -> int:
    """Return the number of the step that renames something to OUTPUT."""
    ends = [f" {workspace.output.name}", f" {workspace.output}"]
    return next(
        number
        for number, event in enumerate(events, 1)
        if event.startswith("os.rename") and event.endswith(tuple(ends))
    )


@pytest.mark.ci
@pytest.mark.long
def test_met_while_it_publishes(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """Between commit and tidying up another run looks around, at (every) pair of their steps."""
    case = crash_fixture("csv")
    workspace = case.copy()
    events = zygote.run(workspace.command, workspace.directory, event=0).events
    lock = next(n for n, event in enumerate(events, 1) if event.startswith("fcntl"))
    codes = {0: 0, 75: 0}
    for step in range(commit_of(workspace, events), len(events) + 1, count(2, 1)):
        for other_step in range(1, lock + 2):
            workspace = case.copy()
            go, other_go = (tmp_path / f"{name}-{step}-{other_step}" for name in ("go", "other"))
            with (
                zygote.stopped(workspace, step, go) as first,
                zygote.stopped(workspace, other_step, other_go) as other,
            ):
                go.touch()
                case.check_complete(workspace, first.end())
                other_go.touch()
                ended = other.end()
            assert ended.code in codes, (events[step - 1], events[other_step - 1], ended.stderr)
            assert ended.windows == 0
            assert workspace.products() == case.expected
            assert workspace.names() == case.names
            codes[ended.code] += 1
            case.drop(workspace)
    figure(f"the other one found the work done {codes[0]} times, the lock taken {codes[75]} times")
    assert min(codes.values()) > 0


def check_next_night(case: CrashFixture, workspace: Workspace, zygote: Zygote) -> None:
    """Whatever two runs without a common lock left: the next night is right and tidy."""
    assert zygote.run(workspace.command, workspace.directory).code == 0
    workspace.input.touch()
    case.check_complete(workspace, zygote.run(workspace.command, workspace.directory))


@pytest.mark.ci
@pytest.mark.long
def test_a_lock_file_that_somebody_deletes_spoils_nothing(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """At every (fourth) N: a run stands before its N-th step, its lock goes, another run comes."""
    case = crash_fixture("csv")
    for step in range(1, 200, count(4, 1)):
        workspace = case.copy()
        go = tmp_path / f"go-{step}"
        with zygote.stopped(workspace, step, go) as first:
            stopped = len(first.events()) >= step
            lock_of(workspace).unlink(missing_ok=True)
            second = zygote.run(workspace.command, workspace.directory)
            go.touch()
            ended = first.end()
        assert {ended.code, second.code} <= LOST_LOCK, (step, ended.stderr, second.stderr)
        assert workspace.output.read_bytes() == case.expected.output
        check_next_night(case, workspace, zygote)
        case.drop(workspace)
        if not stopped:
            break


@pytest.mark.ci
@pytest.mark.long
def test_two_runs_that_hold_a_lock_each_never_publish_half_a_file(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    """A run about to commit, its lock deleted, another one at its N-th step: whole files only."""
    case = crash_fixture("csv")
    workspace = case.copy()
    whole = {workspace.output.read_bytes(), case.expected.output}
    events = zygote.run(workspace.command, workspace.directory, event=0).events
    commit = commit_of(workspace, events)
    codes: Counter[tuple[int, int]] = Counter()
    steps = range(1, len(events) + 1, count(8, 1))
    for before, other_step in product((0, 4, _LONG_BEFORE), steps):
        workspace = case.copy()
        go, other_go = (tmp_path / f"{name}-{before}-{other_step}" for name in ("go", "other"))
        with zygote.stopped(workspace, commit - before, go) as first:
            lock_of(workspace).unlink()
            with zygote.stopped(workspace, other_step, other_go) as other:
                go.touch()
                one = first.end()
                assert workspace.output.read_bytes() in whole
                other_go.touch()
                two = other.end()
        assert {one.code, two.code} <= LOST_LOCK, (before, one.stderr, two.stderr)
        assert one.code == 75 or before < _LONG_BEFORE
        content = workspace.output.read_bytes()
        assert content == case.expected.output if 0 in {one.code, two.code} else content in whole
        check_next_night(case, workspace, zygote)
        codes[one.code, two.code] += 1
        case.drop(workspace)
    figure(f"exit codes: {dict(codes)}")
    assert {(0, 0), (75, 0)} <= set(codes)
