from datetime import date, timedelta

import polars as pl
import pytest

from scorer.report.statistics import NO_DAY, days_of


@pytest.mark.parametrize(
    ("spelled", "day"),
    [
        ("2026-11-22", "2026-11-22"),
        ("2026-11-22T06:03", "2026-11-22"),
        ("2026-11-22 06:03:29.000001Z", "2026-11-22"),
        ("  2026-11-22T06:03:29+00:00 ", "2026-11-22"),
        ("2026-11-22T23:30:00-02:00", "2026-11-23"),
        ("2026-11-22T00:30+0100", "2026-11-21"),
        ("2026-11-22T23:30-02", "2026-11-23"),
        ("Wed Oct 10 23:19:24 -0100 2018", "2018-10-11"),
        ("2024-02-29", "2024-02-29"),
    ],
)
def test_a_date_is_its_day_in_utc(spelled: str, day: str) -> None:
    """ISO 8601 and Twitter's spelling; without a zone it is UTC already."""
    (found,) = days_of(pl.Series([spelled])).tolist()
    assert (date(1970, 1, 1) + timedelta(days=found)).isoformat() == day


@pytest.mark.parametrize(
    "spelled",
    [None, "", "yesterday", "2026-13-01", "2025-02-29", "22.11.2026", "1 2026-11-22", "1700000000"],
)
def test_what_is_no_date_has_no_day(spelled: str | None) -> None:
    """Nothing is guessed."""
    assert days_of(pl.Series([spelled], dtype=pl.String)).tolist() == [NO_DAY]


@pytest.mark.parametrize(
    ("spelled", "kept"),
    [("1899-12-31", False), ("1900-01-01", True), ("2199-12-31", True), ("2200-01-01", False)],
)
def test_days_are_bounded(spelled: str, kept: bool) -> None:
    """A file with a row for each day of the calendar takes no more memory than three centuries."""
    assert (days_of(pl.Series([spelled])).tolist() != [NO_DAY]) == kept


def test_no_rows_have_no_days() -> None:
    """An empty piece is no special case."""
    assert days_of(pl.Series([], dtype=pl.String)).tolist() == []
