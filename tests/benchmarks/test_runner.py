"""A cell is one process, measured from outside and compared with the reference."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import runner
from benchmarks.cells import MINILM, Cell, Contender
from benchmarks.peers.common import softmax
from benchmarks.stub_peer import logits

TEXTS = ["one", "three", "eleven", "four"]


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    facts = {"labels": ["a", "b", "c"], "temperature": 1.5}
    (tmp_path / "model.json").write_text(json.dumps(facts))
    pl.DataFrame({"text": TEXTS}).write_parquet(tmp_path / f"normalised-{len(TEXTS)}.parquet")
    expected = softmax(logits(TEXTS))
    expected[3] = expected[3][[1, 2, 0]]  # as if the stub got the last one wrong
    lengths = np.full(len(TEXTS), 4)
    np.savez(tmp_path / f"reference-{len(TEXTS)}.npz", probabilities=expected, lengths=lengths)
    return tmp_path


def cell() -> Cell:
    stub = Contender("stub", "a stub", "stub_peer", "fp32")
    return Cell(MINILM, stub, len(TEXTS), 1)


def test_a_peer_is_measured_and_compared(prepared: Path) -> None:
    """Seconds, memory, padding, and how far its answers are from the reference."""
    record = runner.measure(cell(), prepared, {})
    assert record["seconds"] > record["phases"]["infer"] >= 0
    # No upper bound: it is also the peak of this process, which has run other tests.
    assert record["peak_bytes"] > 1 << 20
    assert (record["rows"], record["tokens"], record["padded"]) == (4, 16, 20)
    assert record["agreement"] == 0.75
    served = np.exp(1 / 1.5) / (np.exp(1 / 1.5) + 2)  # at the temperature of the bundle
    assert record["max_difference"] == pytest.approx(served - (1 - served) / 2, abs=1e-6)


def test_a_peer_that_fails_is_a_record_with_the_reason(prepared: Path) -> None:
    """The others still get their turn."""
    reason = {"error": "exit code 1: the stub was told to fail"}
    assert runner.measure(cell(), prepared, {"fails": 1}) == reason
    assert "has no attribute 'load'" in runner.tune(cell(), prepared)["error"]


def test_a_process_gets_its_share_of_cpus_and_says_so() -> None:
    """One CPU, one thread in every library, and this process has its CPUs back."""
    before = os.sched_getaffinity(0)
    asked = "import os; print(len(os.sched_getaffinity(0)), os.environ['OMP_NUM_THREADS'])"
    assert runner.run([sys.executable, "-c", asked], 1).said == "1 1\n"
    assert os.sched_getaffinity(0) == before


def test_the_runner_itself_stays_small() -> None:
    """Its peak would be taken for its children's."""
    asked = (
        "import sys, benchmarks.__main__;"
        "print(sorted({'numpy', 'polars', 'pyarrow', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    assert runner.run([sys.executable, "-c", asked], 1).said == "[]\n"


def test_an_interrupt_leaves_no_process_behind(tmp_path: Path) -> None:
    """Nor a timer that keeps this one alive."""
    alive = tmp_path / "alive"
    child = f"import os, signal; open({str(alive)!r}, 'w').write(str(os.getpid())); signal.pause()"
    parent = f"from benchmarks import runner; runner.run([{sys.executable!r}, '-c', {child!r}], 1)"
    process = subprocess.Popen(
        [sys.executable, "-c", parent], cwd=runner.ROOT, stderr=subprocess.PIPE
    )
    while not (alive.exists() and alive.read_text()):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode != 0
    assert said.strip().endswith(b"KeyboardInterrupt")
    with pytest.raises(ProcessLookupError):
        os.kill(int(alive.read_text()), 0)
