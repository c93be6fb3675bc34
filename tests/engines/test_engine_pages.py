"""The Python of the engines' pages runs, on the real engines."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from scorer import Scorer
from tests.docs.test_pages import bench, fences

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.ci


@pytest.mark.parametrize("engine", ["spark", "daft"])
def test_a_page_does_what_it_shows(engine: str, tmp_path: Path) -> None:
    """What the page writes are the local engine's answers, and the rest of it runs."""
    lines = (ROOT / "docs" / f"{engine}.md").read_text("utf-8").splitlines()
    program = "\n".join(lines[n] for fence in fences(lines, "python") for n in fence)
    bench(tmp_path)
    shutil.copytree(ROOT / "scorer" / "bundled", tmp_path / "my-bundle")
    env = os.environ | {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert "Positivo" in done.stdout
    scored = pl.read_parquet(tmp_path / "samples" / f"{engine}-scored" / "*.parquet").sort("id")
    expected = Scorer().score_frame(pl.read_parquet(ROOT / "samples" / "tweets.parquet")).sort("id")
    assert scored.select("id", "label", "score").equals(expected.select("id", "label", "score"))
