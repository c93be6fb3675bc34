import hashlib
import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scorer import __version__
from scorer.errors import DataError
from scorer.inference.gate import Figures
from scorer.inference.session import RuntimeInfo
from scorer.monitor import run_report
from scorer.monitor.run_report import RunRecord, describe_input
from scorer.options import RunOptions
from scorer.records import Counters, Scores

LABELS = ("negative", "neutral", "positive")
DIGEST = "0" * 64
OUTPUT = {"path": "/out.csv", "rows": 4, "size": 9, "mtime_ns": 1, "sha256": DIGEST}


def window(*ids: int) -> Scores:
    """Return scores with 0.5 for the label, 0.25 for the others, NaN where blank."""
    label_ids = np.array(ids, np.int16)
    probabilities = np.full((len(ids), 3), 0.25, np.float32)
    probabilities[np.arange(len(ids)), label_ids] = 0.5
    probabilities[label_ids < 0] = np.nan
    scored = int((label_ids >= 0).sum())
    counters = Counters(len(ids), scored, len(ids) - scored)
    return Scores(label_ids, probabilities, counters, np.array([0, 0, 0, scored]))


@pytest.fixture
def record() -> RunRecord:
    """A record that knows all but the rows and the output."""
    record = RunRecord(RunOptions().as_json())
    record.expect_labels(LABELS, ("N", "0", "P"))
    record.result_key = DIGEST
    identity = {"size": 9, "mtime_ns": 1}
    record.note(
        input={"path": "/in.csv", **identity, "ends_sha256": DIGEST, "format": "csv"},
        model={"name": "stub", "version": "1", "digest": DIGEST},
        runtime=RuntimeInfo("StubProvider", "builtin", "fp32", "none", 1, "a stub"),
        canary=Figures(256, 1.0, 0.0, 0.0),
    )
    return record


def test_windows_add_up(record: RunRecord) -> None:
    """Counters, label counts and mean probabilities are those of all windows together."""
    for scores in (window(0, 2, -1), window(), window(2)):
        record.add(scores)
    record.rejected = 4
    report = record.succeeded(OUTPUT).as_json()
    assert report["counters"]["read"] == 8
    assert report["counters"]["rows"] == 4
    assert report["counters"]["blank"] == 1
    assert report["labels"] == [
        {"name": "negative", "written_as": "N", "rows": 1, "mean_probability": 0.5},
        {"name": "neutral", "written_as": "0", "rows": 0, "mean_probability": None},
        {"name": "positive", "written_as": "P", "rows": 2, "mean_probability": 0.5},
    ]


def test_a_failure_says_what_failed(record: RunRecord) -> None:
    """The report of a failure has the exit code and the line that the user saw."""
    report = record.failed(DataError("/in.csv is empty", "write it again")).as_json()
    assert report["exit_code"] == 65
    assert report["error"] == {
        "kind": "DataError", "message": "/in.csv is empty; write it again",
    }  # fmt: skip


def test_a_failure_before_the_model_has_a_report_too() -> None:
    """A report can be written before anything is known but the options."""
    report = RunRecord(RunOptions().as_json()).failed(KeyboardInterrupt()).as_json()
    assert report["model"] is None
    assert report["labels"] == []
    json.dumps(report, allow_nan=False)


def test_a_report_is_plain_json(record: RunRecord) -> None:
    """Every JSON reader can read it: plain types, and no NaN."""
    content = json.loads(json.dumps(record.succeeded(OUTPUT).as_json(), allow_nan=False))
    assert content["tool"] == {"name": "tweetscore", "version": __version__}
    assert content["libraries"]["polars"]
    assert content["started"].endswith("+00:00")


def test_a_stage_that_fails_is_timed_too(record: RunRecord) -> None:
    """Seconds are kept for a stage that ended with an error."""
    with pytest.raises(DataError), record.stage("read"):
        raise DataError("broken")
    assert "read" in record.failed(DataError("broken")).seconds


def test_the_total_is_the_files_own_time(
    monkeypatch: pytest.MonkeyPatch, record: RunRecord
) -> None:
    """A file that waited for others is timed from when its turn came."""
    now = [100.0]
    monkeypatch.setattr(run_report, "time", SimpleNamespace(monotonic=lambda: now[0]))
    now[0] += 1000
    record.begin()
    now[0] += 5
    assert record.succeeded(OUTPUT).seconds["total"] == 5


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 131_072, 131_073, 500_000])
def test_an_input_is_known_by_its_ends(tmp_path: Path, size: int) -> None:
    """The hash covers the first and last 64 KiB, each byte once."""
    content = os.urandom(size)
    path = tmp_path / "in.csv"
    path.write_bytes(content)
    head, tail = content[: 1 << 16], content[1 << 16 :][-(1 << 16) :]
    found = describe_input(path, format="csv")
    assert found["ends_sha256"] == hashlib.sha256(head + tail).hexdigest()
    assert found["size"] == size
    assert found["format"] == "csv"
