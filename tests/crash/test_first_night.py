"""The first night after version 0.1, which kept beside the output what belongs to it."""

import shutil
from collections.abc import Callable

import pytest

from scorer.store.paths import (
    EarlierPlaces,
    failed_report_path,
    lock_path,
    own_directory,
    rejects_path,
    report_path,
    state_directory,
)
from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import Zygote
from tests.crash.test_faults import check_failure, check_next_run, every_point, kill_after
from tests.crash.workspace import Workspace

pytestmark = [pytest.mark.ci, pytest.mark.long]
STORED = 2  # windows, by the run that was killed


def as_before(workspace: Workspace) -> None:
    """Put beside the output what lies in `.tweetscore/`."""
    output, earlier = workspace.output, EarlierPlaces.of(workspace.output)
    for now, before in (
        (report_path, earlier.report),
        (failed_report_path, earlier.failed_report),
        (rejects_path, earlier.rejects),
        (state_directory, earlier.state),
        (lock_path, earlier.lock),
    ):
        if now(output).exists():
            now(output).rename(before)
    for path in earlier.state.glob("rejects"):
        path.rename(f"{path}.ndjson")
    shutil.rmtree(own_directory(output))


def half_done(case: CrashFixture, watched: Zygote) -> Callable[[Workspace], None]:
    """Return what leaves a workspace as 0.1 does that is killed after two windows."""
    last = "part-00000002.tmp"
    at = kill_after(case, watched, lambda workspace, call: call.path.name == last)

    def leave(workspace: Workspace) -> None:
        ended = watched.run(workspace.command, workspace.directory, fault="kill", at=at)
        assert ended.code == -9
        as_before(workspace)

    return leave


@pytest.mark.parametrize("half", [False, True], ids=["complete", "half done"])
@pytest.mark.parametrize("fault", ["kill", "EIO"])
def test_what_goes_wrong_at_any_call_is_made_good(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
    fault: str,
    *,
    half: bool,
) -> None:
    """At every (fourth) N of that night: nothing of 0.1 is lost, scored twice, or left behind."""
    case = crash_fixture("csv")
    prepare = half_done(case, watched) if half else as_before
    points = 0
    for workspace, before, ended in every_point(case, watched, fault, prepare, count(4, 1)):
        assert ended.code == -9 or check_failure(case, workspace, before, ended) is not None
        if ended.code == -9 and not case.committed(workspace, ended.calls):
            assert workspace.output_state() == before
        check_next_run(case, workspace, watched, STORED if half else 0)
        points += 1
    figure(f"{fault}: {points} points")
    assert points > 10
