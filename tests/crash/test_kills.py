"""Killed anywhere and run again: what an uninterrupted run writes, byte for byte."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from scorer.store.paths import report_path
from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import FAULTS, Call, Zygote
from tests.crash.workspace import Workspace
from tests.places import names

FORMATS = ["csv", "parquet", "ndjson", "arrow"]
_IN_STATE = {"report": "intent"}
_BESIDE = {
    "": "output",
    ".state": "state",
    ".lock": "lock",
    ".run.json": "report",
    ".run.failed.json": "report",
    ".rejects.ndjson": "rejects",
}


def stage_of(workspace: Workspace, call: Call, *, committed: bool) -> str:
    """Name the part of a run that a call belongs to."""
    if call.to == workspace.output:
        return "commit"
    if call.name in {"unlink", "rmdir"}:
        return "clean-up" if committed else "start"
    target = call.to or call.path
    if target in {workspace.directory, workspace.state.parent, workspace.input}:
        return "input" if target == workspace.input else "directory"
    if target.parent == workspace.state:
        name = target.name.removeprefix(".").removesuffix(".tweetscore.tmp")
        if re.fullmatch(
            r"[0-9a-f]{16}\.tmp", name
        ):  # what is about to become the output or its report
            return "report" if committed else "output"
        return _IN_STATE.get(first := re.split(r"[-.]", name)[0], first)
    return _BESIDE[target.name.removesuffix(".tmp").removeprefix(workspace.output.name)]


def by_stage(workspace: Workspace, calls: list[Call]) -> dict[str, list[Call]]:
    """Sort the calls of an uninterrupted run."""
    stages: dict[str, list[Call]] = {}
    committed = False
    for call in calls:
        stages.setdefault(stage_of(workspace, call, committed=committed), []).append(call)
        committed = committed or call.to == workspace.output
    return stages


def dry_run(case: CrashFixture, watched: Zygote) -> dict[str, list[Call]]:
    """Return what an uninterrupted run calls, by stage."""
    workspace = case.copy()
    ended = watched.run(workspace.command, workspace.directory, fault="none")
    case.check_complete(workspace, ended)
    case.drop(workspace)
    return by_stage(workspace, ended.calls)


@pytest.mark.ci
@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
def test_a_killed_run_that_is_run_again_leaves_what_an_undisturbed_one_does(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    kind: str,
    figure: Callable[[str], None],
) -> None:
    """Kill a run once or several times at random calls in every stage: 0 lost, 0 doubled."""
    case = crash_fixture(kind)
    stages = dry_run(case, watched)
    last = sum(len(calls) for calls in stages.values())
    hit: Counter[str] = Counter()
    reused = 0
    for number in range(count(40, 300)):
        chance = random.Random(number)  # noqa: S311 - no secret, and the same every time
        workspace = case.copy()
        before = workspace.output_state()
        stage = list(stages)[number % len(stages)]
        points = [chance.choice(stages[stage]).number]
        points += [chance.randint(1, last) for _ in range(number % 3)]
        done = False
        for point in points:
            # Only a write can be torn: each stage is killed before that is left to chance.
            fault = "kill" if number < len(stages) else chance.choice(["kill", "kill", "torn"])
            ended = watched.run(workspace.command, workspace.directory, fault=fault, at=point)
            assert ended.code in {0, -9}, ended.stderr
            done = done or case.committed(workspace, ended.calls)
            if ended.struck:
                hit[stage_of(workspace, ended.struck, committed=done)] += 1
            assert done or workspace.output_state() == before
            found = {path.name for path in workspace.directory.iterdir()}
            assert found == {workspace.input.name, workspace.output.name, ".tweetscore"}
        again = watched.run(workspace.command, workspace.directory)
        case.check_complete(workspace, again)
        reused += 5 - again.windows
        case.drop(workspace)
    figure(f"{kind}: {sum(hit.values())} kills: {dict(hit)}; {reused} windows reused")
    assert set(stages) <= set(hit) | {"input"}
    assert reused > 0


@pytest.mark.parametrize("kind", FORMATS)
def test_a_run_killed_at_its_files_resumes(
    crash_fixture: CrashFixtures, zygote: Zygote, kind: str
) -> None:
    """The same in small, for boxes without a compiler: killed as it opens, renames, removes."""
    case = crash_fixture(kind)
    codes = []
    for event in range(4, 80, 12):
        workspace = case.copy()
        codes.append(zygote.run(workspace.command, workspace.directory, event=event).code)
        case.check_complete(workspace, zygote.run(workspace.command, workspace.directory))
        case.drop(workspace)
    assert codes.count(-9) >= 3


@pytest.mark.ci
@pytest.mark.parametrize("kind", FORMATS)
def test_a_first_night_that_is_killed_leaves_no_output(
    crash_fixture: CrashFixtures, watched: Zygote, kind: str
) -> None:
    """Without an output of an earlier night there is none before the commit, then the right one."""
    case = crash_fixture(kind)
    stages = dry_run(case, watched)
    for calls in stages.values():
        workspace = case.copy()
        shutil.rmtree(workspace.state.parent)
        workspace.output.unlink()
        ended = watched.run(
            workspace.command, workspace.directory, fault="kill", at=calls[-1].number
        )
        assert ended.code in {0, -9}
        assert workspace.output.exists() == (
            ended.code == 0 or case.committed(workspace, ended.calls)
        )
        case.check_complete(workspace, watched.run(workspace.command, workspace.directory))
        case.drop(workspace)


@pytest.mark.parametrize("killed_in", [1, 2, 3])
def test_several_inputs_are_taken_up_file_by_file(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, killed_in: int
) -> None:
    """What is complete is left alone, what was begun goes on, what was not begun is done."""
    case = crash_fixture("csv")
    workspace = case.copy()
    for name in ("mon.csv", "tue.csv", "wed.csv"):
        shutil.copy2(workspace.input, workspace.directory / name)
    command = ["run", "mon.csv", "tue.csv", "wed.csv", "-o", "scored", *workspace.command[4:]]
    (workspace.directory / "scored").mkdir()
    held = {"hold_at": 5 * (killed_in - 1) + 4, "go": str(tmp_path / "go")}
    with zygote.start(command, workspace.directory, stub=held) as run:
        run.wait_until(lambda run: run.notes().count("score 200") == held["hold_at"])
        run.send(9)
        assert run.end().code == -9
    again = zygote.run(command, workspace.directory)
    assert again.code == 0, again.stderr
    assert again.windows == 15 - 5 * (killed_in - 1) - 3
    assert again.stderr.count("is up to date") == killed_in - 1
    for name in ("mon", "tue", "wed"):
        scored = workspace.directory / "scored" / f"{name}.scored.csv"
        assert scored.read_bytes() == case.expected.output
    left = {f"{name}.scored.csv" for name in ("mon", "tue", "wed")}
    left |= {f".tweetscore/{name}{suffix}" for name in left for suffix in (".lock", ".run.json")}
    left |= {f".tweetscore/{name}.scored.csv.rejects.ndjson" for name in ("mon", "tue", "wed")}
    assert names(workspace.directory / "scored") == left


@pytest.mark.ci
@pytest.mark.parametrize("kind", FORMATS)
def test_the_real_program_with_a_real_model_is_taken_up(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    shim: Path,
    tiny_bert_bundle: Path,
    tmp_path: Path,
    kind: str,
) -> None:
    """No stub and no fork: killed with its third window, run again, equal to a quiet run."""
    case = crash_fixture(kind)
    third = dry_run(case, watched)["journal"][-3]
    workspace, quiet = case.copy(), case.copy()
    model = ["--model", str(tiny_bert_bundle), "--device", "builtin", "--threads", "1"]
    command = [str(Path(sys.executable).parent / "tweetscore"), *workspace.command, *model]
    armed = armed_environment(shim, workspace, third.number, tmp_path / "log")
    killed = subprocess.run(command, cwd=workspace.directory, env=armed, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert workspace.state.exists()
    subprocess.run(command, cwd=workspace.directory, check=True, capture_output=True)
    subprocess.run(command, cwd=quiet.directory, check=True, capture_output=True)
    assert workspace.products() == quiet.products()
    assert workspace.names() == quiet.names()
    report = json.loads(report_path(workspace.output).read_bytes())
    assert report["resumed"]["windows"] in {3, 4}  # its reading thread opens files on its own time


def armed_environment(shim: Path, workspace: Workspace, at: int, log: Path) -> dict[str, str]:
    """Return an environment in which the N-th call below the workspace's directory kills."""
    return {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "FAULTS_BELOW": str(workspace.directory),
        "FAULTS_KIND": str(FAULTS["kill"]),
        "FAULTS_AT": str(at),
        "FAULTS_LOG": str(log),
    }


def test_no_tweet_is_lost_or_doubled(crash_fixture: CrashFixtures) -> None:
    """The uninterrupted output, with which the others are compared, has each input row once."""
    case = crash_fixture("csv")
    rows = [line.split(b",")[0] for line in case.expected.output.splitlines()]
    assert rows == [b"id", *(f"{row:06d}".encode() for row in range(1, 1001))]
    assert case.expected.figures["counters"]["rejected"] == 7
