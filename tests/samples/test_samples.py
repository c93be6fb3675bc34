"""The samples are what samples/README.md says they are."""

import json
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

SAMPLES = Path(__file__).parents[2] / "samples"
CANARY = Path(__file__).parents[2] / "export/parity/canary_texts.json"


def test_parquet_and_csv_hold_the_same_rows() -> None:
    """tweets.parquet is tweets.csv, typed."""
    types = {"id": pl.String}  # or the zeros in front would be lost
    table = pl.read_csv(SAMPLES / "tweets.csv", schema_overrides=types, try_parse_dates=True)
    assert_frame_equal(table, pl.read_parquet(SAMPLES / "tweets.parquet"))


def test_labelled_tweets_are_balanced_and_distinct() -> None:
    """Sixty tweets of each class, none twice."""
    table = pl.read_csv(SAMPLES / "labelled.csv")
    counts = dict(table["sentiment"].value_counts().iter_rows())
    assert counts == {"negative": 60, "neutral": 60, "positive": 60}
    assert table["text"].n_unique() == table.height


def test_canary_has_304_distinct_texts_none_blank() -> None:
    """The canary's texts never change unnoticed: a bundle's figures are measured on them."""
    texts = json.loads(CANARY.read_text("utf-8"))
    assert len(texts) == len(set(texts)) == 304
    assert all(text.strip() for text in texts)
