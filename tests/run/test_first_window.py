"""When the model is proven in one go with a run's first window, and when it is not."""

import gzip
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from scorer.errors import DataError, GateFailed, NotResumable, StorageError
from scorer.monitor import run_report
from scorer.options import CPU_WINDOW
from scorer.records import OnShare
from scorer.run import one_file
from scorer.store import state
from tests.reports import report_json
from tests.run.test_run import run
from tests.stubs import StubClassifier

CSV = "id,text\n1,good+\n2,bad-\n3,meh\n"
BROKEN = 'id,text\n1,good+\n2,"bad" -\n3,meh\n'  # its second record is no row


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text(CSV, "utf-8")
    return path


def proven_with(stub: StubClassifier) -> list[list[str] | None]:
    """Return the texts that the model was proven with, each time."""
    return [None if texts is None else texts.to_list() for texts in stub.proven_with]


def test_a_new_run_proves_its_model_with_its_first_window(
    stub: StubClassifier, tweets: Path
) -> None:
    """The window is read once: it is what is scored afterwards."""
    prepared: list[pl.Series] = []
    prepare = stub.prepare

    def kept(texts: pl.Series) -> pl.Series:
        prepared.append(prepare(texts))
        return prepared[-1]

    stub.prepare = kept  # type: ignore[method-assign] # a spy
    (outcome,) = run(stub, tweets, chunk_rows=2)
    assert report_json(outcome)["exit_code"] == 0
    assert proven_with(stub) == [["good+", "bad-"]]
    assert stub.proven_with[0] is prepared[0]
    assert [len(texts) for texts in prepared] == stub.windows == [2, 1]


def test_of_several_files_the_first_one_proves_the_model(
    stub: StubClassifier, tweets: Path, tmp_path: Path
) -> None:
    """The others find it proven."""
    later = tmp_path / "later.csv"
    later.write_text("id,text\n1,later\n", "utf-8")
    run(stub, tweets, later)
    assert proven_with(stub) == [["good+", "bad-", "meh"]]
    assert stub.windows == [3, 1]


def stop_after_a_window(stub: StubClassifier, tweets: Path) -> None:
    """Leave an unfinished run of windows of one row, of which one is stored."""
    turns = iter([None])

    def interrupt() -> None:
        if next(turns, 0) == 0:
            raise KeyboardInterrupt

    stub.before_scoring = interrupt
    with pytest.raises(KeyboardInterrupt):
        run(stub, tweets, chunk_rows=1)
    stub.before_scoring = lambda: None


def test_a_run_that_is_taken_up_proves_its_model_alone(stub: StubClassifier, tweets: Path) -> None:
    """Its first window is stored: to score it again would be for nothing."""
    stop_after_a_window(stub, tweets)
    stub.proven_with, stub.windows = [], []
    (outcome,) = run(stub, tweets, chunk_rows=1)
    assert report_json(outcome)["resumed"]["windows"] == 1
    assert proven_with(stub) == [None]
    assert stub.windows == [1, 1]


def test_a_state_that_comes_meanwhile_is_not_taken_up(
    stub: StubClassifier, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its lock a run may find another run's state; the window that it read is valid."""
    stop_after_a_window(stub, tweets)
    monkeypatch.setattr(one_file, "state_directory", lambda _: tweets.with_name("not there yet"))
    (outcome,) = run(stub, tweets, chunk_rows=1)
    assert outcome.error is None
    assert report_json(outcome)["resumed"] is None
    assert report_json(outcome)["counters"]["rows"] == 3
    assert [line.split(",")[2] for line in outcome.output.read_text("utf-8").split()] == [
        "label", "positive", "negative", "neutral",
    ]  # fmt: skip


def test_nothing_is_read_while_the_model_is_proven(stub: StubClassifier, tweets: Path) -> None:
    """Another session may have to be loaded then, which sets variables that threads may read."""
    threads: list[str] = []
    proof = stub.prove

    def prove(first: pl.Series | None = None, on_share: OnShare = lambda _: None) -> StubClassifier:
        threads.extend(thread.name for thread in threading.enumerate())
        return proof(first, on_share)

    stub.prove = prove  # type: ignore[method-assign] # a spy
    run(stub, tweets, chunk_rows=1)
    assert threads
    assert "ahead" not in threads


def test_a_model_that_is_not_proven_fails_for_all(
    stub: StubClassifier, tweets: Path, tmp_path: Path
) -> None:
    """The error comes out once, and stands in the report of each file."""
    later = tmp_path / "later.csv"
    later.write_text(CSV, "utf-8")

    def prove(first: pl.Series | None = None, on_share: OnShare = lambda _: None) -> StubClassifier:
        stub.proven_with.append(first)
        raise GateFailed("answers differ")

    stub.prove = prove  # type: ignore[method-assign] # fails
    with pytest.raises(GateFailed):
        run(stub, tweets, later)
    assert proven_with(stub) == [["good+", "bad-", "meh"]]
    for path in (tweets, later):
        failed = path.parent / f".tweetscore/{path.stem}.scored.csv.run.failed.json"
        report = json.loads(failed.read_text())
        assert report["exit_code"] == 76


def test_a_run_that_may_know_answers_proves_its_model_alone(
    stub: StubClassifier, tweets: Path
) -> None:
    """With --id-column an earlier output may have them all."""
    run(stub, tweets, id_column="id")
    assert proven_with(stub) == [None]


def test_a_run_that_must_be_taken_up_scores_nothing_before(
    stub: StubClassifier, tweets: Path
) -> None:
    """With nothing to resume it ends before it reads a window."""
    (outcome,) = run(stub, tweets, resume="require")
    assert isinstance(outcome.error, NotResumable)
    assert proven_with(stub) == [None]


def test_a_window_larger_than_usual_is_not_read_before(stub: StubClassifier, tweets: Path) -> None:
    """An error of the model would be reported late; on a GPU all windows are larger."""
    run(stub, tweets, chunk_rows=CPU_WINDOW + 1)
    stub.runtime = replace(stub.runtime, device="cuda")
    run(stub, tweets, incremental=False)
    assert proven_with(stub) == [None, None]


@pytest.mark.parametrize(("allowed", "first"), [(0, None), (1, ["good+", "meh"])])
def test_a_window_with_too_many_rejects_is_not_scored(
    stub: StubClassifier, tweets: Path, allowed: int, first: list[str] | None
) -> None:
    """The run ends there: what is in the window need not be known."""
    tweets.write_text(BROKEN, "utf-8")
    (outcome,) = run(stub, tweets, max_rejects=allowed)
    assert (outcome.error is None) == bool(allowed)
    assert proven_with(stub) == [first]
    assert stub.windows == ([2] if allowed else [])


def test_an_input_without_rows_proves_its_model_all_the_same(
    stub: StubClassifier, tweets: Path
) -> None:
    """Its report names the runtime that would have scored it."""
    tweets.write_text("id,text\n", "utf-8")
    (outcome,) = run(stub, tweets)
    assert proven_with(stub) == [None]
    assert report_json(outcome)["canary"]["texts"] == 256


def test_a_new_runs_proof_counts_as_scoring(
    stub: StubClassifier, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The total begins when the model is loaded; a proof without a window is part of loading."""
    now = [0.0]
    monkeypatch.setattr(run_report, "time", SimpleNamespace(monotonic=lambda: now[0]))
    proof = stub.prove

    def prove(first: pl.Series | None = None, on_share: OnShare = lambda _: None) -> StubClassifier:
        now[0] += 100
        return proof(first, on_share)

    stub.prove = prove  # type: ignore[method-assign] # takes its time
    (fresh,) = run(stub, tweets)
    (known,) = run(stub, tweets, id_column="id", incremental=False)
    figures = [report_json(each)["seconds"] for each in (fresh, known)]
    assert [(each["load"], each["score"], each["total"]) for each in figures] == [
        (0, 100, 100),
        (100, 0, 0),
    ]


def test_a_first_window_that_cannot_be_read_leaves_no_state(
    stub: StubClassifier, tweets: Path
) -> None:
    """It is met before the model has proven itself, and there is nothing to be tidied up."""
    broken = tweets.with_name("tweets.csv.gz")
    broken.write_bytes(gzip.compress(CSV.encode() * 9_000)[:-100])
    (outcome,) = run(stub, broken)
    assert isinstance(outcome.error, DataError)
    assert proven_with(stub) == []
    assert not list(broken.parent.glob(".tweetscore/*.state"))


def test_a_state_that_cannot_be_opened_ends_the_reading(
    stub: StubClassifier, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that is one window ahead stops with the run."""

    def full(*_: Any) -> None:
        raise StorageError("the disk is full", "free some space")

    monkeypatch.setattr(state, "replace_json", full)
    (outcome,) = run(stub, tweets, chunk_rows=1)
    assert isinstance(outcome.error, StorageError)
    assert proven_with(stub) == [["good+"]]
    assert "ahead" not in {thread.name for thread in threading.enumerate()}
