"""The long files of the benchmark, in short: what stands in for the model must fit the pipeline."""

from pathlib import Path

import pytest

from benchmarks import flat_memory
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.reports import report_json

ROWS = 5_000


@pytest.mark.parametrize("name", ["tweets.parquet", "tweets.csv"])
def test_the_stub_scores_a_file_through_the_whole_pipeline(tmp_path: Path, name: str) -> None:
    """So that no change of the pipeline is first noticed in the middle of a benchmark."""
    path = tmp_path / name
    flat_memory.write_input(path, ROWS)
    stub = flat_memory.StubClassifier()
    (outcome,) = pipeline.run(RunOptions.of((path,)), model=handle_of(stub))
    assert outcome.error is None
    assert report_json(outcome)["counters"]["rows"] == ROWS
