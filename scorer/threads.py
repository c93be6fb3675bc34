"""CPUs, thread pools, and the bounds of each number that a call may name.

ONNX Runtime, OpenVINO and Arrow count the cores of the host. In a container with two of 64
cores that means 64 threads that take turns. So this module reads the affinity and the cgroup's
quota, and limits the libraries' pools before they are loaded. A process that was forked has none
of the threads that its parent had started.

The command line, `tweetscore.toml`, the environment and the Python API check numbers against the
same bounds. A number beyond them is a typing error: it would fill the memory or the process
table before anybody could see what is wrong.
"""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

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


_WHOLE = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_LONGEST = 400  # characters: Python reads no more than 4,300 digits, and no number has as many
_SHOWN = 40  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a number."""

    least: float
    most: float
    whole: bool = True
    above: bool = False  # the least itself is too little
    below: bool = False  # the most itself is too much
    or_none: bool = False  # 0 is none of them, which is right too
    per_cpu: bool = False  # the most is for each CPU that this process may use

    @property
    def most_here(self) -> float:
        """The most on this box."""
        return self.most * available_cpus() if self.per_cpu else self.most

    def holds(self, number: Any) -> bool:
        """Tell whether a number lies within; what is no number does not."""
        if not self._is_number(number):
            return False
        if number == 0 and self.or_none:
            return True
        most = self.most_here
        enough = self.least < number if self.above else self.least <= number
        return bool(enough and (number < most if self.below else number <= most))

    def _is_number(self, value: object) -> bool:
        return isinstance(value, Integral if self.whole else Real) and not isinstance(value, bool)

    def parse(self, text: str) -> int | float | None:
        """Read a number as people write it; None where it is none, or not within the bounds.

        Python would also take `1_000`, blanks around it, and the digits of any script.
        """
        if len(text) > _LONGEST or not (_WHOLE if self.whole else _DECIMAL).fullmatch(text):
            return None
        number = int(text) if self.whole else float(text)
        return number if self.holds(number) else None

    def complaint(self, value: object) -> str:
        """Return what is wrong with a value: a clause that begins with it."""
        kind = "whole number" if self.whole else "number"
        return f"{shortened(value)} is not a {kind} {self._range(self.most_here)}"

    @property
    def anywhere(self) -> str:
        """The range as a help shows it, which is the same on every box."""
        return self._range(self.most) + (" for each CPU" if self.per_cpu else "")

    def _range(self, most: float) -> str:
        if self.above:
            return f"above {self.least:,} and up to {most:,}"
        least = f"that is 0, or from {self.least:,}" if self.or_none else f"from {self.least:,}"
        return f"{least} to {'below ' if self.below else ''}{most:,}"


def shortened(value: object) -> str:
    """Return a value as Python shows it, cut where it is endless."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**_SHOWN:
        return f"a number of more than {_SHOWN} digits"  # Python itself refuses to show it
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    shown = repr(value)
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."


ROWS = Bounds(1, 10**12)  # no file has more
SOME_ROWS = Bounds(0, 10**12)
# A window is held in memory, with its token ids and answers: ten million take 5 GB.
WINDOW = Bounds(1, 10_000_000)
# Four for each CPU is more than any batch gains from. Each costs memory, and a stack.
THREADS = Bounds(1, 4, per_cpu=True)
SECONDS = Bounds(0, 7 * 24 * 3600, whole=False)  # a week; PostgreSQL waits for less than 25 days
DRIFT = Bounds(0, 100, whole=False, above=True)  # of PSI, which hardly ever exceeds 20

# Of a process that opens a model's files.
MEMORY = Bounds(0.5, 65_536, whole=False)  # GiB; torch alone needs nearly as much
TIMEOUT = Bounds(1, 30 * 24 * 3600)  # seconds

# Of the training.
EPOCHS = Bounds(0, 1000, whole=False, above=True)
RATE = Bounds(0, 1, whole=False, above=True)
BATCH = Bounds(1, 65_536)
DECAY = Bounds(0, 10, whole=False)
TOKENS = Bounds(3, 65_536)
LENGTH = Bounds(3, 4_096)  # tokens of a text: attention needs their square in memory
SEED = Bounds(0, 2**32 - 1)
FOLDS = Bounds(2, 20, or_none=True)  # one would be learnt from nothing
RANK = Bounds(0, 1024)
PATIENCE = Bounds(0, 1000)
SHARE = Bounds(0, 1, whole=False)
PART = Bounds(0, 1, whole=False, below=True)


# What polars, tokenizers (Rayon) and Arrow (as OpenMP) read when they are first loaded.
POOLS = ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS")


def limit_pools(threads: int | None) -> None:
    """Hold the libraries' own thread pools to a number; call it before they are loaded.

    A number that the call gives holds for all of them. Otherwise a pool gets the CPUs that this
    process may keep busy, unless the environment has another valid number.
    """
    drop_wrong_pools()
    for name in POOLS:
        if threads or name not in os.environ:
            os.environ[name] = str(threads or available_cpus())


def drop_wrong_pools() -> dict[str, str]:
    """Take sizes out of the environment that no pool can have here; return what is wrong with each.

    polars would start 100,000 threads with such a number, and does not load at all with `abc`.
    """
    wrong = {}
    for name in POOLS:
        value = os.environ.get(name, "").strip()
        outermost = value.partition(",")[0]  # OpenMP has a number for each level
        if name in os.environ and THREADS.parse(outermost) is None:
            wrong[name] = THREADS.complaint(value)
            del os.environ[name]
    return wrong
