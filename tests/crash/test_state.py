"""What a killed run leaves is a cache: damaged or torn, it costs time and never an answer."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.harness import How, Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import Theatre

Theatres = Callable[[str], Theatre]

pytestmark = pytest.mark.ci


def kill_in_window(
    scene: Scene,
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
    with zygote.start(scene.command, scene.directory, **how) as run:
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
    theatre: Theatres, zygote: Zygote, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Whichever file of the state is damaged in whatever way, the next run is right."""
    play = theatre("csv")
    broken = play.copy()
    kill_in_window(broken, zygote, tmp_path / "go", 4)
    names = sorted(path.name for path in broken.state.iterdir())
    assert len(names) == 6
    for name in names:
        scene = broken.copy(tmp_path / name)
        damage(scene.state / name)
        ended = zygote.run(scene.command, scene.directory)
        play.check_complete(scene, ended)
        assert ended.windows <= 5


def a_file(path: Path) -> None:
    path.write_text("no state")


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [a_file, a_link_to_nowhere, Path.mkdir])
def test_a_state_that_is_none_is_replaced(
    theatre: Theatres, zygote: Zygote, make: Callable[[Path], None]
) -> None:
    """Something else under the state's name does not stop the night."""
    play = theatre("csv")
    scene = play.copy()
    make(scene.state)
    play.check_complete(scene, zygote.run(scene.command, scene.directory))


def test_the_journal_goes_on_after_a_torn_line(
    theatre: Theatres, watched: Zygote, tmp_path: Path
) -> None:
    """Killed amid a line, and again three windows later: the third run scores the last one."""
    play = theatre("csv")
    second = journal_writes(play, watched)[1]
    scene = play.copy()
    ended = watched.run(scene.command, scene.directory, fault="torn", at=second)
    assert (ended.code, ended.windows) == (-9, 2)
    kill_in_window(scene, watched, tmp_path / "go", 5, stored=1)
    again = watched.run(scene.command, scene.directory)
    play.check_complete(scene, again)
    assert again.windows == 1


def test_the_journal_goes_on_after_a_short_write(
    theatre: Theatres, watched: Zygote, tmp_path: Path
) -> None:
    """A line of which the disk took half at first is whole for the next run."""
    play = theatre("csv")
    second = journal_writes(play, watched)[1]
    scene = play.copy()
    kill_in_window(scene, watched, tmp_path / "go", 5, fault="short", at=second)
    again = watched.run(scene.command, scene.directory)
    play.check_complete(scene, again)
    assert again.windows == 1


def test_every_kill_keeps_what_was_stored_before_it(
    theatre: Theatres, zygote: Zygote, tmp_path: Path
) -> None:
    """Five kills in a row, each one window later, cost no window twice but the one in hand."""
    play = theatre("csv")
    scene = play.copy()
    for window in range(1, 6):
        kill_in_window(scene, zygote, tmp_path / "go", window, stored=max(0, window - 2))
    again = zygote.run(scene.command, scene.directory)
    play.check_complete(scene, again)
    assert again.windows == 1
    shutil.rmtree(scene.directory)


def journal_writes(play: Theatre, watched: Zygote) -> list[int]:
    """Return the numbers of the calls that write lines of the journal."""
    scene = play.copy()
    calls = watched.run(scene.command, scene.directory, fault="none").calls
    play.drop(scene)
    journal = scene.state / "journal"
    return [call.number for call in calls if (call.name, call.path) == ("write", journal)]
