"""Days of rows, from dates as text (pure)."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

NO_DAY = np.int64(-(2**63))
_FIRST, _LAST = "1900-01-01", "2199-12-31"  # a bound for memory: 110,000 days, whatever comes

_ISO = (
    r"^\s*(?<date>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?<time>\d\d:\d\d)(?::\d\d(?:[.,]\d+)?)?\s*(?<zone>[zZ]|[+-]\d\d(?::?\d\d)?)?)?\s*$"
)
_TWITTER = "%a %b %d %H:%M:%S %z %Y"  # created_at of Twitter's API: Wed Oct 10 20:19:24 +0000 2018


def days_of(dates: pl.Series) -> NDArray[np.int64]:
    """Return each row's day in UTC as days since 1970-01-01, NO_DAY where there is none.

    ISO 8601, a day or a time, and Twitter's own spelling are read. A time without a zone is
    taken as UTC.

    Args:
        dates: String [rows].
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
    days: NDArray[np.int64] = found.to_series().to_numpy()
    return days
