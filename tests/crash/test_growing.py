"""A growing file whose run is killed: the same bytes, and the same answers are reused."""

import json
import random
from collections.abc import Callable

import pytest

from tests.crash.crash_fixture import LAST_NIGHT, CrashFixtures
from tests.crash.harness import Zygote
from tests.crash.workspace import Workspace

FORMATS = ["csv", "parquet", "ndjson", "arrow"]
REUSED = sum(1 for row in LAST_NIGHT if row % 17)  # the others are blank


def command(workspace: Workspace) -> list[str]:
    return [*workspace.command, "--id-column", "id"]


def reused_rows(workspace: Workspace) -> int:
    report = json.loads(
        workspace.directory.joinpath(f".tweetscore/{workspace.output.name}.run.json").read_bytes()
    )
    rows: int = report["taken_over"]["rows"]
    return rows


@pytest.mark.parametrize("kind", FORMATS)
def test_a_growing_run_killed_at_its_files_resumes(
    crash_fixture: CrashFixtures, zygote: Zygote, kind: str
) -> None:
    """As it opens, renames and removes: what a full run writes, last night's answers reused."""
    case = crash_fixture(kind)
    codes = []
    for event in range(4, 100, 16):
        workspace = case.copy()
        codes.append(zygote.run(command(workspace), workspace.directory, event=event).code)
        case.check_complete(workspace, zygote.run(command(workspace), workspace.directory))
        assert reused_rows(workspace) == REUSED
        case.drop(workspace)
    assert codes.count(-9) >= 4


@pytest.mark.ci
@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
def test_a_growing_run_killed_or_failing_anywhere_resumes(
    crash_fixture: CrashFixtures, watched: Zygote, count: Callable[[int, int], int], kind: str
) -> None:
    """At random system calls, by a signal, a torn write, an error of the device or a full disk."""
    case = crash_fixture(kind)
    workspace = case.copy()
    last = len(watched.run(command(workspace), workspace.directory, fault="none").calls)
    case.drop(workspace)
    for number in range(count(12, 100)):
        chance = random.Random(number)  # noqa: S311 - no secret, and the same every time
        workspace = case.copy()
        before = workspace.output_state()
        fault = chance.choice(["kill", "torn", "EIO", "ENOSPC"])
        point = chance.randint(1, last)
        ended = watched.run(command(workspace), workspace.directory, fault=fault, at=point)
        done = ended.code == 0 or case.committed(workspace, ended.calls)
        assert ended.code in {0, -9, 73, 74}, ended.stderr
        assert done or workspace.output_state() == before
        case.check_complete(workspace, watched.run(command(workspace), workspace.directory))
        assert reused_rows(workspace) == REUSED
        case.drop(workspace)
