"""CPUs are counted by affinity and quota, and every thread pool keeps to them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scorer import threads
from scorer.threads import available_cpus, limit_pools


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_affinity", lambda: 8)


def cpus(root: Path, membership: str, files: dict[str, str]) -> int:
    proc, cgroups = root / "proc", root / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text(membership)
    for name, content in files.items():
        (cgroups / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / name).write_text(content)
    return available_cpus(proc, cgroups)


def test_without_a_quota_the_affinity_counts(tmp_path: Path) -> None:
    """No file and no limit leave the CPUs of the affinity mask."""
    assert cpus(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"}) == 8
    assert available_cpus(tmp_path / "no-proc", tmp_path) == 8


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000", 2), ("150000 100000", 2), ("10000 100000", 1), ("6400000 100000", 8)],
)
def test_a_quota_of_version_2(tmp_path: Path, quota: str, expected: int) -> None:
    """A quota is rounded up to whole CPUs and never raises the affinity."""
    assert cpus(tmp_path, "0::/a/b\n", {"a/b/cpu.max": f"{quota}\n"}) == expected


def test_the_tightest_parent_counts(tmp_path: Path) -> None:
    """A group may not use more than the groups that it lies in."""
    files = {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "500000 100000\n"}
    assert cpus(tmp_path, "0::/a/b\n", files) == 3


def test_a_container_that_sees_only_its_root(tmp_path: Path) -> None:
    """The membership names a path of the host; the quota lies at the mount's root."""
    membership = "0::/../../docker/4f1a\n"
    assert cpus(tmp_path, membership, {"cpu.max": "200000 100000"}) == 2


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8)])
def test_a_quota_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    """Version 1 has two files per group, and -1 for no quota."""
    files = {
        "cpu,cpuacct/jobs/cpu.cfs_quota_us": quota,
        "cpu,cpuacct/jobs/cpu.cfs_period_us": "100000",
    }
    assert cpus(tmp_path, "4:memory:/\n3:cpu,cpuacct:/jobs\n", files) == expected


def test_the_affinity_is_the_schedulers(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Linux the affinity mask counts, not the cores of the host."""
    monkeypatch.undo()
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5})
        assert threads._affinity() == 3
    else:
        assert threads._affinity() == os.cpu_count()


@pytest.mark.parametrize(
    ("asked", "set_before", "expected"),
    [(None, None, "8"), (None, "3", "3"), (2, None, "2"), (2, "3", "2")],
)
def test_pools_get_what_was_asked_for_or_what_there_is(
    monkeypatch: pytest.MonkeyPatch, asked: int | None, set_before: str | None, expected: str
) -> None:
    """A number that was asked for wins, then the environment's own, then the CPUs there are."""
    monkeypatch.setattr(os, "environ", {"RAYON_NUM_THREADS": set_before} if set_before else {})
    limit_pools(asked)
    assert os.environ["RAYON_NUM_THREADS"] == expected
    assert os.environ["OMP_NUM_THREADS"] == str(asked or 8)


def test_threads_reach_the_pools_before_the_libraries_are_loaded() -> None:
    """With --threads 1 the pools of polars and Arrow have one thread, whatever the box has."""
    script = (
        "import sys; from scorer.cli import tweetscore\n"
        "tweetscore(['text', '--threads', '1', 'fine'], standalone_mode=False)\n"
        "import os, polars, pyarrow\n"
        "print(polars.thread_pool_size(), pyarrow.cpu_count(), os.environ['RAYON_NUM_THREADS'])"
    )
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "1 1 1"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("environment", "most"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_numpy_starts_no_threads_unless_somebody_wants_them(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], most: int
) -> None:
    """They would spin for nothing, on every core of the box."""
    script = (
        "import os; from scorer.cli.process import prepare_process\n"
        "prepare_process()\n"
        "import numpy; print(len(os.listdir('/proc/self/task')))"
    )
    clean = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    monkeypatch.undo()
    assert int(done.stdout) == min(most, threads._affinity())
