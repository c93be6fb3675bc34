"""An output beside that of an earlier run: which labels changed, and how far all of them moved.

Rows are paired by their order, or by a column that tells them apart. By a column, both sides are
first spread over files by a hash of it, so that each partition fits in memory however many rows
there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError
from scorer.formats.base import Rebatcher
from scorer.monitor.drift import LARGE, MODERATE, psi
from scorer.readback.join import Partitions
from scorer.report.outputs import Opened, Rows, shortened
from scorer.report.statistics import Counts, Ids, Statistics

# Two hashes of 64 bits: that two ids of a file of any size have both in common does not happen.
_RECORD = np.dtype(
    [("key", "<u8"), ("check", "<u8"), ("row", "<i8"), ("label", "<i8"), ("score", "<f4")]
)
_KEYS = ["key", "check"]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows that are in both outputs; all arrays are [pairs]."""

    rows: Ids  # of the later output, from 0
    before: Ids  # labels of the earlier one, -1 where blank
    now: Ids
    scores_before: NDArray[np.float32]  # 0 where blank
    scores_now: NDArray[np.float32]


@dataclass(slots=True)
class Unpaired:
    """Rows that are in no pair."""

    before: int = 0  # their id is in the earlier output only
    now: int = 0
    no_id: int = 0  # of both outputs
    repeated: int = 0  # of both outputs: rows whose id another row of their output has


@dataclass
class Pairing:
    """The pairs as they go by; what is left over is known at the end."""

    earlier: Opened
    later: Opened
    id_column: str | None
    unpaired: Unpaired = field(default_factory=Unpaired)

    def pairs(self) -> Iterator[Pairs]:
        """Yield the pairs, memory flat."""
        return self._by_order() if self.id_column is None else self._by_id(self.id_column)

    def _by_order(self) -> Iterator[Pairs]:
        batches = Rebatcher(self.earlier.rows(), Rows.cut)
        for rows in self.later.rows():
            at = 0
            for old in batches.take(len(rows)):
                new = rows.cut(at, at + len(old))
                at += len(old)
                numbers = new.batch.offset + np.arange(len(new))
                yield Pairs(numbers, old.ids, new.ids, old.scores, new.scores)

    def _by_id(self, name: str) -> Iterator[Pairs]:
        rows = sum(each.report.counters.rows for each in (self.earlier, self.later))
        with TemporaryDirectory(prefix="tweetscore-") as folder:
            parts = Partitions(Path(folder), rows)
            parts.split("before", self._records(self.earlier, name))
            parts.split("now", self._records(self.later, name))
            for old, new in zip(parts.paths("before"), parts.paths("now"), strict=True):
                yield self._joined(_read(old), _read(new))

    def _records(self, output: Opened, name: str) -> Iterator[NDArray[np.void]]:
        """Yield the rows of an output that have an id, and count those that have none."""
        missing = 0
        for rows in output.rows([name]):
            ids = rows.column(name)
            records = np.empty(len(rows), _RECORD)
            records["key"], records["check"] = (ids.hash(seed=seed).to_numpy() for seed in (1, 2))
            records["row"] = rows.batch.offset + np.arange(len(rows))
            records["label"], records["score"] = rows.ids, rows.scores
            there = (ids.is_not_null() & (ids != "")).to_numpy()
            missing += len(rows) - int(there.sum())
            yield records[there]
        self.unpaired.no_id += missing
        if missing == output.report.counters.rows > 0:
            raise DataError(
                f"column {name!r} of {output.path} is empty", "name another --id-column"
            )

    def _joined(self, old: pl.DataFrame, new: pl.DataFrame) -> Pairs:
        once = pl.len().over(_KEYS) == 1
        unpaired = self.unpaired
        single_old, single_new = old.filter(once), new.filter(once)
        repeats = pl.concat([side.filter(~once).select(_KEYS) for side in (old, new)])
        unpaired.repeated += repeats.height
        # A row whose id the other side has twice is not alone there: it is left out as a repeat.
        before = single_old.join(repeats, on=_KEYS, how="anti")
        now = single_new.join(repeats, on=_KEYS, how="anti")
        unpaired.repeated += single_old.height + single_new.height - before.height - now.height
        both = now.join(before, on=_KEYS, how="inner", suffix="_before").sort("row")
        unpaired.before += before.height - both.height
        unpaired.now += now.height - both.height
        names = ("row", "label_before", "label", "score_before", "score")
        return Pairs(*(both[each].to_numpy() for each in names))


def same_input(one: Opened, other: Opened) -> bool:
    """Tell whether two outputs have the same rows in the same order."""
    known_by = ("size", "ends_sha256", "format")
    inputs = [[getattr(each.report.input, name) for name in known_by] for each in (one, other)]
    rows = [each.report.counters.rows for each in (one, other)]
    return inputs[0] == inputs[1] and rows[0] == rows[1]


def _read(path: Path) -> pl.DataFrame:
    records = np.fromfile(path, _RECORD)
    return pl.DataFrame({name: np.ascontiguousarray(records[name]) for name in _RECORD.names or ()})


MOST_CHANGES = 50  # rows on the page
CHANGE_COLUMNS = ("row", "before", "now", "score_before", "score_now")


@dataclass(frozen=True, slots=True)
class Change:
    """A row whose label is another one."""

    row: int  # from 1
    before: str | None  # None for blank
    now: str | None
    score_before: float
    score_now: float
    text: str | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Rows that are in both outputs."""

    by: str | None  # the id column; None where it is the order of the same rows
    table: Counts  # [label before, label now], blank last
    changes: Sequence[Change]  # the surest ones now, at most MOST_CHANGES
    unpaired: Unpaired

    @property
    def rows(self) -> int:
        """All pairs."""
        return int(self.table.sum())

    @property
    def changed(self) -> int:
        """Pairs with two labels."""
        return self.rows - int(np.trace(self.table))


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What has moved since the earlier run."""

    earlier: Opened
    labels: tuple[str, ...]  # of both
    before: Counts  # rows of each label
    now: Counts
    psi_labels: float
    psi_scores: float
    chance_labels: float  # what the index is on average where nothing has moved
    chance_scores: float
    paired: Paired | None  # None where nothing tells which rows belong together

    @staticmethod
    def verdict(index: float) -> str:
        """Say in words what a population stability index means."""
        if index < MODERATE:
            return "stable"
        return "moderate shift" if index < LARGE else "large shift"


def compare(
    earlier: Opened, later: Opened, now: Statistics, *, id_column: str | None, texts: str | None
) -> Comparison:
    """Compare an output, whose rows have been counted, with an earlier one.

    The id column tells rows apart; it is not needed where both runs had the same input. `texts` is
    the column whose texts are shown with the changes, if any.
    """
    renamed = _renamed(earlier, later)
    labels = tuple(dict.fromkeys([*later.labels, *renamed]))
    old = Statistics(len(renamed))
    for rows in earlier.rows():
        old.add(rows.ids, rows.scores)
    earlier.check_counts(old.per_label.tolist(), old.blank)
    places = [labels.index(name) for name in renamed]
    before = np.zeros(len(labels), np.int64)
    before[places] = old.per_label
    counts = np.pad(now.per_label, (0, len(labels) - len(now.per_label)))
    paired = None
    if id_column is not None or same_input(earlier, later):
        pairing = Pairing(earlier, later, id_column)
        paired = _paired(pairing, labels, places, texts)
    by_score = old.histogram.sum(axis=0), now.histogram.sum(axis=0)
    return Comparison(
        earlier,
        labels,
        before,
        counts,
        psi(before, counts),
        psi(*by_score),
        by_chance(before, counts),
        by_chance(*by_score),
        paired,
    )


def by_chance(before: Counts, now: Counts) -> float:
    """Return the mean stability index of two samples of these sizes from one distribution.

    A degree of freedom for each bin but one, times the sum of the inverse sizes (Yurdakul,
    Statistical Properties of Population Stability Index, 2018). 0 where a side has no rows.
    """
    sizes = before.sum(), now.sum()
    bins = int(((before + now) > 0).sum())
    return float((bins - 1) * (1 / sizes[0] + 1 / sizes[1])) if all(sizes) else 0.0


def _renamed(earlier: Opened, later: Opened) -> tuple[str, ...]:
    """Return the earlier labels as the later run writes them, where the classes are the same."""
    mine, its = ({e.name: e.written_as for e in o.report.labels} for o in (later, earlier))
    one_to_one = len(set(mine.values())) == len(mine) == len(set(its.values()))
    if mine.keys() != its.keys() or not one_to_one:
        return earlier.labels
    written = {its[name]: mine[name] for name in its}
    return tuple(written[label] for label in earlier.labels)


def _paired(
    pairing: Pairing, labels: Sequence[str], places: Sequence[int], texts: str | None
) -> Paired:
    width = len(labels) + 1
    place_of = np.array([*places, len(labels)])  # blank is -1, and so the last
    table = np.zeros(width * width, np.int64)
    held = pl.DataFrame(
        schema=dict(zip(CHANGE_COLUMNS, [pl.Int64] * 3 + [pl.Float32] * 2, strict=True))
    )
    for pairs in pairing.pairs():
        before = place_of[pairs.before]
        now = np.where(pairs.now < 0, len(labels), pairs.now)
        table += np.bincount(before * width + now, minlength=width * width)
        held = _surest(held, pairs, before, now)
    changes = with_cells(held, pairing, (*labels, None), texts)
    by = pairing.id_column
    return Paired(by, table.reshape(width, width), changes, pairing.unpaired)


def _surest(held: pl.DataFrame, pairs: Pairs, before: Counts, now: Counts) -> pl.DataFrame:
    values = (pairs.rows, before, now, pairs.scores_before, pairs.scores_now)
    found = pl.DataFrame(dict(zip(CHANGE_COLUMNS, values, strict=True)))
    changed = found.filter(pl.col("before") != pl.col("now"))
    both = pl.concat([held, changed]).sort(["score_now", "row"], descending=[True, False])
    return both.head(MOST_CHANGES)


def with_cells(
    held: pl.DataFrame, pairing: Pairing, labels: Sequence[str | None], texts: str | None
) -> list[Change]:
    """Read texts and ids of the few rows that are shown."""
    columns = [name for name in (texts, pairing.id_column) if name is not None]
    wanted = held["row"].to_numpy()
    cells: dict[int, Mapping[str | None, Any]] = {}
    for rows in pairing.later.rows(columns) if columns and len(wanted) else ():
        here = wanted[(wanted >= rows.batch.offset) & (wanted < rows.batch.offset + len(rows))]
        picked = pl.DataFrame(
            [shortened(rows.column(name)[here - rows.batch.offset]).alias(name) for name in columns]
        )
        cells |= {row: {**each} for row, each in zip(here.tolist(), picked.to_dicts(), strict=True)}
    return [
        Change(
            row + 1, labels[before], labels[now], score_before, score_now,
            cells.get(row, {}).get(texts), cells.get(row, {}).get(pairing.id_column),
        )
        for row, before, now, score_before, score_now in held.iter_rows()
    ]  # fmt: skip
