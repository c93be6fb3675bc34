"""The CUDA path on a real GPU: `make check-gpu` runs this file and prints what it finds.

The other tests run every line of that path bound to the CPU; what only a GPU can show is
here: that its arithmetic passes the gate, how far a score depends on the batch around it, that
full memory is noticed, that several GPUs give the same bits, and how fast it is. The figures that
it prints are what the budget and the number of lanes in `cuda.py` are to be chosen by.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl
import pytest
from msgspec import structs
from numpy.typing import NDArray

from scorer.inference.bundle import open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.gate import MIN_LABEL_AGREEMENT, compare
from scorer.inference.runtime import cuda
from scorer.inference.runtime.cuda import PROVIDER, BoundSession, Buffers, open_gpu
from scorer.inference.runtime.gpu_pool import PoolSession
from scorer.inference.runtime.machine import inspect, same_model
from scorer.inference.session import HalvingSession, Session
from tests.handles import open_classifier

pytestmark = pytest.mark.gpu

SAMPLES = Path(__file__).parents[2] / "samples"
# The promise where a provider was not measured: a score moves by less than this with its
# neighbours, and a label only where the two best are closer than that.
MOST_MOVED, CLOSE_CALL = 2e-3, 4e-3
MOST_MOVED_LOGIT = 4e-2
ROWS = 200_000


@pytest.fixture(scope="module", params=["fp32", "fp16"])
def classifier(request: pytest.FixtureRequest) -> Classifier:
    """Open the embedded bundle on the GPU, which passes the gate or fails the test."""
    opened = open_classifier(open_bundle(), device="cuda", precision=request.param)
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
    """A box that loses its GPU and goes on with --device cpu gives the same labels."""
    on_cpu = open_classifier(classifier.bundle, device="cpu", precision="fp32")
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


def batch(tokens: int, length: int = 20) -> NDArray[np.int64]:
    """Return ids of any tokens, as many as fit in a budget."""
    rows = tokens // length
    return np.random.default_rng(0).integers(1000, 20_000, size=(rows, length), dtype=np.int64)


def bound(classifier: Classifier, capacity: int, memory: int) -> BoundSession:
    """Open the first GPU with buffers for `capacity` tokens and `memory` bytes for the model."""
    bundle, info = classifier.bundle, classifier.runtime
    providers = [
        (PROVIDER, cuda.provider_options(info.precision, 0, memory)),
        "CPUExecutionProvider",
    ]
    buffers = Buffers("cuda", 0, capacity, len(bundle.labels))
    session = BoundSession(bundle.graph(info.precision), info, providers, buffers)
    session.token_budget = capacity
    return session


def seconds(session: Session, ids: NDArray[np.int64], callers: int, times: int = 24) -> float:
    """Return the seconds per batch of so many callers, after a first one each."""
    with ThreadPoolExecutor(callers) as threads:
        list(threads.map(session.run, [ids] * callers))
        started = time.perf_counter()
        list(threads.map(session.run, [ids] * times))
    return (time.perf_counter() - started) / times


def test_every_gpu_of_the_first_ones_model_takes_part(
    classifier: Classifier, show: list[str]
) -> None:
    """All of them are counted, and each alone gives bitwise the answers of the first one."""
    used = same_model(inspect().gpus)
    show.append(f"GPUs that share a run: {used}")
    assert classifier.runtime.devices == len(used)
    ids = batch(cuda.TOKEN_BUDGET)
    first, *others = (open_gpu(classifier.bundle, classifier.runtime, n).run(ids) for n in used)
    assert all(other.tobytes() == first.tobytes() for other in others)


def test_a_batch_that_the_gpu_cannot_hold_is_halved(
    classifier: Classifier, show: list[str]
) -> None:
    """With a small limit on its memory the GPU answers in smaller batches, with a warning."""
    ids = batch(4 * cuda.TOKEN_BUDGET)
    roomy = bound(classifier, ids.size, 16 * 2**30).run(ids)
    session = HalvingSession(bound(classifier, ids.size, 512 * 2**20))
    assert np.abs(session.run(ids) - roomy).max() <= MOST_MOVED_LOGIT
    show.extend(session.warnings)
    assert session.token_budget < ids.size


@pytest.mark.parametrize("tokens", [4096, 8192, 16_384, 32_768, 65_536, 131_072])
def test_budgets_and_lanes(classifier: Classifier, show: list[str], tokens: int) -> None:
    """Tokens per second by budget with one caller and with two; figures, not claims."""
    ids = batch(tokens)
    session = bound(classifier, tokens, 16 * 2**30)
    one, two = (seconds(session, ids, callers) for callers in (1, 2))
    show.append(
        f"{classifier.runtime.precision}, {tokens:,} tokens: {one * 1e3:.2f} ms a batch, "
        f"{ids.size / one:,.0f} tokens/s with one caller, {ids.size / two:,.0f} with two"
    )
    assert min(one, two) > 0


def test_what_crosses_to_the_gpu(show: list[str]) -> None:
    """Milliseconds for a lane's whole buffer, in the ids' 64 bits and in 32; figures."""
    for kind in (np.int64, np.int32):
        host = np.zeros(cuda.TOKEN_BUDGET, dtype=kind)
        there = onnxruntime.OrtValue.ortvalue_from_numpy(host, "cuda", 0)
        started = time.perf_counter()
        for _ in range(100):
            there.update_inplace(host)
        took = (time.perf_counter() - started) / 100
        show.append(f"{host.nbytes:,} bytes to the GPU: {took * 1e3:.3f} ms")
        assert (there.numpy() == host).all()


def test_what_the_worker_processes_cost(classifier: Classifier, show: list[str]) -> None:
    """Milliseconds per batch through a worker, and in this process; figures."""
    info = structs.replace(classifier.runtime, devices=1)
    ids = batch(cuda.TOKEN_BUDGET)
    alone = open_gpu(classifier.bundle, info, 0)
    within = seconds(alone, ids, alone.callers)
    expected = alone.run(ids)
    pool = PoolSession(classifier.bundle, info, open_gpu, {0: "GPU 0"})
    through = seconds(pool, ids, pool.callers)
    show.append(f"a full batch: {within * 1e3:.2f} ms here, {through * 1e3:.2f} ms by a worker")
    assert pool.run(ids).tobytes() == expected.tobytes()
