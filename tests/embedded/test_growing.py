"""The embedded model on a file that grows: the bytes of a full run."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.reports import report_json

ROOT = Path(__file__).parents[2]


def run(path: Path, output: Path, **options: Any) -> Outcome:
    (outcome,) = pipeline.run(RunOptions.of((path,), output=output, chunk_rows=100, **options))
    assert outcome.error is None
    return outcome


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("csv", {"device": "cpu"}),
        ("parquet", {"device": "cpu", "precision": "fp32", "scores": "all"}),
    ],
    ids=["csv, the fastest precision", "parquet, fp32, all scores"],
)
def test_a_growing_file_costs_its_new_rows(
    tmp_path: Path, suffix: str, options: dict[str, Any]
) -> None:
    """A new row in front moves all windows."""
    tweets = pl.read_parquet(ROOT / "samples" / "tweets.parquet")
    path, output = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"

    def write(frame: pl.DataFrame) -> None:
        frame.write_parquet(path) if suffix == "parquet" else frame.write_csv(path)

    write(tweets[50:250])
    run(path, output, **options)
    write(pl.concat([tweets[250:], tweets[:250]]))
    grown = run(path, output, id_column="id", **options)
    whole = run(path, tmp_path / f"whole.{suffix}", **options)
    assert report_json(grown)["taken_over"] == {"rows": 200, "why_none": None}
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    for name in ("counters", "labels", "drift"):
        assert report_json(grown)[name] == report_json(whole)[name]
