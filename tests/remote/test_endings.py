"""Runs that end badly, on a real server: killed, interrupted, cut off, with a full disk."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import obstore
import pytest
from obstore import exceptions

from scorer.errors import OutputRefused, StorageError
from scorer.remote import objects, work_dir
from scorer.remote.urls import Url
from scorer.store import commit
from tests.remote.conftest import Bucket, run, scored

ROOT = Path(__file__).parents[2]
CSV = b"id,text\n1,good\n2,bad\n"
# argv: where to die. Nothing after that point happens.
PROGRAM = """
import os, sys
from scorer.run import pipeline
from scorer.remote import work_dir
from scorer.remote.remote_run import Remote
from scorer.remote.urls import parse_url
from scorer.options import RunOptions
from tests.handles import handle_of
from tests.stubs import StubClassifier

place, name = {
    "fetched": (pipeline, "run"),
    "before the upload": (work_dir.Delivery, "send"),
    "before the report": (work_dir.Delivery, "send_rejects"),
    "before tidying up": (work_dir.WorkDir, "clear"),
}[sys.argv[1]]
setattr(place, name, lambda *_, **__: os.kill(os.getpid(), 9))
inputs = (parse_url("s3://lake/in/a.csv"),)
remote = Remote(inputs, parse_url("s3://lake/out/"))
list(remote.run(RunOptions.of(()), model=handle_of(StubClassifier())))
"""
NOTHING: list[str] = []
OUTPUT = ["out/a.scored.csv"]
REPORT = "out/.tweetscore/a.scored.csv.run.json"
BOTH = [REPORT, *OUTPUT]


@pytest.mark.parametrize(
    ("where", "left", "night"),
    [
        ("fetched", NOTHING, "same input"),
        ("fetched", NOTHING, "new input"),
        ("before the upload", NOTHING, "same input"),
        ("before the upload", NOTHING, "new input"),
        ("before the report", OUTPUT, "same input"),
        ("before the report", OUTPUT, "new input"),
        ("before the report", OUTPUT, "another box"),
        ("before tidying up", BOTH, "same input"),
        ("before tidying up", BOTH, "new input"),
    ],
)
def test_a_killed_run_never_stops_the_next_one(
    stub: Any, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    where: str, left: list[str], night: str,
) -> None:  # fmt: skip
    """Wherever it was killed, on the same box or another, with the same input or tomorrow's."""
    bucket.put("in/a.csv", CSV)
    command = [sys.executable, "-c", PROGRAM, where]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
    assert bucket.names("out/") == left
    if night == "new input":
        bucket.put("in/a.csv", CSV + b"3,new\n")
    if night == "another box":
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert outcome.error is None
    report = json.loads(bucket.get(REPORT))
    content = bucket.get("out/a.scored.csv")
    assert report["output"]["size"] == len(content)
    assert content.count(b"\n") == (4 if night == "new input" else 3)
    assert bucket.names("out/") == BOTH


def test_what_was_fetched_and_scored_is_not_done_again(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery that failed is repeated from what is there."""
    bucket.put("in/a.csv", CSV)

    def fail(*_: Any) -> None:
        raise StorageError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(objects.ObjectStore, "upload", fail)
        (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert str(outcome.error) == "the line is cut"
    bucket.asked.clear()
    assert len(scored(run(stub, "s3://lake/in/a.csv", output="s3://lake/out/"))) == 1
    assert len(stub.windows) == 1
    assert "/lake/in/a.csv" not in bucket.fetched()


@pytest.mark.parametrize("step", ["write", "delete"])
def test_what_fails_after_the_upload_is_a_warning(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The object is there: the report that could not follow it does so the next time."""
    bucket.put("in/a.csv", CSV)
    bucket.put("out/.tweetscore/a.scored.csv.run.failed.json", b"{}")

    def fail(*_: Any) -> None:
        raise StorageError("the line is cut")

    with monkeypatch.context() as patch:
        patch.setattr(objects.ObjectStore, step, fail)
        (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert outcome.error is None
    (warning,) = outcome.warnings
    assert warning == (
        "s3://lake/out/a.scored.csv is complete, but not all is tidy (the line is cut); "
        "the next run sees to it"
    )
    assert bucket.get("out/a.scored.csv").count(b"\n") == 3
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/", incremental=False)
    assert (outcome.error, outcome.warnings) == (None, ())
    assert bucket.names("out/") == BOTH
    assert json.loads(bucket.get(REPORT))["output"]["size"] > len(CSV)


def test_a_work_directory_of_another_user_is_not_used(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it holds would be scored, and believed."""
    bucket.put("in/a.csv", CSV)
    assert len(scored(run(stub, "s3://lake/in/a.csv", output="s3://lake/out/"))) == 1
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/", incremental=False)
    assert isinstance(outcome.error, OutputRefused)
    assert f"belongs to another user (uid {os.getuid()}), and holds the work on" in str(
        outcome.error
    )
    assert outcome.error.remedy == "name a directory of your own with --work-dir"


def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file of three parts."""
    monkeypatch.setattr(objects, "_ONE_REQUEST", 0)
    monkeypatch.setattr(objects, "_PART", 5 << 20)
    path = tmp_path / "large"
    path.write_bytes(os.urandom(12 << 20))
    return path


def test_a_large_file_is_sent_in_parts(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives is the file, with its mark; what is there already is replaced."""
    path = large(tmp_path, monkeypatch)
    store, url = objects.ObjectStore(Url("s3", "lake", "")), Url("s3", "lake", "large")
    store.upload(path, url, "a" * 64, None)
    there = store.head(url)
    assert there is not None
    assert (there.size, there.sha256) == (12 << 20, "a" * 64)
    store.upload(path, url, "b" * 64, there)
    fetched = tmp_path / "fetched"
    there = store.head(url)
    assert there is not None
    store.fetch(there, fetched)
    assert fetched.read_bytes() == path.read_bytes()
    assert bucket.pending() == []


@pytest.mark.parametrize("end", ["signal", "disk"])
def test_an_upload_that_does_not_end_leaves_nothing(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """No object and no parts that somebody pays for: neither after a signal nor after an error."""
    path = large(tmp_path, monkeypatch)
    real = objects._blocks

    def broken(*arguments: Any) -> Iterator[bytes]:
        blocks = real(*arguments)
        yield next(blocks)
        yield next(blocks)
        if end == "disk":
            raise OSError(5, "Input/output error")
        os.kill(os.getpid(), signal.SIGINT)
        arguments[2].wait()  # until the main thread has cancelled it
        yield from blocks

    monkeypatch.setattr(objects, "_blocks", broken)
    store, url = objects.ObjectStore(Url("s3", "lake", "")), Url("s3", "lake", "large")
    with pytest.raises(KeyboardInterrupt if end == "signal" else (OSError, StorageError)):
        store.upload(path, url, "a" * 64, None)
    assert ("POST", "/lake/large?uploads=") in bucket.asked
    assert bucket.names() == []
    assert bucket.pending() == []


def test_a_signal_ends_the_wait_for_a_server_that_does_not_answer(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the library's call to end."""
    never = Event()

    def silence(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        never.wait()

    store = objects.ObjectStore(Url("s3", "lake", ""))
    monkeypatch.setattr(obstore, "get", silence)
    with pytest.raises(KeyboardInterrupt):
        store.head(Url("s3", "lake", "x"))
    never.set()


def test_a_full_disk_here_is_said_to_be_here(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the file of this box, not the object."""
    bucket.put("in/a.csv", CSV)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(work_dir, "commit", full)
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert isinstance(outcome.error, StorageError)
    assert "cache/tweetscore/" in str(outcome.error)
    assert str(outcome.error).endswith("no space left on device; free some space and run again")
    monkeypatch.setattr(work_dir, "commit", commit.commit)
    assert len(scored(run(stub, "s3://lake/in/a.csv", output="s3://lake/out/"))) == 1


def test_credentials_that_may_not_write_are_a_refused_output(
    stub: Any, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told before anything is fetched where the store says so at once, and never a traceback."""
    bucket.put("in/a.csv", CSV)

    def denied(*_: Any, **__: Any) -> None:
        raise exceptions.PermissionDeniedError(
            "... status code: 403 Forbidden: <Code>AccessDenied</Code>"
        )

    monkeypatch.setattr(obstore, "put", denied)
    (outcome,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert isinstance(outcome.error, OutputRefused)
    assert str(outcome.error).startswith(
        "s3://lake/out/a.scored.csv cannot be written: AccessDenied; "
    )


def test_two_runs_of_one_output_do_not_meet(stub: Any, bucket: Bucket) -> None:
    """On one box the second exits 75; it leaves no report of a failure."""
    bucket.put("in/a.csv", CSV)
    inner: list[Any] = []
    stub.before_scoring = lambda: inner.extend(
        run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    )
    (outer,) = run(stub, "s3://lake/in/a.csv", output="s3://lake/out/")
    assert outer.error is None
    assert str(inner[0].error) == (
        "another run is writing s3://lake/out/a.scored.csv; wait with --lock-wait 3600"
    )
    assert bucket.names("out/") == [REPORT, "out/a.scored.csv"]
