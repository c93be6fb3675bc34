"""A disk that is really full: 74, last night's output untouched, and a rerun that resumes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import Ended, Zygote
from tests.crash.workspace import Workspace

KIB = 1024
DISK = 1024 * KIB
FREE = [0, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 112, 128, 160, 192, 256]  # KiB

pytestmark = pytest.mark.ci


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a megabyte that only the runs and `/proc` see."""

    zygote: Zygote
    inside: Path  # its name for the runs
    outside: Path  # its name for the test

    def enter(self, case: CrashFixture) -> tuple[Workspace, Workspace]:
        """Copy the workspace to the disk; return it under the paths of the runs and of the test."""
        for left in self.outside.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        return Workspace(case.workspace.kind, self.inside / "workspace"), case.workspace.copy(
            self.outside / "workspace"
        )

    def leave_free(self, free: int) -> Path:
        """Fill the disk up to so many bytes, and return what fills it."""
        ballast = self.outside / "ballast"
        status = os.statvfs(self.outside)
        ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - free))
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


def check_failure(case: CrashFixture, workspace: Workspace, before: object, ended: Ended) -> None:
    assert (ended.code, workspace.output_state()) == (74, before), ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "run again" in ended.stderr


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_costs_no_more_than_a_rerun(
    crash_fixture: CrashFixtures,
    small_disk: SmallDisk | None,
    zygote: Zygote,
    kind: str,
    figure: Callable[[str], None],
) -> None:
    """With too little space the run exits 74; with enough space the next run resumes and is right.

    Where no small file system can be mounted, a limit on the size of files stands in for it.
    """
    case = crash_fixture(kind)
    codes: dict[int, int] = {0: 0, 74: 0}
    reused = 0
    for free in FREE:
        if small_disk:
            inner, workspace = small_disk.enter(case)
            before = workspace.output_state()
            ballast = small_disk.leave_free(free * KIB)
            ended = small_disk.zygote.run(inner.command, inner.directory)
            untouched = ended.code == 0 or workspace.output_state() == before
            ballast.unlink()
            again = small_disk.zygote.run(inner.command, inner.directory)
        else:
            workspace = case.copy()
            before = workspace.output_state()
            ended = zygote.run(workspace.command, workspace.directory, file_size=free * KIB + 1)
            untouched = ended.code == 0 or workspace.output_state() == before
            again = zygote.run(workspace.command, workspace.directory)
        assert untouched
        assert ended.code in codes, ended.stderr
        assert ended.code == 0 or "run again" in ended.stderr
        codes[ended.code] += 1
        case.check_complete(workspace, again)
        reused += 5 - again.windows if ended.code else 0
    figure(
        f"{kind} on {'a tmpfs' if small_disk else 'limited file sizes'}: {codes}, {reused} reused"
    )
    assert codes[74] > 3
    assert codes[0] > 0
    assert reused > 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_limit_on_file_sizes_is_an_error_like_a_full_disk(
    crash_fixture: CrashFixtures, zygote: Zygote, kind: str
) -> None:
    """A file that may not grow (ulimit -f, a quota): 74, and the next run without it is right."""
    case = crash_fixture(kind)
    for limit in (KIB, 4 * KIB, 12 * KIB):
        workspace = case.copy()
        before = workspace.output_state()
        ended = zygote.run(workspace.command, workspace.directory, file_size=limit)
        check_failure(case, workspace, before, ended)
        case.check_complete(workspace, zygote.run(workspace.command, workspace.directory))
        case.drop(workspace)
