"""The parts of the Ray engine that need no Ray."""

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from scorer import DataError, DeviceUnavailable, GateFailed, InvalidBundle, UsageError
from scorer.api.scorer_config import ScorerConfig
from scorer.cli import tweetscore
from scorer.engines import ray, ray_cluster
from scorer.engines.ray import Manifest
from scorer.engines.ray_cluster import (
    NO_TABLE,
    ClusterPlan,
    FileAnswer,
    FileScorer,
    Job,
    versions,
)
from scorer.installation import install
from scorer.monitor.report_types import Outcome
from scorer.options import ModelSpec, RunOptions
from scorer.run import pipeline
from scorer.store.inputs import find_inputs
from scorer.store.paths import own_directory
from scorer.threads import POOLS
from tests.engines.bundles import with_wrong_canary
from tests.handles import handle_of
from tests.stubs import StubClassifier


def node(cpus: int, gpus: int = 0, *, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": float(cpus), "GPU": float(gpus)}}


@pytest.mark.parametrize(
    ("nodes", "device", "threads", "files", "plan"),
    [
        ([node(2)], "auto", None, 100, ClusterPlan(2, 1, 0)),
        ([node(2)], "auto", 2, 100, ClusterPlan(1, 2, 0)),
        ([node(16), node(6), node(64, alive=False)], "cpu", None, 100, ClusterPlan(22, 1, 0)),
        ([node(16), node(6)], "cpu", 4, 100, ClusterPlan(5, 4, 0)),
        ([node(64)], "auto", None, 4, ClusterPlan(4, 16, 0)),
        ([node(0), node(8)], "auto", None, 1, ClusterPlan(1, 8, 0)),
        ([node(32, 8), node(64)], "auto", None, 100, ClusterPlan(8, 4, 1)),
        ([node(32, 8)], "cpu", None, 100, ClusterPlan(32, 1, 0)),
        ([node(32, 8)], "cuda", None, 3, ClusterPlan(3, 4, 1)),
    ],
)
def test_a_cluster_is_divided(
    nodes: list[dict[str, Any]], device: Any, threads: int | None, files: int, plan: ClusterPlan
) -> None:
    """An actor has a GPU, or a group of a node's CPUs; there are no more actors than files."""
    assert ClusterPlan.of(nodes, ModelSpec(None, device, threads=threads), files) == plan


@pytest.mark.parametrize(
    ("nodes", "device", "threads", "error", "message"),
    [
        ([node(8)], "cuda", None, DeviceUnavailable, "no node of the Ray cluster has a GPU"),
        ([node(0)], "auto", None, DeviceUnavailable, "no node of the Ray cluster has a CPU"),
        ([node(2), node(4)], "auto", 8, UsageError, "no node of the Ray cluster has 8 CPUs"),
    ],
)
def test_a_cluster_that_does_not_do_is_refused(
    nodes: list[dict[str, Any]],
    device: Any,
    threads: int | None,
    error: type[Exception],
    message: str,
) -> None:
    """Nothing falls back to another device, and nothing waits for CPUs that never come."""
    with pytest.raises(error, match=message):
        ClusterPlan.of(nodes, ModelSpec(None, device, threads=threads), 10)


def test_large_files_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task has files of all sizes, and every file is in one of them."""
    monkeypatch.setattr(ray, "_TASKS", 2)
    pairs = [(tmp_path / f"{size}", tmp_path / f"{size}.out") for size in (1, 5, 3, 4, 2)]
    for path, _ in pairs[:-1]:
        path.write_bytes(bytes(int(path.name)))
    order = [int(path.name) for _, (path, _) in ray._in_order(pairs)]
    assert order == [5, 3, 2, 4, 1]  # that of 2 bytes is not there


def test_without_ray_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 78, and no output is touched."""
    for name in ray_cluster.QUIET:
        monkeypatch.setenv(name, "")  # so that what the engine sets is gone afterwards
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "a.csv").write_text("text\nhello\n")
    call = ["run", str(tmp_path / "a.csv"), "-o", str(tmp_path / "out"), "--engine", "ray"]
    result = CliRunner().invoke(tweetscore, call)
    assert result.exit_code == 78
    assert result.stderr == (
        "tweetscore: the engine ray needs the library ray, which is not installed; "
        f"try: {install('ray')}\n"
    )
    assert not [path for path in (tmp_path / "out").iterdir() if path.name[0] != "."]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (["a.csv", "--engine", "ray"], "writes to a directory of its own; name it with -o"),
        (["a.csv", "-o", "b.csv", "--engine", "ray"], "b.csv is a file; the engine ray needs a"),
        (
            ["-", "-o", "out", "--engine", "ray"],
            "files, no streams and no URLs; name files on a file",
        ),
        (["s3://a/b.csv", "-o", "out", "--engine", "ray"], "no streams and no URLs"),
        (["a.csv", "--engine", "ray", "--dry-run"], "--dry-run looks at this box only"),
        (["a.csv", "--ray-address", "auto"], "--ray-address is for --engine ray"),
        (["a.csv", "-o", "linked", "--engine", "ray"], "is the input a.csv itself"),
    ],
)
def test_a_call_that_makes_no_sense_is_refused(
    call: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code is 2 before anything is started."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("text\nhello\n")
    Path("linked").mkdir()
    os.link("a.csv", "linked/a.scored.csv")
    result = CliRunner().invoke(tweetscore, ["run", *call])
    assert result.exit_code == 2
    assert message in result.stderr


def test_what_actors_load_is_light() -> None:
    """A worker that unpickles its class has loaded nothing whose threads could be too many."""
    program = "import sys, scorer.engines.ray_cluster; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    heavy = {b"numpy", b"polars", b"pyarrow", b"onnxruntime", b"tokenizers", b"ray"}
    assert heavy & set(done.stdout.split()) == set()


@pytest.fixture
def job(tiny_bert_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    for name in POOLS:
        monkeypatch.setenv(name, "1")  # an actor has a process of its own, and sets them for good
    options = RunOptions.of(
        (), tmp_path / "out", model=tiny_bert_bundle, device="builtin", threads=1
    )
    config, _ = ScorerConfig.of(tiny_bert_bundle, device="builtin")
    return Job(options, config, versions(), tmp_path / "out" / ".tweetscore/_tweetscore.json")


def answer(actor: FileScorer, path: Path, output: Path) -> FileAnswer:
    row = {
        "number": 7,
        "input": os.fsencode(path),
        "output": os.fsencode(output),
        "table_version": NO_TABLE,
    }
    given: FileAnswer = pickle.loads(actor(row)["answer"])  # noqa: S301 - made in this line
    return given


def test_an_actor_withdraws_the_manifest_when_an_output_changes(job: Job, tmp_path: Path) -> None:
    """What is up to date leaves it there; the first file that is scored takes it away."""
    pl.DataFrame({"text": ["hello", None]}).write_parquet(tmp_path / "a.parquet")
    target = tmp_path / "out" / "a.scored.parquet"
    actor = FileScorer(pickle.dumps(job), 1)
    (tmp_path / "out/.tweetscore").mkdir(parents=True)
    job.manifest.write_text("{}")
    first = answer(actor, tmp_path / "a.parquet", target)
    assert (first.number, first.error, job.manifest.exists()) == (7, None, False)
    job.manifest.write_text("{}")
    again = answer(actor, tmp_path / "a.parquet", target)
    assert again.outcome
    assert (again.outcome.up_to_date, job.manifest.exists()) == (True, True)


def test_an_actor_tells_of_a_bad_file_and_goes_on(job: Job, tmp_path: Path) -> None:
    """An error of a file is its outcome, not that of the run."""
    (tmp_path / "a.csv").write_text("other\nhello\n")
    given = answer(FileScorer(pickle.dumps(job), 1), tmp_path / "a.csv", tmp_path / "out" / "a.csv")
    assert given.error is None
    assert given.outcome
    assert isinstance(given.outcome.error, DataError)


def test_an_actor_refuses_another_library_or_bundle(job: Job, tmp_path: Path) -> None:
    """What could change an answer on a node ends the run, before an output is touched."""
    (tmp_path / "a.csv").write_text("text\nhello\n")
    (tmp_path / "out/.tweetscore").mkdir(parents=True)
    job.manifest.write_text("{}")
    older = replace(job, libraries={**job.libraries, "numpy": "1.0"})
    other = replace(job, config=replace(job.config, digest="0" * 64))
    wrong = with_wrong_canary(job.config.spec.model or Path(), tmp_path / "wrong")
    ungated, _ = ScorerConfig.of(wrong)
    exact = replace(job.options.model_spec, precision="fp32")
    failing = replace(job, config=ungated, options=replace(job.options, model_spec=exact))
    for each, message in (
        (older, "numpy is .* on .*, and 1.0 where the run was started"),
        (other, "put the same bundle and the same release of tweetscore on every machine"),
        (failing, "fp32"),
    ):
        actor = FileScorer(pickle.dumps(each), 1)
        given = answer(actor, tmp_path / "a.csv", tmp_path / "out" / "a.scored.csv")
        assert given.outcome is None
        with pytest.raises((InvalidBundle, GateFailed), match=message):
            raise given.error or AssertionError
        assert not (tmp_path / "out" / "a.scored.csv").exists()
        assert job.manifest.exists()


def outcome(folder: Path, name: str, rows: int) -> Outcome:
    path = folder / name
    path.write_text("text\n" + "good+\n" * rows)
    options = RunOptions.of((path,), folder / "sub" / name)
    (found,) = pipeline.run(options, model=handle_of(StubClassifier()))
    return found


def test_a_manifest_adds_up(tmp_path: Path) -> None:
    """Outputs by their names below the folder, and the sums of what their reports say."""
    manifest = Manifest(tmp_path)
    (tmp_path / "sub").mkdir()
    for name, rows in (("b.csv", 2), ("a.csv", 3)):
        manifest.add(outcome(tmp_path, name, rows))
    own_directory(tmp_path / "a.csv").mkdir()
    manifest.publish(engine={}, model={})
    path = tmp_path / ".tweetscore/_tweetscore.json"
    said = json.loads(path.read_text("ascii"))
    assert [file["output"] for file in said["files"]] == ["sub/a.csv", "sub/b.csv"]
    assert said["counters"]["rows"] == said["labels"]["positive"] == 5
    before = path.stat()
    manifest.publish(engine={}, model={})
    assert path.stat() == before  # it names the same files: nobody has to read it again


def test_the_directory_of_a_single_directory_may_be_left_out(tmp_path: Path) -> None:
    """It is the mirror then; several, a pattern and outputs beside inputs have none."""
    for name in ("lake/a.csv", "other/b.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("text\ngood+\n")
    lake, other = tmp_path / "lake", tmp_path / "other"
    assert ray._folder(None, find_inputs([lake])) == tmp_path / "lake.scored"
    assert ray._folder(tmp_path / "out", find_inputs([lake, other])) == tmp_path / "out"
    for named in ([lake, other], [lake / "*.csv"], [lake / "a.csv"]):
        with pytest.raises(UsageError, match="name it with -o"):
            ray._folder(None, find_inputs(named))
    (tmp_path / "lake.scored").touch()
    with pytest.raises(UsageError, match="is a file; the engine ray needs a directory"):
        ray._folder(None, find_inputs([lake]))
