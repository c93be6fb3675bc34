"""CPUs are counted by affinity and quota."""

import os
from pathlib import Path

import pytest

from scorer.inference.runtime import threads
from scorer.inference.runtime.threads import available_cpus


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
