"""What Spark reads of a Parquet file of its own once it has been scored."""

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tests.formats.parquet_corpus import ADDED, GROUP, ROWS, added, scored, texts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = [pytest.mark.ci, pytest.mark.filterwarnings("ignore::ResourceWarning")]
COLUMNS = [
    "id",
    "text",
    "cast(id % 100 as tinyint) AS tiny",
    "cast(id / 7 as float) AS ratio",
    "cast(id as decimal(20, 3)) AS price",
    "date_add(date'2026-11-30', cast(id as int)) AS day",
    "timestamp_seconds(1790000000 + id) AS seen",
    "timestamp_ntz'2026-11-30 20:15:03.141592' AS local",
    "interval '3' day * id AS took",
    "binary(concat('x', id)) AS raw",
    "if(id % 3 = 0, null, array(id, null)) AS list",
    "named_struct('a', id, 'b', array(id)) AS pair",
    "map('k', id) AS counts",
    "cast('long' as varchar(9)) AS short",
]


@pytest.fixture(scope="module")
def pair(spark: "SparkSession", tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Return a file of Spark's and its scored copy; reading finds the schema in Spark's own key."""
    directory = tmp_path_factory.mktemp("spark-files")
    rows = spark.createDataFrame(list(enumerate(texts())), "id long, text string")
    frame = rows.orderBy("id").coalesce(1).selectExpr(*COLUMNS)
    how = {"parquet.block.row.count.limit": str(GROUP), "compression": "zstd"}
    frame.write.options(**how).parquet(str(directory / "written"))
    (part,) = (directory / "written").glob("*.parquet")
    assert pq.read_metadata(part).num_row_groups > 1
    return str(part), str(scored(part, directory / "scored.parquet"))


def read(spark: "SparkSession", path: str) -> "DataFrame":
    return spark.read.parquet(path).orderBy("id")


@pytest.mark.parametrize("vectorized", ["true", "false"])
def test_spark_sees_what_it_saw_and_the_columns(
    spark: "SparkSession", pair: tuple[str, str], vectorized: str
) -> None:
    """Both of its readers, the types of the old columns too."""
    spark.conf.set("spark.sql.parquet.enableVectorizedReader", vectorized)
    before, after = (read(spark, path) for path in pair)
    assert after.schema.fields[: len(COLUMNS)] == before.schema.fields
    assert after.columns == [*before.columns, *ADDED]
    kinds = [field.simpleString().split(":")[1] for field in after.schema.fields[len(COLUMNS) :]]
    assert kinds == ["string", *["float"] * 4, "array<string>"]
    rows = after.collect()
    assert [tuple(row)[: len(COLUMNS)] for row in rows] == [tuple(row) for row in before.collect()]
    labels = {"meh": "neg", "last": "neutral", "two\r\nlines": "po,s"}
    assert [row["label"] for row in rows] == [labels.get(text or "") for text in texts()]
    assert [row["labels"] for row in rows] == added("")["labels"]


def test_spark_skips_by_statistics_and_page_index(
    spark: "SparkSession", pair: tuple[str, str]
) -> None:
    """Its filters are pushed down, and find all rows that they shall find."""
    spark.conf.set("spark.sql.parquet.enableVectorizedReader", "true")
    frame = spark.read.parquet(pair[1])
    neutral = [text for text in texts() if text == "last"]
    for condition in ("label = 'neutral'", "score < 0.001", "p_neg > 0.8"):
        assert frame.where(condition).count() == len(neutral)
    blank = [text for text in texts() if not text]
    assert frame.where("label is null").count() == len(blank)
    assert frame.where("score is not null").count() == ROWS - len(blank)
