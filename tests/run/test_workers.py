"""Whole runs over several worker processes: one journal, one output, whatever dies."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import DeviceUnavailable
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.loading import Candidate
from scorer.inference.preparation import Preparation
from scorer.inference.runtime import Choice, host
from scorer.inference.session import RuntimeInfo, Session
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.records import Progress
from scorer.run import pipeline
from tests.handles import handle_of
from tests.inference.worker_openers import builtin
from tests.reports import report_json
from tests.run.worker_run import open_workers

ROOT = Path(__file__).parents[2]
CHUNK = 500


class OpenedModel:
    """A model on a session that the test has chosen."""

    def __init__(self, bundle: Bundle, session: Session) -> None:
        self.bundle = bundle
        self._session = session

    def load(self) -> Candidate:
        """Return the session, not proven yet."""
        choice = Choice("cuda", "fp16", "workers stand in for GPUs")
        return Candidate(self.bundle, (choice,), lambda _: self._session, Preparation(self.bundle))


@pytest.fixture(scope="module")
def bundle(tiny_bert_bundle: Path) -> Bundle:
    return open_bundle(tiny_bert_bundle)


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    """Write four windows of texts of many lengths, some of them blank or equal."""
    path = tmp_path / "tweets.csv"
    rows = [f"{n},{'i love this ' * (n % 7)}{n % 900 if n % 11 else ''}" for n in range(4 * CHUNK)]
    path.write_text("\n".join(["id,text", *rows, ""]))
    return path


@pytest.fixture(autouse=True)
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a worker of `stopping` writes its number before it hangs, once the pipe is laid."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    place = tmp_path / "pipe"
    monkeypatch.setenv("TEST_PIPE", str(place))
    return place


def run(path: Path, bundle: Bundle, session: Session, **how: Any) -> Outcome:
    options = RunOptions.of((path,), chunk_rows=CHUNK, scores="all")
    model = OpenedModel(bundle, session)
    (outcome,) = pipeline.run(options, model=handle_of(model), **how)
    return outcome


def output_of(path: Path) -> bytes:
    return path.with_name("tweets.scored.csv").read_bytes()


@pytest.fixture
def expected(tweets: Path, bundle: Bundle) -> bytes:
    """Return what one session in one process makes of the tweets."""
    info = RuntimeInfo(host.PROVIDER, "builtin", "fp32", "avx2", 1, "a test")
    assert run(tweets, bundle, builtin(bundle, info, 0)).error is None
    content = output_of(tweets)
    for product in tweets.parent.glob("tweets.scored*"):
        product.unlink()
    return content


@pytest.mark.parametrize(("opener", "workers"), [("builtin", 3), ("bound", 2)])
def test_an_output_of_several_workers_is_that_of_one_session(
    tweets: Path, bundle: Bundle, expected: bytes, opener: str, workers: int
) -> None:
    """Byte for byte, however the batches fell to the workers; the report says how many ran."""
    outcome = run(tweets, bundle, open_workers(bundle, opener, workers))
    assert output_of(tweets) == expected
    assert report_json(outcome)["runtime"]["devices"] == workers


def test_a_run_with_little_memory_says_so(tweets: Path, bundle: Bundle, expected: bytes) -> None:
    """Batches are halved, rows come out the same, and there is one warning."""
    outcome = run(tweets, bundle, open_workers(bundle, "with_little_memory", 2))
    assert output_of(tweets) == expected
    (warning,) = outcome.warnings
    assert warning.startswith("the GPU's memory ran out: batches are now of at most")
    assert report_json(outcome)["warnings"] == [warning]


def test_a_run_whose_worker_is_killed_is_finished_by_the_next(
    tweets: Path, bundle: Bundle, expected: bytes, pipe: Path
) -> None:
    """Exit code 69 with the device's name; the rerun takes up what was scored before."""
    rows: list[int] = []

    def after_two_windows(progress: Progress) -> None:
        rows.append(progress.rows)
        if progress.rows and sum(rows) == 2 * CHUNK:
            os.mkfifo(pipe)
            threading.Thread(target=kill_the_first).start()

    def kill_the_first() -> None:
        with pipe.open() as numbers:
            os.kill(int(numbers.readline()), signal.SIGKILL)

    failed = run(tweets, bundle, open_workers(bundle, "stopping", 2), progress=after_two_windows)
    assert isinstance(failed.error, DeviceUnavailable)
    assert failed.error.exit_code == 69
    assert "the process for GPU" in str(failed.error)
    pipe.unlink()
    again = run(tweets, bundle, open_workers(bundle, "stopping", 3))
    assert output_of(tweets) == expected
    assert report_json(again)["resumed"]["windows"] == 2


class Command:
    """A run in a process of its own, whose workers all hang in the first window."""

    def __init__(self, tweets: Path, bundle: Bundle, pipe: Path) -> None:
        os.mkfifo(pipe)
        program = [sys.executable, "-m", "tests.run.worker_run", "stopping", "2"]
        self.process = subprocess.Popen(
            [*program, "run", str(tweets), "--model", str(bundle.directory), "-q"],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.workers: list[int] = []
        while len(self.workers) < 2:
            self.workers += map(int, pipe.read_text().split())
        self.ends = [os.pidfd_open(pid) for pid in self.workers]

    def wait_for_workers(self) -> None:
        """Wait until they are gone: a process's descriptor is readable when it has ended."""
        for descriptor in self.ends:
            select.select([descriptor], [], [])


@pytest.fixture
def command(tweets: Path, bundle: Bundle, pipe: Path) -> Iterator[Command]:
    started = Command(tweets, bundle, pipe)
    yield started
    started.process.kill()
    with started.process:
        pass  # reaped, and its pipe closed
    for descriptor in started.ends:
        os.close(descriptor)


def test_workers_end_with_a_run_that_is_killed(command: Command) -> None:
    """SIGKILL of the run, with every worker in the middle of a batch, leaves no process."""
    command.process.kill()
    command.wait_for_workers()


def test_a_signal_for_the_whole_service_ends_it_in_order(command: Command, tweets: Path) -> None:
    """SIGTERM to the run and to its workers, as a service manager sends it, is an exit by 143."""
    for pid in (*command.workers, command.process.pid):
        os.kill(pid, signal.SIGTERM)
    command.wait_for_workers()
    _, said = command.process.communicate()
    assert command.process.returncode == 143
    assert "process for GPU" not in said
    report = json.loads(
        (tweets.parent / ".tweetscore/tweets.scored.csv.run.failed.json").read_text()
    )
    assert report["exit_code"] == 143
