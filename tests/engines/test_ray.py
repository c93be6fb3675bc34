"""Ray on this box: real actors, some of which are killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest

from scorer.engines import ray
from scorer.errors import EngineFailed, GateFailed
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.engines.bundles import with_wrong_canary
from tests.reports import report_json

pytestmark = [
    pytest.mark.ci,
    # Ray's own: it uses what it deprecates, and leaves pipes and sockets to the process's end.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
TRAIN = Path(__file__).parents[3] / "shared" / "data" / "train.csv"
TWEETS = 27_481
FILES = 12


def make_lake(folder: Path, tweets: int) -> Path:
    """Write a tree of files in three formats and of many sizes."""
    frame = pl.read_csv(TRAIN, columns=["text"]).head(tweets).with_row_index("id")
    share = frame.height // (FILES * (FILES + 1) // 2)
    for number in range(FILES):
        day = folder / f"day={number % 3}"
        day.mkdir(parents=True, exist_ok=True)
        rows = share * (number + 1) if number < FILES - 1 else None
        part = frame.slice(share * (number * (number + 1) // 2), rows)
        if number == 5:
            part.write_csv(day / "part-5.csv")
        elif number == 6:
            part.write_ndjson(day / "part-6.ndjson")
        else:
            part.write_parquet(day / f"part-{number}.parquet")
    return folder


def score_locally(lake: Path, folder: Path) -> dict[str, bytes]:
    """Return what the local engine writes, by the names of the outputs."""
    assert not [o.error for o in pipeline.run(RunOptions.of((lake,), folder)) if o.error]
    return written(folder)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, count: Callable[[int, int], int]) -> Path:
    return make_lake(tmp_path_factory.mktemp("ray") / "lake", count(1_500, TWEETS))


@pytest.fixture(scope="module")
def expected(lake: Path) -> dict[str, bytes]:
    return score_locally(lake, lake.with_name("local"))


def written(folder: Path) -> dict[str, bytes]:
    """Return the outputs below a folder."""
    files = [path for path in folder.rglob("*.scored.*") if path.parent.name != ".tweetscore"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def manifest(folder: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(
        (folder / ".tweetscore/_tweetscore.json").read_text("ascii")
    )
    return content


def actors() -> list[int]:
    """Return the processes of actors that this test process has started, by way of Ray."""
    parents, found = {}, []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            pid, fields = (
                int(process.name),
                (process / "stat").read_text().rpartition(")")[2].split(),
            )
            parents[pid] = int(fields[1])
            if (process / "cmdline").read_bytes().startswith(b"ray::MapWorker"):
                found.append(pid)
        except OSError:  # it has ended meanwhile
            continue
    return [pid for pid in found if os.getpid() in ancestors(pid, parents)]


def ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


@pytest.mark.timeout(1200)  # all of the tweets, twice
def test_two_actors_write_what_one_box_writes(tmp_path: Path) -> None:
    """Every output has the local engine's bytes, a report, and a place in the manifest."""
    lake, target = make_lake(tmp_path / "lake", TWEETS), tmp_path / "scored"
    expected = score_locally(lake, tmp_path / "local")
    outcomes = list(ray.run(RunOptions.of((lake,), target, threads=1)))
    assert written(target) == expected
    assert len(expected) == len(outcomes) == FILES
    assert not [outcome for outcome in outcomes if outcome.error or outcome.up_to_date]
    known = manifest(target)
    assert known["engine"] == {
        "name": "ray", "version": "2.60.0", "actors": 2, "threads": 1, "gpus": 0,
    }  # fmt: skip
    files = known["files"]
    assert isinstance(files, list)
    assert {file["output"] for file in files} == expected.keys()
    assert (
        TWEETS
        == sum(file["rows"] for file in files)
        == sum(report_json(o)["counters"]["rows"] for o in outcomes)
    )
    assert {report_json(outcome)["canary"]["label_agreement"] for outcome in outcomes} == {1.0}
    assert {report_json(outcome)["runtime"]["threads"] for outcome in outcomes} == {1}


def test_killed_workers_lose_and_double_nothing(
    lake: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """Two of the actors are killed at work: each file has one outcome, and is complete."""
    target, killed = tmp_path / "scored", set[int]()
    outcomes: list[Outcome] = []
    for outcome in ray.run(RunOptions.of((lake,), target, threads=1)):
        outcomes.append(outcome)
        if len(outcomes) in (1, 4):
            victim = actors()[0]
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
    assert len(killed) == 2
    assert sorted(str(o.output.relative_to(target)) for o in outcomes) == sorted(expected)
    assert written(target) == expected
    assert len(manifest(target)["files"]) == FILES  # type: ignore[arg-type]  # it is a list


def test_a_killed_driver_is_taken_up(
    lake: Path, expected: dict[str, bytes], tmp_path: Path
) -> None:
    """The next run scores only what was not done, and only then there is a manifest."""
    target = tmp_path / "scored"
    program = Path(sys.executable).with_name("tweetscore")
    with (
        # A killed driver leaves the files of its Ray there.
        TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        subprocess.Popen(
            [program, "run", lake, "-o", target, "--engine", "ray", "-v"],
            env=os.environ | {"TMPDIR": scratch},
            stderr=subprocess.PIPE,
            text=True,
        ) as driver,
    ):
        assert driver.stderr
        said = [driver.stderr.readline() for _ in range(3)]
        driver.kill()
    assert not [line for line in said if " rows: " not in line]
    assert not (target / ".tweetscore/_tweetscore.json").exists()
    done = {re.match(r"tweetscore: (.+): [\d,]+ rows", line)[1] for line in said}  # type: ignore[index]  # checked
    before = {path: Path(path).stat() for path in done}
    outcomes = list(ray.run(RunOptions.of((lake,), target)))
    assert done <= {str(outcome.output) for outcome in outcomes if outcome.up_to_date}
    assert before == {path: Path(path).stat() for path in done}
    assert written(target) == expected
    assert len(manifest(target)["files"]) == FILES  # type: ignore[arg-type]  # it is a list


def test_a_driver_that_gets_sigterm_reports_it(lake: Path, tmp_path: Path) -> None:
    """SIGTERM ends the run with 143, although Ray has a handler of its own."""
    program = Path(sys.executable).with_name("tweetscore")
    words = ["run", str(lake), "-o", str(tmp_path / "scored"), "--engine", "ray", "-v"]
    with subprocess.Popen([program, *words], stderr=subprocess.PIPE, text=True) as driver:
        assert driver.stderr
        driver.stderr.readline()
        driver.terminate()
        assert "interrupted; nothing is half-written" in driver.stderr.read()
    assert driver.returncode == 143
    assert not (tmp_path / "scored" / ".tweetscore/_tweetscore.json").exists()


def test_a_file_that_kills_its_workers_ends_the_run(
    lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somewhere the patience ends; what was done stays done, and there is no manifest."""
    monkeypatch.setattr(ray, "_MAX_TASK_RETRIES", 0)
    target = tmp_path / "scored"
    outcomes = ray.run(RunOptions.of((lake,), target))
    next(outcomes)
    for actor in actors():
        os.kill(actor, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="Ray lost a worker, then 0 more over the same"):
        list(outcomes)
    assert written(target)
    assert not (target / ".tweetscore/_tweetscore.json").exists()


def test_a_canary_that_fails_on_a_node_ends_the_run(
    tiny_bert_bundle: Path, lake: Path, tmp_path: Path
) -> None:
    """The run ends with 76; nothing is scored, and no manifest says otherwise."""
    bundle = with_wrong_canary(tiny_bert_bundle, tmp_path / "bundle")
    options = RunOptions.of((lake,), tmp_path / "scored", model=bundle, precision="fp32")
    with pytest.raises(GateFailed, match="fp32"):
        list(ray.run(options))
    # What still runs would use Ray, which is gone, and would have the process ended for it.
    assert not [each.name for each in threading.enumerate() if each.name.startswith(ray._THREADS)]
    assert written(tmp_path / "scored") == {}
    assert not (tmp_path / "scored" / ".tweetscore/_tweetscore.json").exists()
