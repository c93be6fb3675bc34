"""What a page counts: rows by day, label and score, and how they agree with a truth."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS = 20  # of scores, from 0 to 1
RELIABILITY_BINS = 10

NO_DAY = np.int64(-(2**63))
_FIRST, _LAST = "1900-01-01", "2199-12-31"  # a bound for memory: 110,000 days, whatever comes

_ISO = (
    r"^\s*(?<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?<time>\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?\s*(?<zone>[zZ]|[+-]\d\d(?::?\d\d)?)?)?\s*$"
)
_TWITTER = "%a %b %d %H:%M:%S %z %Y"  # created_at of Twitter's API: Wed Oct 10 20:19:24 +0000 2018

Ids = NDArray[np.int64]
Counts = NDArray[np.int64]


def ids_of(words: pl.Series, numbers: Mapping[str, int]) -> Ids:
    """Return the number of each row's label, -1 where it is null and -2 where it is unknown."""
    known = words.replace_strict(numbers, default=-2, return_dtype=pl.Int64)
    ids: Ids = known.set(words.is_null(), -1).to_numpy()
    return ids


def bins_of(scores: NDArray[np.float32], bins: int) -> Ids:
    """Return in which of equal bins from 0 to 1 each score lies; a bound belongs to the upper."""
    return np.minimum(scores.astype(np.float64) * bins, bins - 1).astype(np.int64)


def days_of(dates: pl.Series) -> Ids:
    """Return each row's day in UTC as days since 1970-01-01, NO_DAY where there is none.

    Of a String [rows] ISO 8601, a day or a time, and Twitter's own spelling are read. A time
    without a zone is taken as UTC.
    """
    part = pl.col("date").str.extract_groups(_ISO).struct
    zone = part.field("zone").str.replace("(?i)^z$", "").str.replace(":", "", literal=True)
    spelled = pl.concat_str(
        part.field("date"),
        pl.lit(" "),
        part.field("time").fill_null("00:00"),
        zone.fill_null("").str.pad_end(1, "+").str.pad_end(5, "0"),
    )
    iso = spelled.str.to_datetime("%Y-%m-%d %H:%M%z", time_zone="UTC", strict=False)
    other = pl.col("date").str.to_datetime(_TWITTER, time_zone="UTC", strict=False)
    day = pl.coalesce(iso, other).dt.date()
    bounds = pl.lit(_FIRST).str.to_date(), pl.lit(_LAST).str.to_date()
    kept = pl.when(day.is_between(*bounds)).then(day)
    found = dates.alias("date").to_frame().select(kept.cast(pl.Int64).fill_null(int(NO_DAY)))
    days: Ids = found.to_series().to_numpy()
    return days


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Labels and scores beside true labels; rows without either are left out."""

    confusion: Counts  # [true label, label]
    bin_rows: Counts  # [RELIABILITY_BINS]
    bin_scores: NDArray[np.float64]  # sums of scores, [RELIABILITY_BINS]
    bin_right: Counts
    left_out: int  # scored rows whose true label is missing or none of the labels

    @property
    def rows(self) -> int:
        """The rows that could be compared."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of right labels; NaN without rows."""
        return float(np.trace(self.confusion) / self.rows) if self.rows else float("nan")

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: mean distance of score and accuracy over the bins."""
        gaps = np.abs(self.bin_scores - self.bin_right).sum()
        return float(gaps / self.rows) if self.rows else float("nan")


class Statistics:
    """Counts rows as they go by."""

    def __init__(self, labels: int) -> None:
        self.blank = 0
        self.histogram = np.zeros((labels, BINS), np.int64)
        self.score_sums = np.zeros(labels)
        self.undated = 0
        self._days: dict[int, Counts] = {}
        self._confusion = np.zeros((labels, labels), np.int64)
        self._bins = np.zeros((3, RELIABILITY_BINS))  # rows, scores, right ones
        self._left_out = 0

    @property
    def per_label(self) -> Counts:
        """Rows of each label."""
        found: Counts = self.histogram.sum(axis=1)
        return found

    @property
    def scored(self) -> int:
        """Rows with a label."""
        return int(self.histogram.sum())

    @property
    def days(self) -> dict[int, Counts]:
        """Rows of each label, and blank ones last, by days since 1970-01-01, in order."""
        return dict(sorted(self._days.items()))

    @property
    def truth(self) -> Truth:
        """What true labels say, as far as they were added."""
        rows, scores, right = self._bins
        counts = rows.astype(np.int64), scores, right.astype(np.int64)
        return Truth(self._confusion, *counts, self._left_out)

    def add(self, ids: Ids, scores: NDArray[np.float32]) -> None:
        """Count labels, -1 for a blank row, with their scores; both [rows]."""
        there = ids >= 0
        labels, values = ids[there], scores[there]
        self.blank += int((~there).sum())
        cells = labels * BINS + bins_of(values, BINS)
        self.histogram += np.bincount(cells, minlength=self.histogram.size).reshape(-1, BINS)
        self.score_sums += np.bincount(labels, values, minlength=len(self.score_sums))

    def add_days(self, ids: Ids, days: Ids) -> None:
        """Count labels by day."""
        dated = days != NO_DAY
        self.undated += int((~dated).sum())
        found, which = np.unique(days[dated], return_inverse=True)
        width = len(self.score_sums) + 1
        cells = which * width + np.where(ids < 0, width - 1, ids)[dated]
        counts = np.bincount(cells, minlength=len(found) * width).reshape(-1, width)
        for day, row in zip(found.tolist(), counts, strict=True):
            self._days[day] = self._days.get(day, np.zeros(width, np.int64)) + row

    def add_truth(self, ids: Ids, scores: NDArray[np.float32], true: Ids) -> None:
        """Hold labels against true ones; negative is none."""
        both = (ids >= 0) & (true >= 0)
        self._left_out += int(((ids >= 0) & (true < 0)).sum())
        labels, values, wanted = ids[both], scores[both], true[both]
        width = len(self._confusion)
        cells = np.bincount(wanted * width + labels, minlength=width * width)
        self._confusion += cells.reshape(width, width)
        at = bins_of(values, RELIABILITY_BINS)
        for row, weights in enumerate((None, values, labels == wanted)):
            self._bins[row] += np.bincount(at, weights, minlength=RELIABILITY_BINS)
