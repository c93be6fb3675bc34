"""What the peers share does not cripple them, and loses no text."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from benchmarks import tuning
from benchmarks.peers.common import Batches, Job, softmax, sorted_batches
from benchmarks.reference import at_temperature


def test_batches_hold_every_text_once_within_the_budget() -> None:
    """Longest first, padding counted; a text beyond the budget is alone."""
    ids = [[1] * length for length in (3, 50, 7, 7, 1, 20, 3)]
    batches = sorted_batches(ids, budget=21, pad=0)
    assert sorted(np.concatenate(batches.rows)) == list(range(7))
    assert [len(ids[row]) for rows in batches.rows for row in rows] == [50, 20, 7, 7, 3, 3, 1]
    assert [list(rows) for rows in batches.rows] == [[1], [5], [2, 3, 0], [6, 4]]
    assert batches.padded == 50 + 20 + 3 * 7 + 2 * 3


def test_a_matrix_is_padded_on_the_right_and_masked() -> None:
    """The ids are the text's own, then the pad token."""
    batches = sorted_batches([[5], [6, 7]], budget=100, pad=9)
    ids, mask = batches.matrix(batches.rows[0])
    assert ids.tolist() == [[6, 7], [5, 9]]
    assert mask.tolist() == [[1, 1], [1, 0]]


def test_probabilities_are_brought_to_another_temperature() -> None:
    """As if the logits had been divided by it in the first place."""
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 9.0]])
    moved = at_temperature(softmax(logits), 1.0, 1.5)
    assert moved == pytest.approx(softmax(logits / 1.5), abs=1e-6)
    assert at_temperature(moved, 1.5, 1.0) == pytest.approx(softmax(logits), abs=1e-6)


def test_every_batch_size_is_tried_and_the_quickest_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In turn, twice; a stub engine moves a stub clock by what its batches cost."""
    ids = [[1] * length for length in (100, 300, 500)] * 8
    now, tried = [0.0], []

    def infer(batches: Batches, _: np.ndarray) -> None:
        largest = max(sum(len(batches.ids[row]) for row in rows) for rows in batches.rows)
        tried.append(largest)
        now[0] += {500: 3.0, 1000: 1.0, 2000: 2.0, 4000: 4.0}.get(largest, 0.0)

    monkeypatch.setattr(tuning, "tokenize", lambda *_: ids)
    monkeypatch.setattr("benchmarks.tuning.time.monotonic", lambda: now[0])
    pl.DataFrame({"text": ["a"] * len(ids)}).write_parquet(tmp_path / "texts.parquet")
    (tmp_path / "model.json").write_text('{"labels": ["a", "b"], "pad_token_id": 0}')
    job = Job(tmp_path, tmp_path / "texts.parquet", tmp_path / "none", 1, "fp32", {})
    found = tuning.tune(SimpleNamespace(load=lambda _: infer), job)
    assert found == {"budget": 1024, "seconds": {512: 3.0, 1024: 1.0, 2048: 2.0, 4096: 4.0}}
    assert tried[1:] == [500, 1000, 2000, 4000] * 2
