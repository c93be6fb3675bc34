"""The CUDA path on a real GPU: `make check-gpu` runs this file and prints what it finds.

The other tests run every line of that path bound to the CPU; what only a GPU can show is
here: that its arithmetic passes the gate, how far a score depends on the batch around it, and
how fast it is.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scorer.inference.bundle import open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.gate import MIN_LABEL_AGREEMENT, compare
from scorer.inference.runtime.cuda import PROVIDER
from scorer.inference.runtime.machine import inspect

pytestmark = pytest.mark.gpu

SAMPLES = Path(__file__).parents[2] / "samples"
# The promise where a provider was not measured: a score moves by less than this with its
# neighbours, and a label only where the two best are closer than that.
MOST_MOVED, CLOSE_CALL = 2e-3, 4e-3
ROWS = 200_000


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    """Open the embedded bundle on the GPU, which passes the gate or fails the test."""
    opened = Classifier.open(open_bundle(), device="cuda", precision=request.param)
    assert opened.runtime.provider == PROVIDER
    return opened


@pytest.fixture
def show(capfd: pytest.CaptureFixture[str]) -> Iterator[list[str]]:
    """Print the collected lines past pytest's capture."""
    lines: list[str] = []
    yield lines
    with capfd.disabled():
        print("\n" + "\n".join(f"  {line}" for line in lines))  # noqa: T201 - a report to a person


def canary_texts(classifier: Classifier) -> pl.Series:
    return pl.Series(classifier.bundle.canary().texts)


def test_answers_are_pytorchs(classifier: Classifier, show: list[str]) -> None:
    """On the 256 canary texts the GPU's answers lie within the gate of their precision."""
    show.append(f"{inspect().gpus[0]}")
    show.append(f"{classifier.runtime}")
    show.append(f"{classifier.runtime.precision}: {classifier.canary}")
    assert classifier.canary.within_gate(classifier.runtime.precision)


def test_a_score_hardly_depends_on_its_neighbours(classifier: Classifier, show: list[str]) -> None:
    """A text scored alone and among others: equal label unless it was a close call."""
    texts = canary_texts(classifier)
    together = classifier.classify(texts)
    alone = [classifier.classify(texts[row : row + 1]) for row in range(len(texts))]
    scores = np.concatenate([one.probabilities for one in alone])
    moved = np.abs(scores - together.probabilities)
    unmoved = np.mean(moved.max(axis=1) == 0)
    show.append(
        f"{classifier.runtime.precision}: alone or in a batch: {unmoved:.1%} bitwise equal, "
        f"largest difference {moved.max():.1e}"
    )
    best_two = np.sort(together.probabilities, axis=1)[:, -2:]
    clear = best_two[:, 1] - best_two[:, 0] > CLOSE_CALL
    labels = np.concatenate([one.label_ids for one in alone])
    assert moved.max() <= MOST_MOVED
    assert (labels == together.label_ids)[clear].all()


def test_a_second_run_gives_the_same(classifier: Classifier) -> None:
    """The same texts in the same batches give the same bits."""
    texts = canary_texts(classifier)
    first, second = (classifier.classify(texts).probabilities for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_gpu_and_cpu_agree(classifier: Classifier) -> None:
    """A box that loses its GPU, and is told to go on with its CPU, gives the same labels."""
    on_cpu = Classifier.open(classifier.bundle, device="cpu", precision="fp32")
    texts = pl.read_csv(SAMPLES / "tweets.csv")["text"]
    here, there = (one.classify(texts).probabilities for one in (classifier, on_cpu))
    assert compare(here, there).label_agreement >= MIN_LABEL_AGREEMENT


def test_throughput(classifier: Classifier, show: list[str]) -> None:
    """Rows per second from texts to scores, every text different; a figure, not a claim."""
    sample = pl.read_csv(SAMPLES / "tweets.csv")["text"]
    texts = pl.concat([sample] * (ROWS // len(sample) + 1)).head(ROWS)
    numbered = texts + pl.int_range(ROWS, eager=True).cast(pl.String)
    started = time.perf_counter()
    prepared = classifier.prepare(numbered)
    ready = time.perf_counter()
    counters = classifier.score(prepared).counters
    done = time.perf_counter()
    show.append(
        f"{classifier.runtime.precision}: {ROWS:,} rows, {counters.tokens:,} tokens: prepared "
        f"{ROWS / (ready - started):,.0f} rows/s, on the GPU {ROWS / (done - ready):,.0f} rows/s"
    )
    assert counters.scored == ROWS
