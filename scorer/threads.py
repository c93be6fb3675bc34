"""How many threads this process may use: its affinity and its cgroup's quota.

ONNX Runtime, OpenVINO and Arrow count the cores of the host. In a container with two of 64
cores that means 64 threads that take turns. And a process that was forked has none of the threads
that its parent had started.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from scorer.errors import UsageError

_opened_in: int | None = None  # the process in which the first model was opened


def refuse_a_fork() -> None:
    """Raise UsageError in a process whose libraries' threads stayed behind in its parent.

    Called before a model is opened or used: ONNX Runtime and polars would wait for ever for threads
    that do not exist.
    """
    global _opened_in  # noqa: PLW0603 - a fact of the process, as its threads are
    _opened_in = _opened_in or os.getpid()
    if _opened_in != os.getpid():
        raise UsageError(
            "this process was forked from one that had opened a model, whose threads it lacks",
            "start processes with spawn or forkserver, or open a model only in each of them",
        )


def available_cpus(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the CPUs this process may keep busy, at least 1."""
    quotas = [math.ceil(quota) for quota in _quotas(proc, cgroups)]
    return max(1, min([_affinity(), *quotas]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS and Windows have no affinity mask to ask for


def _quotas(proc: Path, cgroups: Path) -> Iterator[float]:
    """Yield the quota, in CPUs, of every group from this process's own up to the root."""
    try:
        memberships = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in memberships:
        _, controllers, group = line.split(":", 2)
        if controllers == "":
            mounts, read = (cgroups, cgroups / "unified"), _quota_v2
        elif "cpu" in controllers.split(","):
            mounts, read = (cgroups / controllers, cgroups / "cpu"), _quota_v1
        else:
            continue
        for mount in mounts:
            for directory in _up_to_root(mount, group):
                quota = read(directory)
                if quota is not None:
                    yield quota


def _up_to_root(mount: Path, group: str) -> Iterator[Path]:
    """Yield the group's directory and its parents; a container may see only the root."""
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _quota_v2(directory: Path) -> float | None:
    """Read ``cpu.max``: a quota or the word max, then the period."""
    quota, _, period = _read(directory / "cpu.max").partition(" ")
    if not period or quota == "max":
        return None
    return int(quota) / int(period)


def _quota_v1(directory: Path) -> float | None:
    """Read the quota and the period; a quota of -1 is none."""
    quota = _read(directory / "cpu.cfs_quota_us")
    period = _read(directory / "cpu.cfs_period_us")
    if not quota or not period or int(quota) <= 0:
        return None
    return int(quota) / int(period)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not mounted, or hidden from this container: no quota to be seen
        return ""
