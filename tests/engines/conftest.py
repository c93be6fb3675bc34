from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from scorer import Scorer

ROOT = Path(__file__).parents[2]
TRAIN = ROOT.parent / "shared" / "data" / "train.csv"
TWEETS = 27_481  # in TRAIN; one of them is null


@pytest.fixture(scope="session")
def tweets(tmp_path_factory: pytest.TempPathFactory, count: Callable[[int, int], int]) -> Path:
    """Return a folder of four Parquet files of tweets with an id, and blank ones among them."""
    folder = tmp_path_factory.mktemp("tweets")
    frame = pl.read_csv(TRAIN, columns=["text"]).head(count(2_500, TWEETS)).with_row_index("id")
    blank = pl.col("id") % 50 == 7
    frame = frame.with_columns(id=pl.col("id").cast(pl.Int64), text=pl.when(~blank).then("text"))
    size = -(-frame.height // 4)
    for number, part in enumerate(frame.iter_slices(size)):
        part.write_parquet(folder / f"part-{number}.parquet")
    return folder


@pytest.fixture(scope="session")
def answers(tweets: Path) -> pl.DataFrame:
    """Return what the local engine answers for `tweets`, by id."""
    return Scorer().score_frame(pl.read_parquet(tweets), all_scores=True).sort("id")
