"""One scorer in several threads and several processes."""

import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import polars as pl
import pytest

from scorer import InvalidBundle, Scorer
from scorer.inference import bundle

TEXTS = ["I love this song", None, "stuck again", "see you at the station", "the word"]


@pytest.fixture
def moving(tiny_bert_bundle: Path, tmp_path: Path) -> Path:
    """Return a bundle that a test may change."""
    return Path(shutil.copytree(tiny_bert_bundle, tmp_path / "bundle"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Return a list into which goes every bundle that is opened."""
    seen: list[Path | None] = []
    real = bundle.open_bundle

    def noting(path: Path | None = None) -> bundle.Bundle:
        seen.append(path)
        return real(path)

    monkeypatch.setattr(bundle, "open_bundle", noting)
    return seen


def test_a_pickled_scorer_opens_when_it_is_needed(moving: Path, opened: list[Path | None]) -> None:
    """A pickle holds arguments and a digest; the first call reads the bundle, the others do not."""
    original = Scorer(moving, device="builtin", labels=("a", "b", "c"))
    pickled = pickle.dumps(original)
    opened.clear()
    copy: Scorer = pickle.loads(pickled)  # noqa: S301 - made in the line above
    assert len(pickled) < 1000
    assert copy.labels == ("a", "b", "c")
    assert opened == []
    assert copy.score(TEXTS).equals(original.score(TEXTS))
    assert copy.score(TEXTS).equals(original.score(TEXTS))
    assert opened == [moving]


def test_a_pickle_knows_its_bundle_wherever_it_is_read(
    moving: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A path that was relative means the same directory from another one."""
    monkeypatch.chdir(moving.parent)
    pickled = pickle.dumps(Scorer(moving.name, device="builtin"))
    monkeypatch.chdir(tmp_path.parent)
    copy: Scorer = pickle.loads(pickled)  # noqa: S301 - made by this test
    assert copy.score(TEXTS).height == len(TEXTS)


def test_another_bundle_in_its_place_is_refused(moving: Path) -> None:
    """A scorer that was pickled with one model never answers with another."""
    pickled = pickle.dumps(Scorer(moving, device="builtin"))
    metadata = moving / "tweetscore.json"
    metadata.write_text(json.dumps(json.loads(metadata.read_text()) | {"version": "2"}))
    copy: Scorer = pickle.loads(pickled)  # noqa: S301 - made by this test
    with pytest.raises(InvalidBundle) as caught:
        copy.score(TEXTS)
    problem = str(caught.value)
    assert f"{moving} is {json.loads(metadata.read_text())['name']} 2 (" in problem
    assert "not the bundle that this scorer was made with (" in problem
    assert problem.endswith(
        "; put the same bundle and the same release of tweetscore on every machine"
    )


def test_a_bundle_that_is_gone_is_named(moving: Path) -> None:
    """A machine without the bundle says so at the first call."""
    pickled = pickle.dumps(Scorer(moving, device="builtin"))
    shutil.rmtree(moving)
    copy: Scorer = pickle.loads(pickled)  # noqa: S301 - made by this test
    with pytest.raises(InvalidBundle, match=f"{moving} is not a model bundle"):
        copy.score(TEXTS)


def test_another_process_gives_the_same_answers(tiny: Scorer) -> None:
    """A bound method goes to spawned processes, each of which opens the model for itself."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        frames = list(pool.map(tiny.score, [TEXTS, TEXTS[::-1]]))
    assert frames[0].equals(tiny.score(TEXTS))
    assert frames[1].equals(tiny.score(TEXTS[::-1]))


def test_a_forked_process_is_refused_at_once(tiny_bert_bundle: Path) -> None:
    """Instead of waiting for ever for its parent's threads it says how to start processes."""
    program = f"""
import os, pickle
from scorer import Scorer, UsageError

scorer = Scorer({str(tiny_bert_bundle)!r}, device="builtin")
copy = pickle.loads(pickle.dumps(scorer))
attempts = [
    lambda: scorer.score(["hello"]),
    lambda: copy.score(["hello"]),
    lambda: Scorer({str(tiny_bert_bundle)!r}, device="builtin"),
]
child = os.fork()
if not child:
    for attempt in attempts:
        try:
            attempt()
        except UsageError as error:
            print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(scorer.score(["hello"]).height)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    refused = (
        "this process was forked from one that had opened a model, whose threads it lacks; "
        "start processes with spawn or forkserver, or open a model only in each of them"
    )
    assert done.stdout.splitlines() == [refused] * 3 + ["1"]


def test_a_forked_process_may_open_the_first_model(tiny_bert_bundle: Path) -> None:
    """A parent that only carries a pickle leaves the model to its children."""
    program = """
import os, pickle, sys
pickled = sys.stdin.buffer.read()
child = os.fork()
if not child:
    print(pickle.loads(pickled).score(["hello"]).height, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    pickled = pickle.dumps(Scorer(tiny_bert_bundle, device="builtin"))
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickled, capture_output=True, check=True, timeout=120
    )
    assert done.stdout == b"1\n"


def test_threads_may_share_a_scorer(
    tiny_bert_bundle: Path, tiny: Scorer, opened: list[Path | None]
) -> None:
    """Threads at once open an unpickled scorer once, and each gets its own texts' answers."""
    texts = [
        [f"{word} {number}" for number in range(50)] for word in "the a i you love this".split()
    ]
    shared: Scorer = pickle.loads(pickle.dumps(tiny))  # noqa: S301 - made in this line
    together = Barrier(len(texts))

    def score(mine: list[str]) -> pl.DataFrame:
        together.wait(60)
        return shared.score(mine)

    with ThreadPoolExecutor(len(texts)) as pool:
        frames = list(pool.map(score, texts))
    assert opened == [tiny_bert_bundle]
    assert all(frame.equals(tiny.score(mine)) for frame, mine in zip(frames, texts, strict=True))
