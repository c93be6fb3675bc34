"""The sample project is built by a real dbt on DuckDB, in an environment of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.docs.test_pages import assert_true, bench

ROOT = Path(__file__).parents[2]
DBT = ROOT / ".venv-dbt" / "bin"
PROGRAM = Path(sys.executable).parent / "tweetscore"
PAGE = ROOT / "docs" / "dbt.md"

pytestmark = pytest.mark.ci


def dbt(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": f"{DBT}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "DBT_PROJECT_DIR": "samples/dbt",
        "DBT_PROFILES_DIR": "samples/dbt",
    }
    return subprocess.run(
        ["dbt", "--no-use-colors", *words],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def build(folder: Path, model: Path) -> subprocess.CompletedProcess[str]:
    return dbt(folder, "build", "--vars", f"{{tweets: tweets.parquet, model: '{model}'}}")


def scores(folder: Path) -> pl.DataFrame:
    with duckdb.connect(str(folder / "tweets.duckdb"), read_only=True) as database:
        table: pl.DataFrame = database.sql("FROM tweet_scores ORDER BY id").pl()
        return table


def test_the_page_shows_the_truth(tmp_path: Path) -> None:
    """A first build, one that has nothing to do, and one with two tweets to score."""
    assert_true(PAGE, bench(tmp_path), f"{DBT}{os.pathsep}")


def test_a_build_scores_only_what_has_no_score(tmp_path: Path) -> None:
    """The second build needs no model: it passes without one, and no row is touched.

    A build that does need one fails then, and leaves the table as it was.
    """
    bench(tmp_path)
    model = tmp_path / "model"
    shutil.copytree(ROOT / "scorer" / "bundled", model, copy_function=os.link)
    tweets = pl.DataFrame({"id": [1, 2, 3], "text": ["I love this song", None, "ugh"]})
    tweets.write_parquet(tmp_path / "tweets.parquet")

    first = build(tmp_path, model)
    assert first.returncode == 0, first.stdout
    made = scores(tmp_path)
    assert made["label"].is_null().to_list() == [False, True, False]

    shutil.rmtree(model)
    second = build(tmp_path, model)
    assert second.returncode == 0, second.stdout
    assert scores(tmp_path).equals(made)

    more = pl.DataFrame({"id": [4], "text": ["what a day"]})
    tweets.vstack(more).write_parquet(tmp_path / "tweets.parquet")
    third = build(tmp_path, model)
    assert third.returncode == 1
    assert f"InvalidBundle: {model} " in third.stdout, third.stdout
    assert scores(tmp_path).equals(made)


def test_the_answers_are_those_of_a_run_and_dbt_tests_them(tmp_path: Path) -> None:
    """The table has bit by bit what `tweetscore run` writes; a table that has not is reported."""
    bench(tmp_path)
    done = dbt(tmp_path, "build")
    assert done.returncode == 0, done.stdout
    scored = tmp_path / "scored.parquet"
    tweets = tmp_path / "samples" / "tweets.parquet"
    subprocess.run([PROGRAM, "run", "-q", tweets, "-o", scored], check=True)
    run = pl.read_parquet(scored).sort("id").select("id", "text", "label", "score")
    assert scores(tmp_path).select(run.columns).equals(run)

    with duckdb.connect(str(tmp_path / "tweets.duckdb")) as database:
        first, *_, last = run["id"]
        database.execute("UPDATE tweet_scores SET label = 'glad' WHERE id = ?", [first])
        database.execute("UPDATE tweet_scores SET score = 1.5 WHERE id = ?", [first])
        database.execute("DELETE FROM tweet_scores WHERE id = ?", [last])
    wrong = dbt(tmp_path, "test")
    assert wrong.returncode == 1
    failed = re.findall(r"of \d+ FAIL 1 (\w+)", wrong.stdout)
    assert sorted(failed) == [
        "accepted_values_tweet_scores_label__negative__neutral__positive",
        "every_tweet_is_scored",
        "scores_are_probabilities",
    ]


def test_dbt_has_all_that_its_lock_should_have() -> None:
    """No package of the environment lacks another one, or has a version that it does not admit."""
    subprocess.run([DBT / "python", "-m", "pip", "check"], check=True)
