"""What 0.1 left beside an output is moved once, whatever happens meanwhile."""

import fcntl
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import OutputLocked
from scorer.store import earlier_places
from scorer.store.commit import FileIdentity, is_ours, report_on, report_there
from scorer.store.earlier_places import move_earlier_manifest
from scorer.store.lock import locked
from scorer.store.paths import (
    MANIFEST,
    EarlierPlaces,
    failed_report_path,
    manifest_path,
    own_directory,
    rejects_path,
    report_path,
    state_directory,
)
from tests.places import names

BESIDE = {
    "out.csv", "out.csv.run.json", "out.csv.run.failed.json", "out.csv.rejects.ndjson",
    ".out.csv.tweetscore", ".out.csv.tweetscore.lock",
}  # fmt: skip
MOVED = {
    "out.csv", ".tweetscore/out.csv.run.json", ".tweetscore/out.csv.run.failed.json",
    ".tweetscore/out.csv.rejects.ndjson", ".tweetscore/out.csv.state",
    ".tweetscore/out.csv.lock",
}  # fmt: skip


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return an output of 0.1 with all that there may be beside it."""
    output = tmp_path / "out.csv"
    output.write_text("scored")
    earlier = EarlierPlaces.of(output)
    earlier.report.write_text(json.dumps({"output": FileIdentity.of(output).as_json()}))
    earlier.failed_report.write_text("failed")
    earlier.rejects.write_text("rejects")
    earlier.rejects.chmod(0o600)
    earlier.state.mkdir(mode=0o700)
    (earlier.state / "plan.json").write_text("plan")
    (earlier.state / "part-00000000.arrow").write_text("part")
    (earlier.state / "rejects.ndjson").write_text("half")
    for path in (earlier.report_temporary, earlier.failed_temporary):
        path.write_text("half")
    earlier.lock.touch()
    return output


def check_moved(output: Path) -> None:
    assert names(output.parent) == MOVED
    assert report_on(output) == json.loads(report_path(output).read_text())
    assert failed_report_path(output).read_text() == "failed"
    assert rejects_path(output).read_text() == "rejects"
    assert rejects_path(output).stat().st_mode & 0o777 == 0o600
    found = {path.name: path.read_text() for path in state_directory(output).iterdir()}
    assert found == {"plan.json": "plan", "part-00000000.arrow": "part", "rejects": "half"}


def test_the_first_run_moves_it(output: Path) -> None:
    """Without a word, the mode of each file as it was."""
    assert names(output.parent) > BESIDE
    with locked(output) as lock:
        assert lock.warnings == ()
        check_moved(output)
        lock.check()


def test_until_then_it_is_known_where_it_is(output: Path) -> None:
    """The output is ours, by its report or by the commit record of a run that was killed."""
    assert is_ours(output)
    assert report_there(output) == EarlierPlaces.of(output).report
    record = EarlierPlaces.of(output).state / "report.json"
    EarlierPlaces.of(output).report.rename(record)
    assert is_ours(output)
    EarlierPlaces.of(output).state.chmod(0o777)
    assert not is_ours(output)


def calls_of(run: Callable[[], object], stop_at: int | None = None) -> int:
    """Count the system calls that change a name; stop before one of them."""
    seen = 0

    def hook(event: str, _: Any) -> None:
        nonlocal seen
        if armed and event in {"os.rename", "os.remove", "os.mkdir", "os.rmdir"}:
            seen += 1
            if seen == stop_at:
                raise KeyboardInterrupt

    armed = True
    sys.addaudithook(hook)
    try:
        run()
    finally:
        armed = False
    return seen


def test_a_kill_anywhere_leaves_the_rest_to_the_next_run(output: Path, tmp_path: Path) -> None:
    """Before each change of a name; what was moved is not moved back."""

    def run() -> None:
        with locked(output):
            pass

    def restore() -> None:
        for path in tmp_path.iterdir():
            os.system(f"rm -rf '{path}'")  # noqa: S605 - paths of this test
        for name, content in saved.items():
            (tmp_path / name).parent.mkdir(exist_ok=True, mode=0o700)
            (tmp_path / name).write_bytes(content)
            (tmp_path / name).chmod(0o600)
            os.utime(tmp_path / name, (1, 1))

    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    saved = {str(path.relative_to(tmp_path)): path.read_bytes() for path in found}
    steps = calls_of(run)
    assert steps >= 7
    for step in range(1, steps + 1):
        restore()
        with pytest.raises(KeyboardInterrupt):
            calls_of(run, step)
        assert is_ours(output)
        run()
        check_moved(output)


def test_a_run_of_before_that_is_at_work_is_waited_for(output: Path) -> None:
    """Its lock is another one; 75 after the time that was given, and nothing is moved."""
    with EarlierPlaces.of(output).lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with (
            pytest.raises(OutputLocked, match=r"another run is writing .*fuser .*tweetscore\.lock"),
            locked(output, wait=0.15),
        ):
            raise AssertionError("two versions write one output")
        assert names(output.parent) > BESIDE
    with locked(output):
        check_moved(output)


def test_a_run_of_before_that_is_started_later_is_noticed(output: Path) -> None:
    """Before the commit, also where it has ended by then; the next run moves what it left."""
    with locked(output) as lock:
        lock.check()
        EarlierPlaces.of(output).lock.touch()
        with pytest.raises(OutputLocked, match="an earlier version of tweetscore began to write"):
            lock.check()
    with locked(output) as lock:
        lock.check()


def test_what_was_written_last_is_kept(output: Path) -> None:
    """An old version may have run after a new one; or a new one failed, without the lock."""
    own_directory(output).mkdir(mode=0o700)
    for path in (report_path(output), rejects_path(output), failed_report_path(output)):
        path.write_text("new" if path == failed_report_path(output) else "old")
        if path != failed_report_path(output):
            os.utime(path, (1, 1))
    state_directory(output).mkdir(mode=0o700)
    (state_directory(output) / "journal").touch()
    assert report_there(output) == EarlierPlaces.of(output).report
    with locked(output):
        assert failed_report_path(output).read_text() == "new"
        assert rejects_path(output).read_text() == "rejects"
        assert report_on(output)
        assert not (state_directory(output) / "journal").exists()
    assert report_there(output) == report_path(output)


def test_a_state_that_others_may_have_written_is_not_taken_up(output: Path) -> None:
    """It is thrown away, and one line says so."""
    state = EarlierPlaces.of(output).state
    state.chmod(0o777)
    with locked(output) as lock:
        (line,) = lock.warnings
        assert line.startswith(f"the unfinished run of {output} is not taken up: {state} may be ")
    assert names(output.parent) == MOVED - {".tweetscore/out.csv.state"}


def test_a_state_that_only_its_owner_may_move_is_put_aside(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays in the directory that it was in, as no other user can move it to another one."""
    EarlierPlaces.of(output).state.chmod(0o777)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(earlier_places, "discard", refuse)
    with locked(output) as lock:
        (aside,) = output.parent.glob(".out.csv.*.tweetscore")
        (line,) = lock.warnings
        assert line.endswith(f"; it is {aside} now")
    with locked(output) as lock:
        assert lock.warnings == ()


def test_a_lock_that_cannot_be_removed_is_held(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of another user in a directory such as /tmp: it is no sign of another run."""
    real, lock_file = Path.unlink, EarlierPlaces.of(output).lock

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        if path == lock_file:
            raise PermissionError(1, "Operation not permitted")
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    for _ in range(2):
        with locked(output) as lock:
            lock.check()
            with lock_file.open() as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_is_no_file_was_not_written_by_us(output: Path) -> None:
    """It stays where it is."""
    report = EarlierPlaces.of(output).report
    report.unlink()
    os.mkfifo(report)
    with locked(output):
        assert names(output.parent) == MOVED - {".tweetscore/out.csv.run.json"} | {report.name}


def test_the_manifest_of_before_is_moved(tmp_path: Path) -> None:
    """Under its lock, that of 0.1 too; a reader of the old place sees none from then on."""
    (tmp_path / "_tweetscore.json").write_text("{}")
    (tmp_path / "._tweetscore.json.tweetscore.lock").touch()
    with locked(tmp_path / MANIFEST):
        move_earlier_manifest(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".tweetscore"]
    assert manifest_path(tmp_path).read_text() == "{}"
