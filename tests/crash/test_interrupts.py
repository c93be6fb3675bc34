"""SIGTERM and SIGINT at any time: stopped soon, with the right code, and resumable."""

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixtures
from tests.crash.harness import Zygote

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.mark.ci
@pytest.mark.long
@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_an_interrupt_stops_a_run_that_the_next_one_takes_up(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    count: Callable[[int, int], int],
    number: signal.Signals,
    figure: Callable[[str], None],
) -> None:
    """At a random step: 143 or 130 and last night's output before the commit, else 0."""
    case = crash_fixture("parquet")
    workspace = case.copy()
    last = len(zygote.run(workspace.command, workspace.directory, event=0).events)
    codes = {0: 0, CODES[number]: 0}
    reused = 0
    for turn in range(count(20, 100)):
        step = random.Random(turn).randint(1, last)  # noqa: S311 - no secret, and the same every time
        workspace = case.copy()
        before = workspace.output_state()
        go = tmp_path / f"go-{turn}"
        with zygote.stopped(workspace, step, go) as run:
            run.send(number)
            ended = run.end()
        assert "Traceback" not in ended.stderr
        assert "bug of ours" not in ended.stderr
        assert ended.code in codes, ended.stderr
        codes[ended.code] += 1
        if ended.code:
            assert workspace.output_state() == before
        else:
            assert workspace.output.read_bytes() == case.expected.output
        again = zygote.run(workspace.command, workspace.directory)
        case.check_complete(workspace, again)
        assert not (ended.code == 0 and again.windows)
        reused += 5 - again.windows
        case.drop(workspace)
    figure(f"{number.name}: {codes}, {reused} windows reused")
    assert min(codes.values()) > 0
    assert reused > 0


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
def test_a_run_amid_its_batches_stops(
    crash_fixture: CrashFixtures, zygote: Zygote, number: signal.Signals
) -> None:
    """While the model works on a window the run ends without finishing the window or the input."""
    case = crash_fixture("csv")
    workspace = case.copy()
    slow = {"batch_seconds": 0.5, "slow_from": 3}
    with zygote.start(workspace.command, workspace.directory, stub=slow) as run:
        run.wait_until(lambda run: run.notes().count("score 200") == 3)
        run.send(number)
        ended = run.end()
    assert (ended.code, ended.windows) == (CODES[number], 3)
    assert ended.stderr.count("\n") == 1
    again = zygote.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows == 3
