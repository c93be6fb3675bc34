"""Spark in local mode: two Python processes, each granted one CPU."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
import pytest

from scorer import DataError, Scorer, UsageError
from scorer.engines import Task, scorer_here
from scorer.engines.spark import score
from scorer.options import RunOptions
from scorer.run import pipeline

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [
    pytest.mark.ci,
    # pyspark's own: it warns of a pandas that is newer than it knows, and leaves sockets open.
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
SAMPLES = Path(__file__).parents[2] / "samples" / "tweets.parquet"
ANSWERS = ["label", "score", "score_negative", "score_neutral", "score_positive"]


def collected(frame: "DataFrame") -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(frame.toArrow())).sort("id")


def test_samples_get_the_local_answers(spark: "SparkSession") -> None:
    """All columns pass through, and label and score are the local engine's, bit by bit, by id."""
    scored = collected(score(spark.read.parquet(str(SAMPLES))))
    expected = Scorer().score_frame(pl.read_parquet(SAMPLES)).sort("id")
    assert scored.columns == expected.columns
    assert scored.equals(expected)


def test_a_directory_of_outputs_is_a_table(spark: "SparkSession", tmp_path: Path) -> None:
    """Opened by its name, with its partitions; `tests/run/test_tables.py` has the other readers."""
    for day in (1, 2):
        (tmp_path / f"lake/day={day}").mkdir(parents=True)
        shutil.copy(SAMPLES, tmp_path / f"lake/day={day}/a.parquet")
    options = RunOptions.of((tmp_path / "lake",), output=tmp_path / "scored")
    assert all(outcome.error is None for outcome in pipeline.run(options))
    rows = pl.read_parquet(SAMPLES).height
    table = spark.read.parquet(str(tmp_path / "scored"))
    assert table.count() == 2 * rows
    assert table.filter("day = 2 and label is not null").count() == rows


@pytest.mark.long
def test_thousands_of_tweets_get_the_local_answers(
    spark: "SparkSession", tweets: Path, answers: pl.DataFrame
) -> None:
    """Shuffled into seven partitions, every row comes back once with the same bits."""
    frame = spark.read.parquet(str(tweets)).repartition(7)
    scored = collected(score(frame, all_scores=True))
    assert scored.height >= 2_000
    assert scored["label"].null_count() >= scored.height / 50 - 1
    assert scored.columns == ["id", "text", *ANSWERS]
    assert scored.equals(answers)


def test_options_are_those_of_a_scorer(spark: "SparkSession") -> None:
    """The text column is chosen; columns and labels get the names that were asked for."""
    frame = spark.createDataFrame([(1, "I love it!"), (2, None)], "id long, tweet string")
    names = ("Negativo", "Neutro", "Positivo")
    scored = score(frame, "tweet", labels=names, label_column="mood", score_column="p")
    assert [field.simpleString() for field in scored.schema][2:] == ["mood:string", "p:float"]
    assert [row["mood"] for row in scored.orderBy("id").collect()] == ["Positivo", None]


def test_a_bundle_is_shipped(spark: "SparkSession", tiny_bert_bundle: Path, tmp_path: Path) -> None:
    """A model of one's own comes to the workers by Spark, from nowhere but the driver."""
    bundle = Path(shutil.copytree(tiny_bert_bundle, tmp_path / "mine"))
    expected = Scorer(bundle, device="builtin").score_frame(pl.read_parquet(SAMPLES))
    planned = score(spark.read.parquet(str(SAMPLES)), model=bundle, device="builtin")
    shutil.rmtree(bundle)
    assert collected(planned).equals(expected.sort("id"))


def test_a_process_opens_one_model(spark: "SparkSession") -> None:
    """Tasks that follow each other in a worker share its scorer, which has one thread each."""
    task = Task.of("text", {})

    def probe(batches: Iterator[Any]) -> Iterator[Any]:
        for _ in batches:
            scorer = scorer_here(task.config, 1)
            scorer.score(["hello"])
            facts = [os.getpid(), id(scorer), scorer._classifier.runtime.threads]
            yield pa.record_batch({name: [fact] for name, fact in zip("abc", facts, strict=True)})

    partitions = spark.range(64).repartition(16)
    seen = {tuple(row) for row in partitions.mapInArrow(probe, "a long, b long, c long").collect()}
    processes = {pid for pid, _, _ in seen}
    assert len(seen) == len(processes) <= 2
    assert {threads for _, _, threads in seen} == {1}


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ("id long, tweet string", DataError, "no column 'text', only: id, tweet; did you mean"),
        ("id long, text long", DataError, "column 'text' of the frame is bigint, not text"),
        ("label long, text string", UsageError, "the column 'label' exists already"),
        ("Score long, text string", UsageError, "the column 'score' exists already"),
    ],
)
def test_columns_that_do_not_fit_are_refused_by_the_driver(
    spark: "SparkSession", columns: str, error: type[Exception], message: str
) -> None:
    """No job is started; Spark ignores case, so score is not added to a frame with Score."""
    with pytest.raises(error, match=message):
        score(spark.createDataFrame([], columns))


def test_a_worker_without_the_bundle_says_so(spark: "SparkSession", tiny_bert_bundle: Path) -> None:
    """What goes wrong in a worker reaches the driver in our words."""
    from pyspark.errors import PythonException

    from scorer.engines.spark import SparkScoring

    task = Task.of("text", {"model": tiny_bert_bundle})
    frame = spark.createDataFrame([("hello",)], "text string").repartition(1)
    schema = "text string, label string, score float"
    lost = frame.mapInArrow(SparkScoring(task, "never-shipped"), schema)
    with pytest.raises(PythonException, match="never-shipped is not a model bundle; name a bundle"):
        lost.collect()
