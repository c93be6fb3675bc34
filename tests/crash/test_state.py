"""The state of a killed run is a cache: damaged or torn, it costs time and never an answer."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import How, Zygote
from tests.crash.workspace import Workspace

pytestmark = pytest.mark.ci


def kill_in_window(
    workspace: Workspace,
    zygote: Zygote,
    go: Path,
    window: int,
    *,
    stored: int = 0,
    fault: str = "",
    at: int = 0,
) -> None:
    """Kill a run in a window, of which an earlier one has stored some before it."""
    held = {"hold_at": window - stored, "go": str(go)}
    how: How = {"stub": held}
    if fault:
        how |= {"fault": fault, "at": at}
    with zygote.start(workspace.command, workspace.directory, **how) as run:
        run.wait_until(lambda run: run.notes().count("score 200") == window - stored)
        run.send(signal.SIGKILL)
        assert run.end().code == -signal.SIGKILL


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 0x20
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [flip, truncate, empty, zero, Path.unlink])
def test_damaged_state_is_not_believed(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Whichever file of the state is damaged in whatever way, the next run is right."""
    case = crash_fixture("csv")
    broken = case.copy()
    kill_in_window(broken, zygote, tmp_path / "go", 4)
    names = sorted(path.name for path in broken.state.iterdir())
    assert len(names) == 6
    for name in names:
        workspace = broken.copy(tmp_path / name)
        damage(workspace.state / name)
        ended = zygote.run(workspace.command, workspace.directory)
        case.check_complete(workspace, ended)
        assert ended.windows <= 5


def a_file(path: Path) -> None:
    path.write_text("no state")


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [a_file, a_link_to_nowhere, Path.mkdir])
def test_a_state_that_is_none_is_replaced(
    crash_fixture: CrashFixtures, zygote: Zygote, make: Callable[[Path], None]
) -> None:
    """Something else under the state's name does not stop the night."""
    case = crash_fixture("csv")
    workspace = case.copy()
    make(workspace.state)
    case.check_complete(workspace, zygote.run(workspace.command, workspace.directory))


def test_the_journal_goes_on_after_a_torn_line(
    crash_fixture: CrashFixtures, watched: Zygote, tmp_path: Path
) -> None:
    """Killed amid a line, and again three windows later: the third run scores the last one."""
    case = crash_fixture("csv")
    second = journal_writes(case, watched)[1]
    workspace = case.copy()
    ended = watched.run(workspace.command, workspace.directory, fault="torn", at=second)
    assert (ended.code, ended.windows) == (-9, 2)
    kill_in_window(workspace, watched, tmp_path / "go", 5, stored=1)
    again = watched.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows == 1


def test_the_journal_goes_on_after_a_short_write(
    crash_fixture: CrashFixtures, watched: Zygote, tmp_path: Path
) -> None:
    """A line of which the disk took half at first is whole for the next run."""
    case = crash_fixture("csv")
    second = journal_writes(case, watched)[1]
    workspace = case.copy()
    kill_in_window(workspace, watched, tmp_path / "go", 5, fault="short", at=second)
    again = watched.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows == 1


def test_every_kill_keeps_what_was_stored_before_it(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path
) -> None:
    """Five kills in a row, each one window later, cost no window twice but the one in hand."""
    case = crash_fixture("csv")
    workspace = case.copy()
    for window in range(1, 6):
        kill_in_window(workspace, zygote, tmp_path / "go", window, stored=max(0, window - 2))
    again = zygote.run(workspace.command, workspace.directory)
    case.check_complete(workspace, again)
    assert again.windows == 1
    shutil.rmtree(workspace.directory)


def journal_writes(case: CrashFixture, watched: Zygote) -> list[int]:
    """Return the numbers of the calls that write lines of the journal."""
    workspace = case.copy()
    calls = watched.run(workspace.command, workspace.directory, fault="none").calls
    case.drop(workspace)
    journal = workspace.state / "journal"
    return [call.number for call in calls if (call.name, call.path) == ("write", journal)]
