"""Values beside those of an earlier run: how they are spread now, and which rows moved most."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from scorer.report.changes import (
    CHANGE_COLUMNS,
    MOST_CHANGES,
    Change,
    Pairing,
    Pairs,
    Unpaired,
    same_input,
    with_cells,
)
from scorer.report.outputs import Opened
from scorer.report.values import Agreement, Distribution, spread_of


@dataclass(frozen=True, slots=True, eq=False)
class PairedValues:
    """Rows that are in both outputs."""

    by: str | None  # the id column; None where it is the order of the same rows
    rows: int
    moved: int  # pairs of two values that differ
    blank: int  # pairs of which one or both are blank
    agreement: Agreement  # of the values now with those before
    changes: Sequence[Change]  # those that moved most, at most MOST_CHANGES
    unpaired: Unpaired


@dataclass(frozen=True, slots=True, eq=False)
class ValueComparison:
    """What has moved since the earlier run."""

    earlier: Opened
    before: Distribution
    paired: PairedValues | None  # None where nothing tells which rows belong together


def compare_values(
    earlier: Opened, later: Opened, *, id_column: str | None, texts: str | None
) -> ValueComparison:
    """Compare an output with an earlier one; arguments as of the comparison of labels."""
    before = spread_of(earlier)
    if id_column is None and not same_input(earlier, later):
        return ValueComparison(earlier, before, None)
    return ValueComparison(earlier, before, _paired(Pairing(earlier, later, id_column), texts))


def _paired(pairing: Pairing, texts: str | None) -> PairedValues:
    agreement, count, moved = Agreement(), 0, 0
    types = [pl.Int64] * 3 + [pl.Float32] * 2
    held = pl.DataFrame(schema=dict(zip(CHANGE_COLUMNS, types, strict=True)))
    for pairs in pairing.pairs():
        both = (pairs.before >= 0) & (pairs.now >= 0)
        agreement.add(pairs.scores_before[both], pairs.scores_now[both])
        count += len(both)
        changed = _changed(pairs)
        moved += changed.height
        held = _furthest(pl.concat([held, changed]))
    names = pairing.later.labels
    changes = with_cells(held, pairing, names, texts)
    blank = count - agreement.rows
    return PairedValues(
        pairing.id_column, count, moved, blank, agreement, changes, pairing.unpaired
    )


def _changed(pairs: Pairs) -> pl.DataFrame:
    values = (pairs.rows, pairs.before, pairs.now, pairs.scores_before, pairs.scores_now)
    both = (pl.col("before") >= 0) & (pl.col("now") >= 0)
    found = pl.DataFrame(dict(zip(CHANGE_COLUMNS, values, strict=True))).filter(both)
    return found.filter(pl.col("score_before") != pl.col("score_now"))


def _furthest(rows: pl.DataFrame) -> pl.DataFrame:
    apart = (pl.col("score_now").cast(pl.Float64) - pl.col("score_before")).abs()
    order = rows.with_columns(apart.alias("apart")).sort(["apart", "row"], descending=[True, False])
    return order.head(MOST_CHANGES).drop("apart")
