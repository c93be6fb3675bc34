"""Rows of two outputs side by side: by their order, or by a column that tells them apart.

By a column, both sides are first spread over files by a hash of it, so that each partition fits
in memory however many rows there are.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.errors import DataError
from scorer.formats.base import Rebatcher
from scorer.readback.join import Partitions
from scorer.report.outputs import Opened, Rows
from scorer.report.statistics import Ids

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
