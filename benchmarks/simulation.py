"""Simulates a cluster that scores a billion tweets: nodes pull files, and some of them die.

    python -m benchmarks.simulation

Pure, and the same every time. It knows three things of the engine: a file is one actor's at a time,
the largest come first, and a node that dies loses at most the window that it was scoring, because
what it had kept lies beside the output and the next actor takes it up. It does not know networks,
disks or Ray.
"""

import heapq
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from benchmarks import markdown

WINDOW = 16_384  # rows between two commits, on a CPU
PER_FILE = 0.1  # seconds: opening, locking, publishing, the report
DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Nodes that are all alike."""

    nodes: int
    rate: float  # tweets per second of one node
    deaths: float = 0.0  # of one node in a day, at random times
    start: float = 30.0  # seconds until a node scores: a process, the model, the canary
    replace: float = 180.0  # seconds until a dead node's successor starts
    resumes: bool = True  # whether what a dead node had kept of a file is used


@dataclass(frozen=True, slots=True)
class Night:
    """The outcome of a simulated night."""

    seconds: float
    ideal: float  # seconds, if every node were busy from the first to the last
    died: int
    again: int  # rows that were scored more than once

    @property
    def efficiency(self) -> float:
        """The share of the ideal."""
        return self.ideal / self.seconds


def simulate(cluster: Cluster, files: Sequence[int], seed: int = 0) -> Night:
    """Let nodes pull files in the given order, until all of them are done.

    Args:
        cluster: Who works.
        files: Rows of each.
        seed: For the times at which nodes die.
    """
    return _Play(cluster, files, seed).to_its_end()


class _Play:
    """The state of a night, and the two things that happen in it."""

    def __init__(self, cluster: Cluster, files: Sequence[int], seed: int) -> None:
        self._cluster = cluster
        self._random = Random(seed)  # noqa: S311 - a simulation
        self._ideal = sum(files) / (cluster.nodes * cluster.rate)
        self._waiting = deque(files)
        self._idle = [(cluster.start, node) for node in range(cluster.nodes)]  # from when on
        self._busy: list[tuple[float, int, int]] = []  # until when, rows left then, node
        self._dies = [self._next_death(0.0) for _ in range(cluster.nodes)]
        self._now = 0.0
        self._died = self._again = 0

    def to_its_end(self) -> Night:
        while self._waiting or self._busy:
            pulls = self._waiting and self._idle
            if pulls and (not self._busy or self._idle[0][0] <= self._busy[0][0]):
                self._pull()
            else:
                self._come_back()
        return Night(self._now, self._ideal, self._died, self._again)

    def _pull(self) -> None:
        """Let the node that is idle for the longest time take the next file."""
        since, node = heapq.heappop(self._idle)
        self._now = max(self._now, since)
        death = self._dies[node]
        if death <= self._now:
            self._succeed(node, death)
            return
        rows, cluster = self._waiting.popleft(), self._cluster
        done = self._now + PER_FILE + rows / cluster.rate
        if death >= done:
            heapq.heappush(self._busy, (done, 0, node))
            return
        scored = int(max(0.0, death - self._now - PER_FILE) * cluster.rate)
        kept = scored // WINDOW * WINDOW if cluster.resumes else 0
        self._again += scored - kept
        heapq.heappush(self._busy, (death, rows - kept, node))

    def _come_back(self) -> None:
        """Let the next file be done, or wait again because its node has died."""
        self._now, left, node = heapq.heappop(self._busy)
        if left:
            self._waiting.appendleft(left)
            self._succeed(node, self._now)
        else:
            heapq.heappush(self._idle, (self._now, node))

    def _succeed(self, node: int, death: float) -> None:
        """Put another node in the place of one that died."""
        self._died += 1
        back = death + self._cluster.replace + self._cluster.start
        self._dies[node] = self._next_death(back)
        heapq.heappush(self._idle, (back, node))

    def _next_death(self, now: float) -> float:
        deaths = self._cluster.deaths
        return now + self._random.expovariate(deaths / DAY) if deaths else float("inf")


def skewed(rows: int, files: int, sigma: float, seed: int = 1) -> list[int]:
    """Return sizes of files that add up to `rows`; their logarithms are normally distributed."""
    random = Random(seed)  # noqa: S311 - a simulation
    weights = [random.lognormvariate(0.0, sigma) for _ in range(files)]
    whole = sum(weights)
    sizes = [int(rows * weight / whole) for weight in weights]
    sizes[0] += rows - sum(sizes)
    return sizes


BILLION = 1_000_000_000


def table(rate: float) -> list[str]:
    """Return the page's table: a billion tweets on 100 nodes of this rate."""
    head = "| files | their sizes | order | deaths of a node per day | hours | of the ideal "
    lines = []
    shapes = {"equal": 0.0, "skewed": 1.0, "very skewed": 2.0}
    for files, shape, largest_first, deaths, resumes in (
        (10_000, "equal", True, 0.0, True),
        (10_000, "skewed", False, 0.0, True),
        (10_000, "skewed", True, 0.0, True),
        (1_000, "skewed", False, 0.0, True),
        (1_000, "skewed", True, 0.0, True),
        (1_000, "very skewed", True, 0.0, True),
        (100, "skewed", True, 0.0, True),
        (10_000, "skewed", True, 1.0, True),
        (10_000, "skewed", True, 24.0, True),
        (1_000, "skewed", True, 24.0, True),
        (10_000, "skewed", True, 24.0, False),
    ):
        sizes = skewed(BILLION, files, shapes[shape])
        order = sorted(sizes, reverse=True) if largest_first else sizes
        night = simulate(Cluster(100, rate, deaths, resumes=resumes), order)
        lines.append(
            f"| {files:,} | {shape}, largest {max(sizes):,} rows "
            f"| {'largest first' if largest_first else 'as found'} "
            f"| {deaths:g}{'' if resumes else ', nothing kept'} | {night.seconds / 3600:.2f} "
            f"| {night.efficiency:.0%} | {night.died} | {night.again / BILLION:.3%} |"
        )
    return list(markdown.table(f"{head}| nodes died | scored twice |", *lines))


if __name__ == "__main__":
    sys.stdout.write("\n".join(table(float(sys.argv[1]))) + "\n")
