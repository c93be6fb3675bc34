"""Statistics of runs: medians with their spread, and ratios of single runs. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.cells import PEERS, ROUNDS, Cell, Contender, Model


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of several runs and the whole interval that they span."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median, the least and the greatest of at least one value."""
    return Spread(median(values), min(values), max(values))


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return how many times ours is theirs, each run against the one of the same round.

    Who ran fewer rounds, because one took long enough, is compared by the last of them.
    """
    rounds = range(max(len(ours), len(theirs)))
    return spread([ours[min(i, len(ours) - 1)] / theirs[min(i, len(theirs) - 1)] for i in rounds])


@dataclass(frozen=True, slots=True)
class Gate:
    """How far answers may be from PyTorch's."""

    agreement: float  # least share of equal labels
    difference: float  # largest, of any probability

    def admits(self, runs: Sequence[Mapping[str, Any]]) -> bool:
        """Judge by the worst run."""
        agreed = min(run["agreement"] for run in runs)
        furthest = max(run["max_difference"] for run in runs)
        return bool(agreed >= self.agreement and furthest <= self.difference)


@dataclass(frozen=True, slots=True)
class Results:
    """Records by name, as the store keeps them."""

    key: Mapping[str, Any]
    records: Mapping[str, Any]

    def cell(self, cell: Cell) -> list[dict[str, Any]]:
        """Return a cell's rounds in order, those that failed left out."""
        return [record for record in self.numbered(cell.name) if "error" not in record]

    def numbered(self, name: str) -> list[dict[str, Any]]:
        """Return the records NAME#1, NAME#2 and so on."""
        names = [f"{name}#{number}" for number in range(1, ROUNDS + 1)]
        return [self.records[each] for each in names if each in self.records]

    def error(self, cell: Cell) -> str | None:
        """Return why a cell has no figures, if it was tried."""
        said: str | None = self.records.get(cell.round(1), {}).get("error")
        return said

    def rows(self, model: Model) -> int:
        """Return how many tweets the model's table is about; 0 if it was not measured."""
        return int(self.records.get(f"inputs/{model.name}", {"rows": 0})["rows"])

    def main(self, model: Model, contender: Contender, threads: int | None = None) -> Cell:
        """Return the cell of the model's table."""
        return Cell(model, contender, self.rows(model), threads or self.threads)

    @property
    def threads(self) -> int:
        """Return the thread budget."""
        return int(self.key["machine"]["threads"])

    def rates(self, model: Model, contender: Contender) -> list[float]:
        """Return the tweets per second of each round, whole process."""
        runs = self.cell(self.main(model, contender))
        return [record["rows"] / record["seconds"] for record in runs]

    def best_peer(
        self, model: Model, arithmetic: str | None = None, *, within: Gate | None = None
    ) -> Contender | None:
        """Return the peer with the highest median, among those that match."""
        medians = {
            peer: median(rates)
            for peer in PEERS
            if arithmetic in (None, peer.arithmetic)
            and (rates := self.rates(model, peer))
            and (within is None or within.admits(self.cell(self.main(model, peer))))
        }
        return max(medians, key=lambda peer: medians[peer], default=None)
