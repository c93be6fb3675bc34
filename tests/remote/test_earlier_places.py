"""What 0.1 put beside an object is moved by the first run, and known until then."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from scorer.errors import OutputLocked, StorageError
from scorer.remote import work_dir
from scorer.remote.urls import Url
from scorer.remote.work_dir import Delivery, WorkDir
from scorer.store.found import Input
from scorer.store.paths import earlier_state, state_directory
from tests.remote.conftest import Bucket, run, scored

CSV = b"id,text\n007,good+\n2,bad-\n"
ALL: dict[str, Any] = {"output": "s3://lake/out/", "max_rejects": 1}
NOW = [
    "out/.tweetscore/a.scored.csv.rejects.ndjson",
    "out/.tweetscore/a.scored.csv.run.json",
    "out/a.scored.csv",
]


@pytest.fixture
def before(stub: Any, bucket: Bucket) -> Bucket:
    """Return a bucket with an output as 0.1 left it, with a list of rejects and a failure."""
    bucket.put("in/a.csv", CSV + b"3\n")
    run(stub, "s3://lake/in/", **ALL)
    for name in bucket.names("out/.tweetscore/"):
        bucket.put(f"out/{name.rpartition('/')[2]}", bucket.get(name))
        bucket.client.delete_object(Bucket="lake", Key=name)
    bucket.put("out/a.scored.csv.run.failed.json", b"{}")
    return bucket


@pytest.mark.parametrize("source", ["s3://lake/in/", "s3://lake/in/a.csv"], ids=["all", "one"])
def test_an_object_of_before_is_up_to_date_and_what_belongs_to_it_moved(
    stub: Any, before: Bucket, source: str
) -> None:
    """On the box that wrote it, and with one object or a listing of many."""
    content = [before.get(name.replace(".tweetscore/", "")) for name in NOW]
    (outcome,) = run(stub, source, **ALL)
    assert outcome.up_to_date
    assert outcome.warnings == ()
    assert before.names("out/") == NOW
    assert [before.get(name) for name in NOW] == content
    before.asked.clear()
    assert scored(run(stub, source, **ALL)) == []
    assert not [path for method, path in before.asked if method in {"PUT", "DELETE"}]


def test_on_another_box_too(
    stub: Any, before: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its report is found where 0.1 put it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    assert scored(run(stub, "s3://lake/in/", **ALL)) == []
    assert before.names("out/") == NOW


def test_an_output_that_is_written_again_leaves_nothing_of_before(
    stub: Any, before: Bucket
) -> None:
    """The new report is where it belongs; the old one goes."""
    before.put("in/a.csv", CSV)
    (outcome,) = run(stub, "s3://lake/in/", **ALL)
    assert (outcome.error, outcome.warnings) == (None, ())
    assert before.names("out/") == [NOW[1], NOW[2]]
    assert scored(run(stub, "s3://lake/in/", **ALL)) == []


def test_who_may_not_delete_is_told_so_and_has_the_output(
    stub: Any, before: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A warning, not an error: nothing is scored twice."""

    def refuse(*_: object) -> None:
        raise StorageError("the store refuses")

    monkeypatch.setattr(work_dir.Delivery, "move_earlier", refuse)
    (outcome,) = run(stub, "s3://lake/in/", **ALL)
    assert outcome.up_to_date
    (line,) = outcome.warnings
    where = "s3://lake/out/a.scored.csv"
    assert line == f"what version 0.1 put beside {where} cannot be moved (the store refuses)"


def test_a_run_of_before_that_is_started_later_is_noticed(
    stub: Any, before: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On this box, before the upload: its lock is in the work directory."""
    before.put("in/a.csv", CSV)
    monkeypatch.setattr(Delivery, "send", lambda *_: pytest.fail("sent"))

    def start_another() -> None:
        (root,) = (tmp_path / "cache/tweetscore").iterdir()
        (root / ".desk.tweetscore.lock").touch()

    stub.before_scoring = start_another
    (outcome,) = run(stub, "s3://lake/in/", **ALL)
    assert isinstance(outcome.error, OutputLocked)


def test_a_local_output_of_an_object_is_moved_too(
    stub: Any, bucket: Bucket, tmp_path: Path
) -> None:
    """Also where nothing is scored."""
    bucket.put("in/a.csv", CSV)
    output = tmp_path / "out" / "a.csv"
    output.parent.mkdir()
    run(stub, "s3://lake/in/a.csv", output=output)
    (output.parent / ".tweetscore/a.csv.run.json").rename(output.parent / "a.csv.run.json")
    assert scored(run(stub, "s3://lake/in/a.csv", output=output)) == []
    assert sorted(path.name for path in output.parent.iterdir()) == [".tweetscore", "a.csv"]
    assert (output.parent / ".tweetscore/a.csv.run.json").is_file()


@pytest.mark.parametrize("state", [earlier_state, state_directory], ids=["0.1", "now"])
def test_a_directory_whose_first_output_is_unfinished_goes_on_beside_its_objects(
    stub: Any, bucket: Bucket, tmp_path: Path, state: Callable[[Path], Path]
) -> None:
    """Nothing is in the bucket yet, and what was done lies in the work directory of this box."""
    bucket.put("in/a.csv", CSV)
    bucket.put("in/b.csv", CSV)
    output = Url("s3", "lake", "in/b.scored.csv")
    root = WorkDir(
        tmp_path / "cache/tweetscore", Input(output, PurePosixPath(), output), output
    ).root
    state(root / "out" / output.name).mkdir(mode=0o700, parents=True)
    root.chmod(0o700)
    run(stub, "s3://lake/in/")
    outputs = [f"in/{name}" for name in ("a.csv", "a.scored.csv", "b.csv", "b.scored.csv")]
    assert [name for name in bucket.names() if ".tweetscore/" not in name] == outputs
    assert scored(run(stub, "s3://lake/in/")) == []
