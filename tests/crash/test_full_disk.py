"""A disk that is really full: 74, last night's output untouched, taken up when there is room."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.harness import Ended, Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import Theatre

Theatres = Callable[[str], Theatre]
KIB = 1024
DISK = 1024 * KIB
ROOMS = [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 256]  # KiB

pytestmark = pytest.mark.ci


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a megabyte that only the runs and `/proc` see."""

    zygote: Zygote
    inside: Path  # its name for the runs
    outside: Path  # its name for the test

    def enter(self, play: Theatre) -> tuple[Scene, Scene]:
        """Put a fresh copy of the scene on it; return it as the runs and as the test see it."""
        for left in self.outside.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        return Scene(play.scene.kind, self.inside / "scene"), play.scene.copy(
            self.outside / "scene"
        )

    def leave_room(self, room: int) -> Path:
        """Fill the disk up to so many bytes, and return what fills it."""
        ballast = self.outside / "ballast"
        status = os.statvfs(self.outside)
        ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - room))
        return ballast


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk | None]:
    """Mount a tmpfs in a namespace of its own; None where the machine does not allow that."""
    scratch = tmp_path_factory.mktemp("small-disk").resolve()
    inside = scratch / "disk"
    inside.mkdir()
    mount = f"mount -t tmpfs -o size={DISK} tmpfs {inside}"
    enter = ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh"]
    if subprocess.run([*enter, "true"], check=False, capture_output=True).returncode:
        yield None
        return
    zygote = Zygote(scratch, enter=enter)
    yield SmallDisk(zygote, inside, Path(f"/proc/{zygote.pid}/root{inside}"))
    zygote.close()


def check_failure(play: Theatre, scene: Scene, before: object, ended: Ended) -> None:
    assert (ended.code, scene.output_state()) == (74, before), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "run again" in ended.stderr


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_costs_no_more_than_a_rerun(
    theatre: Theatres,
    small_disk: SmallDisk | None,
    zygote: Zygote,
    kind: str,
    figure: Callable[[str], None],
) -> None:
    """With any amount of room too small: 74; with room again the next run goes on and is right.

    Where no small file system can be mounted, a limit on the size of files stands in for it.
    """
    play = theatre(kind)
    codes: dict[int, int] = {0: 0, 74: 0}
    reused = 0
    for room in ROOMS:
        if small_disk:
            inner, scene = small_disk.enter(play)
            before = scene.output_state()
            ballast = small_disk.leave_room(room * KIB)
            ended = small_disk.zygote.run(inner.command, inner.directory)
            untouched = ended.code == 0 or scene.output_state() == before
            ballast.unlink()
            again = small_disk.zygote.run(inner.command, inner.directory)
        else:
            scene = play.copy()
            before = scene.output_state()
            ended = zygote.run(scene.command, scene.directory, file_size=room * KIB + 1)
            untouched = ended.code == 0 or scene.output_state() == before
            again = zygote.run(scene.command, scene.directory)
        assert untouched
        assert ended.code in codes, ended.stderr
        assert ended.code == 0 or "run again" in ended.stderr
        codes[ended.code] += 1
        play.check_complete(scene, again)
        reused += 5 - again.windows if ended.code else 0
    figure(
        f"{kind} on {'a tmpfs' if small_disk else 'limited file sizes'}: {codes}, {reused} reused"
    )
    assert codes[74] > 3
    assert codes[0] > 0
    assert reused > 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_limit_on_file_sizes_is_an_error_like_a_full_disk(
    theatre: Theatres, zygote: Zygote, kind: str
) -> None:
    """A file that may not grow (ulimit -f, a quota): 74, and the next run without it is right."""
    play = theatre(kind)
    for limit in (KIB, 4 * KIB, 12 * KIB):
        scene = play.copy()
        before = scene.output_state()
        ended = zygote.run(scene.command, scene.directory, file_size=limit)
        check_failure(play, scene, before, ended)
        play.check_complete(scene, zygote.run(scene.command, scene.directory))
        play.drop(scene)
