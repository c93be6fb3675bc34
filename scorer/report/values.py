"""What a page counts of values: how they are spread, and how far others lie from them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from scorer.report.outputs import Opened, Rows
from scorer.report.statistics import BINS, NO_DAY, Counts, Ids

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_HALF = 1 << 16  # half of the bits of a float32, as many different numbers
_LARGEST = float(np.finfo(np.float32).max)

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """How values are spread; NaN, and no quantiles, where there is none."""

    rows: int
    blank: int
    mean: float
    low: float
    high: float
    quantiles: Mapping[float, float]  # by share: the least value that as many rows do not exceed
    histogram: Counts  # [BINS], equal ones from low to high

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where the bins of the histogram begin, and the last one ends; [BINS + 1]."""
        return np.linspace(self.low, self.high, BINS + 1)


class Spread:
    """Finds a distribution in two passes, memory flat: the range, and then what lies where."""

    def __init__(self) -> None:
        self.rows = self.blank = 0
        self._sum = 0.0
        self._low, self._high = np.inf, -np.inf
        self._upper = np.zeros(_HALF, np.int64)  # rows by the upper half of their sortable bits

    def add(self, rows: Rows) -> None:
        """Count rows of the first pass."""
        values = there(rows)
        self.rows += len(values)
        self.blank += len(rows) - len(values)
        if not len(values):
            return
        self._sum += float(values.sum(dtype=np.float64))
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))
        self._upper += np.bincount(_sortable(values) >> 16, minlength=_HALF)

    def distribution(self, again: Iterable[Rows]) -> Distribution:
        """Return it, from the same rows once more."""
        histogram = np.zeros(BINS, np.int64)
        if not self.rows:
            return Distribution(0, self.blank, np.nan, np.nan, np.nan, {}, histogram)
        ranks = {share: ceil(share * self.rows) - 1 for share in QUANTILES}
        upto = np.cumsum(self._upper)
        halves = {share: int(np.searchsorted(upto, rank, "right")) for share, rank in ranks.items()}
        lower = {half: np.zeros(_HALF, np.int64) for half in halves.values()}
        width = self._high - self._low or 1.0
        for rows in again:
            values = there(rows)
            place = (values.astype(np.float64) - self._low) * (BINS / width)
            histogram += np.bincount(np.minimum(place, BINS - 1).astype(int), minlength=BINS)
            bits = _sortable(values)
            for half in lower:
                lower[half] += np.bincount(bits[bits >> 16 == half] % _HALF, minlength=_HALF)
        found = {}
        for share, half in halves.items():
            left = ranks[share] - int(upto[half] - self._upper[half])
            rest = int(np.searchsorted(np.cumsum(lower[half]), left, "right"))
            found[share] = _value(half * _HALF + rest)
        mean = self._sum / self.rows
        return Distribution(self.rows, self.blank, mean, self._low, self._high, found, histogram)


def spread_of(output: Opened) -> Distribution:
    """Return how the values of an output are spread."""
    spread = Spread()
    for rows in output.rows():
        spread.add(rows)
    output.check_counts([spread.rows], spread.blank)
    return spread.distribution(output.rows())


def there(rows: Rows) -> Values:
    """Return the values of the rows that are not blank."""
    values: Values = rows.scores[rows.ids >= 0]
    return values


def _sortable(values: Values) -> NDArray[np.int64]:
    """Return whole numbers from 0 to 2^32 that are in the order of the values."""
    bits = (values + np.float32(0)).view(np.uint32).astype(np.int64)  # -0 is 0
    return np.where(bits >> 31, ~bits & 0xFFFFFFFF, bits | 1 << 31)


def _value(sortable: int) -> float:
    bits = sortable ^ (1 << 31) if sortable >> 31 else ~sortable & 0xFFFFFFFF
    return float(np.array(bits, np.uint32).view(np.float32))


def numbers_of(words: pl.Series) -> NDArray[np.float64]:
    """Return the number in each of String [rows], NaN where there is none of a float32's size."""
    found = words.str.strip_chars().cast(pl.Float64, strict=False)
    numbers = found.fill_null(np.nan).to_numpy()
    return np.where(np.abs(numbers) <= _LARGEST, numbers, np.nan)


class Agreement:
    """How far values lie from others of the same rows."""

    def __init__(self) -> None:
        self.rows = 0
        self._means = np.zeros(2)
        self._moments = np.zeros((2, 2))  # of the distances from the means, summed
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)
        self._absolute = self._squared = 0.0

    def add(self, others: NDArray[np.floating], values: NDArray[np.floating]) -> None:
        """Add pairs, [rows] each."""
        both = np.stack([others, values]).astype(np.float64)
        rows = both.shape[1]
        if not rows:
            return
        distances = both[1] - both[0]
        self._absolute += float(np.abs(distances).sum())
        self._squared += float((distances**2).sum())
        self._low = np.minimum(self._low, both.min(axis=1))
        self._high = np.maximum(self._high, both.max(axis=1))
        # Sums of squares about the means of each part: those about 0 lose their digits.
        means = both.mean(axis=1)
        centred = both - means[:, None]
        apart, total = means - self._means, self.rows + rows
        self._moments += centred @ centred.T + np.outer(apart, apart) * (self.rows * rows / total)
        self._means += apart * (rows / total)
        self.rows = total

    @property
    def mean_difference(self) -> float:
        """By how much the values exceed the others on average."""
        return float(self._means[1] - self._means[0])

    @property
    def mean_absolute(self) -> float:
        """The mean absolute error; of one row or more."""
        return self._absolute / self.rows

    @property
    def root_mean_square(self) -> float:
        """The root of the mean squared error; of one row or more."""
        return sqrt(self._squared / self.rows)

    @property
    def correlation(self) -> float | None:
        """Pearson's correlation; None where one of the two is the same in all rows."""
        if (self._low == self._high).any():
            return None
        (one, both), (_, other) = self._moments
        return float(np.clip(both / (sqrt(one) * sqrt(other)), -1, 1)) if one and other else None


class ValueDays:
    """Rows by day: how many values, their sum, and how many blank rows."""

    def __init__(self) -> None:
        self.undated = 0
        self._days: dict[int, NDArray[np.float64]] = {}

    @property
    def days(self) -> dict[int, NDArray[np.float64]]:
        """Values, their sum, and blank rows, by days since 1970-01-01, in order."""
        return dict(sorted(self._days.items()))

    def add(self, rows: Rows, days: Ids) -> None:
        """Count rows by day."""
        dated = days != NO_DAY
        self.undated += int((~dated).sum())
        found, which = np.unique(days[dated], return_inverse=True)
        scored = (rows.ids >= 0)[dated]
        weights = (scored, rows.scores[dated], ~scored)  # the value of a blank row is 0
        counts = [np.bincount(which, each, minlength=len(found)) for each in weights]
        for day, row in zip(found.tolist(), np.stack(counts, axis=1), strict=True):
            self._days[day] = self._days.get(day, np.zeros(3)) + row


def rows_of(outputs: Iterable[Opened]) -> Iterator[Rows]:
    """Yield the rows of all outputs, without other columns."""
    for output in outputs:
        yield from output.rows()
