import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from scorer import Scorer

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

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


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator["SparkSession"]:
    """Start Spark in local mode: two Python processes, each granted one CPU."""
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "PYSPARK_PYTHON", sys.executable)
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.local.dir", str(tmp_path_factory.mktemp("spark")))
            .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
            .getOrCreate()
        )
        yield session
        session.stop()
