"""Every call that can fail fails once: nothing is lost, and the next run is right."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import Call, Ended, Zygote
from tests.crash.workspace import Workspace

FORMATS = ["csv", "parquet"]
WINDOWS = 5

pytestmark = pytest.mark.ci


def every_point(
    case: CrashFixture,
    watched: Zygote,
    fault: str,
    prepare: Callable[[Workspace], object] = lambda _: None,
    stride: int = 1,
) -> Iterator[tuple[Workspace, tuple[str, int, int], Ended]]:
    """Run once for each call (or some) that the fault can hit; yield workspace, before and end."""
    at = 1
    while True:
        workspace = case.copy()
        prepare(workspace)
        before = workspace.output_state()
        ended = watched.run(workspace.command, workspace.directory, fault=fault, at=at)
        if ended.struck is None:
            return
        yield workspace, before, ended
        case.drop(workspace)
        at = ended.struck.number + stride


def journalled(workspace: Workspace, calls: list[Call]) -> int:
    """Return how many windows a watched run has stored durably."""
    return sum(
        call.name == "fsync" and call.path == workspace.state / "journal" and not call.fault
        for call in calls
    )


def check_failure(case: CrashFixture, workspace: Workspace, before: object, ended: Ended) -> bool:
    """Check a run that a fault hit; return whether it has published."""
    published = case.committed(workspace, ended.calls)
    assert "bug of ours" not in ended.stderr
    if published:
        assert ended.code == 0, (ended.struck, ended.stderr)
        assert len(ended.warnings) <= 1, ended.stderr
        assert workspace.output.read_bytes() == case.expected.output
    else:
        assert ended.code == 74, (ended.struck, ended.stderr)
        assert workspace.output_state() == before, ended.struck
    return published


def check_next_run(case: CrashFixture, workspace: Workspace, zygote: Zygote, stored: int) -> None:
    """The next run is right, scores nothing that is stored, and tidies up."""
    again = zygote.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows <= WINDOWS - stored


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "full", "EINTR"])
def test_an_error_before_the_commit_is_74_and_after_it_a_warning(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    kind: str,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """For every N: the N-th call fails; the output is last night's or tonight's, never another.

    A disk that stays full from there on, and calls that are interrupted: at some N every day.
    """
    case = crash_fixture(kind)
    seen: Counter[str] = Counter()
    stride = count({"full": 4, "EINTR": 8}.get(fault, 1), 1)
    for workspace, before, ended in every_point(case, watched, fault, stride=stride):
        published = check_failure(case, workspace, before, ended)
        stored = WINDOWS if published else journalled(workspace, ended.calls)
        check_next_run(case, workspace, watched, stored)
        seen["published" if published else "not published"] += 1
    figure(f"{kind} {fault}: {sum(seen.values())} points: {dict(seen)}")
    assert seen["published"] + seen["not published"] > WINDOWS
    assert min(seen["published"], seen["not published"]) > 0 or stride > 1


@pytest.mark.parametrize("kind", FORMATS)
def test_short_writes_are_continued(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    kind: str,
    figure: Callable[[str], None],
) -> None:
    """A write that takes half of the bytes is no error: the rest follows."""
    case = crash_fixture(kind)
    points = 0
    for workspace, _, ended in every_point(case, watched, "short"):
        case.check_complete(workspace, ended)
        points += 1
    figure(f"{kind} short: {points} points")
    assert points > 2 * WINDOWS


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", ["kill", "torn"])
def test_the_end_of_the_process_at_any_call_loses_nothing(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    kind: str,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """At every (other) N: killed at a call, or amid a write; the next run is right."""
    case = crash_fixture(kind)
    points = 0
    stride = count({("kill", "csv"): 2, ("kill", "parquet"): 4}.get((fault, kind), 1), 1)
    for workspace, before, ended in every_point(case, watched, fault, stride=stride):
        assert ended.code == -9
        published = case.committed(workspace, ended.calls)
        assert published or workspace.output_state() == before
        stored = WINDOWS if published else journalled(workspace, ended.calls)
        check_next_run(case, workspace, watched, stored)
        points += 1
    figure(f"{kind} {fault}: {points} points")
    assert points > 2 * WINDOWS


def kill_after(
    case: CrashFixture, watched: Zygote, stage: Callable[[Workspace, Call], bool]
) -> int:
    """Return the number of the call after the last one for which `stage` holds."""
    workspace = case.copy()
    calls = watched.run(workspace.command, workspace.directory, fault="none").calls
    case.drop(workspace)
    return max(call.number for call in calls if stage(workspace, call)) + 1


@pytest.mark.parametrize("fault", ["EIO", "full", "kill"])
def test_what_goes_wrong_while_a_publish_is_finished_is_made_good(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """For every N of the run after a kill at the commit: the new output stays, no model is run."""
    case = crash_fixture("csv")
    at = kill_after(case, watched, lambda workspace, call: call.to == workspace.output)
    points = 0

    def publish_half(workspace: Workspace) -> None:
        ended = watched.run(workspace.command, workspace.directory, fault="kill", at=at)
        assert ended.code == -9
        assert case.committed(workspace, ended.calls)

    for workspace, _, ended in every_point(case, watched, fault, publish_half):
        assert ended.code in {0, 74, -9}, (ended.struck, ended.stderr)
        assert workspace.output.read_bytes() == case.expected.output
        check_next_run(case, workspace, watched, stored=WINDOWS)
        points += 1
    figure(f"{fault}: {points} points")
    assert points > 2


@pytest.mark.long
@pytest.mark.parametrize("fault", ["EIO", "full", "kill", "torn"])
def test_what_goes_wrong_while_a_run_is_taken_up_is_made_good(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """At every (sixth) N of a resumed run: what the killed one stored is still used."""
    case = crash_fixture("csv")
    stored = 2
    at = kill_after(case, watched, lambda workspace, call: call.path.name == "part-00000002.tmp")
    points = 0

    def leave_half(workspace: Workspace) -> None:
        ended = watched.run(workspace.command, workspace.directory, fault="kill", at=at)
        assert (ended.code, journalled(workspace, ended.calls)) == (-9, stored)

    for workspace, before, ended in every_point(case, watched, fault, leave_half, count(6, 1)):
        published = case.committed(workspace, ended.calls)
        assert ended.code == (-9 if fault in {"kill", "torn"} else 0 if published else 74)
        assert published or workspace.output_state() == before
        check_next_run(case, workspace, watched, stored)
        points += 1
    figure(f"{fault}: {points} points")
    assert points >= WINDOWS
