import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import cast

import polars as pl
import pyarrow as pa
import pytest

from scorer import DataError, InvalidBundle, Scorer, UsageError
from scorer.engines import Options, Task, scorer_here

TEXTS = ["I love this song", None, "stuck again", "see you at the station"]


@pytest.fixture
def task(tiny_bert_bundle: Path) -> Task:
    return Task.of("text", {"model": tiny_bert_bundle, "device": "builtin", "all_scores": True})


def test_a_task_is_small(task: Task) -> None:
    """What goes to every process is its arguments, not the model."""
    assert len(pickle.dumps(task)) < 1000
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301 - made in this line


def test_a_process_has_one_scorer(task: Task) -> None:
    """Whoever asks again, even with a task that was sent again, gets the one that is open."""
    again: Task = pickle.loads(pickle.dumps(task))  # noqa: S301 - made in this line
    assert scorer_here(again.config, 1) is scorer_here(task.config, 1)


def test_a_task_scores_as_a_scorer_does(task: Task, tiny_bert_bundle: Path) -> None:
    """The options that were given on the way in are those of `score_batches`."""
    [scored] = task.score_batches([pa.record_batch({"text": TEXTS})], threads=1)
    expected = Scorer(tiny_bert_bundle, device="builtin").score(TEXTS, all_scores=True)
    assert tuple(scored.schema.names[1:]) == task.columns.names
    assert pl.DataFrame(pl.from_arrow(scored)).equals(expected)


def test_a_process_keeps_to_what_it_was_granted(task: Task) -> None:
    """The pools of the libraries and the session have as many threads as the engine gives."""
    program = """
import json, os, pickle, sys
task = pickle.load(sys.stdin.buffer)
loaded = sorted({"numpy", "polars", "pyarrow", "onnxruntime"} & sys.modules.keys())
from scorer.engines import scorer_here
scorer = scorer_here(task.config, 1)
scorer.score(["hello"])
import polars
pools = [os.environ[name] for name in ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS")]
print(json.dumps([loaded, polars.thread_pool_size(), pools, scorer._classifier.runtime.threads]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(task), capture_output=True, check=True
    )
    assert json.loads(done.stdout) == [[], 1, ["1", "1"], 1]


@pytest.mark.parametrize("module", ["engines", "engines.spark", "engines.daft"])
def test_an_adapter_loads_neither_its_engine_nor_the_model(module: str) -> None:
    """A worker that unpickles a task has loaded nothing whose threads could be too many."""
    program = f"import sys, scorer.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    heavy = {b"numpy", b"polars", b"pyarrow", b"onnxruntime", b"tokenizers", b"pyspark", b"daft"}
    assert heavy & set(done.stdout.split()) == set()


def test_what_cannot_work_is_refused_where_it_is_planned(task: Task, tmp_path: Path) -> None:
    """A missing bundle, wrong names and columns that do not fit never reach a worker."""
    with pytest.raises(InvalidBundle, match="is not a model bundle"):
        Task.of("text", {"model": tmp_path / "none"})
    with pytest.raises(UsageError, match="2 label names for 3 labels"):
        Task.of("text", {"labels": ("a", "b")})
    for options in ({"label": "es"}, {"label_column": 3}, {"all_scores": "yes"}, {"labels": "fr"}):
        with pytest.raises(UsageError):
            Task.of("text", cast(Options, options))
    with pytest.raises(UsageError, match="text_column is None, not a string"):
        Task.of(None, {})  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"the frame has no column .* text_column='tweet'"):
        task.check(["tweet"])
    with pytest.raises(UsageError, match="'score_neutral' exists already"):
        task.check(["text", "score_neutral"])
