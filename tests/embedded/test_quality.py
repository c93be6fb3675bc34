"""The embedded model's quality, measured from file to file through `tweetscore run`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

DATA = Path(__file__).parents[3] / "shared" / "data"
BINS = 15


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("quality") / "out.csv"
    program = Path(sys.executable).parent / "tweetscore"
    run = ["run", str(DATA / "test.csv"), "-o", str(output), "--scores", "all"]
    subprocess.run([program, *run], check=True)
    return output


@pytest.mark.ci
def test_every_byte_of_every_record_comes_back(scored: Path) -> None:
    """3,534 records in order, each the input's own bytes and then the new cells."""
    before = (DATA / "test.csv").read_bytes().splitlines()
    after = scored.read_bytes().splitlines()
    assert len(before) == len(after) == 3_535
    assert after[0] == before[0] + b",label,score,score_negative,score_neutral,score_positive"
    for record, with_scores in zip(before[1:], after[1:], strict=True):
        assert with_scores.startswith(record + b",")
        assert with_scores[len(record) :].count(b",") == 5


@pytest.mark.ci
def test_accuracy_and_calibration_hold_on_the_test_tweets(
    scored: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy at least 0.795, expected calibration error (15 bins) at most 0.04."""
    rows = pl.read_csv(scored, schema_overrides={"textID": pl.String})
    right = (rows["label"] == rows["sentiment"]).to_numpy()
    score = rows["score"].to_numpy()
    error = _calibration_error(score, right)
    with capsys.disabled():
        line = f"accuracy {right.mean():.4f}, ECE {error:.4f} on {len(rows)} tweets"
        print(f"\n{line}")  # noqa: T201 - figures for a person
    assert right.mean() >= 0.795
    assert error <= 0.04


def _calibration_error(score: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the mean gap between score and accuracy, over bins of one width."""
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    gaps = [score[bins == b].sum() - right[bins == b].sum() for b in range(BINS)]
    return float(np.abs(gaps).sum() / len(score))
