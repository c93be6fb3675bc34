import errno
import fcntl
import os
import threading
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from scorer.errors import OutputLocked, OutputRefused, StorageError
from scorer.store import lock
from scorer.store.lock import locked
from scorer.store.paths import lock_path
from tests.places import with_directory


def hold(output: Path, ready: Connection) -> None:
    with locked(output):
        ready.send("locked")
        ready.recv()  # until it is killed


def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second run ends with an error that names the output and a remedy."""
    output = tmp_path / "out.csv"
    with (
        locked(output),
        pytest.raises(OutputLocked, match=r"another run is writing .*out\.csv; .*--lock-wait"),
        locked(output),
    ):
        raise AssertionError("two runs hold one lock")
    with locked(output):
        assert lock_path(output).exists()


def test_another_output_has_another_lock(tmp_path: Path) -> None:
    """Two outputs of one directory do not wait for each other."""
    with locked(tmp_path / "a.csv"), locked(tmp_path / "b.csv"):
        assert lock_path(tmp_path / "a.csv") != lock_path(tmp_path / "b.csv")


def test_a_dead_process_holds_nothing(tmp_path: Path) -> None:
    """The lock of a killed process is free, though its file is still there."""
    output = tmp_path / "out.csv"
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(output, there))
    process.start()
    assert here.recv() == "locked"
    with pytest.raises(OutputLocked), locked(output):
        raise AssertionError("the process does not hold its lock")
    process.kill()
    process.join()
    with locked(output):
        assert lock_path(output).exists()


def test_waiting_ends_when_the_other_run_does(tmp_path: Path) -> None:
    """With time to wait, the second run goes on as soon as the first has ended."""
    output = tmp_path / "out.csv"
    first, done = locked(output), threading.Event()
    first.__enter__()

    def wait() -> None:
        with locked(output, wait=60):
            done.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not done.is_set()
    first.__exit__(None, None, None)
    waiting.join()
    assert done.is_set()


def test_waiting_has_an_end(tmp_path: Path) -> None:
    """Nobody waits for ever."""
    output = tmp_path / "out.csv"
    with locked(output), pytest.raises(OutputLocked), locked(output, wait=0.2):
        raise AssertionError("two runs hold one lock")


def test_a_lock_file_that_was_deleted_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever locks a file that has lost its name meanwhile locks the one that has it now."""
    output = tmp_path / "out.csv"
    real = lock._is_named
    removed: list[Path] = []

    def remove_first(descriptor: int, path: Path) -> bool:
        if not removed:
            path.unlink()
            removed.append(path)
        return real(descriptor, path)

    monkeypatch.setattr(lock, "_is_named", remove_first)
    with locked(output):
        assert removed
        assert lock_path(output).exists()
        with pytest.raises(OutputLocked), locked(output):
            raise AssertionError("two runs hold one lock")


def test_a_descriptor_is_not_left_open(tmp_path: Path) -> None:
    """A thousand files in one run need one descriptor at a time."""
    output, descriptors = tmp_path / "out.csv", Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(3):
        with locked(output), pytest.raises(OutputLocked), locked(output):
            raise AssertionError("two runs hold one lock")
    assert len(list(descriptors.iterdir())) == before


def test_a_lock_that_was_deleted_in_the_meantime_is_noticed(tmp_path: Path) -> None:
    """The check before publishing finds it."""
    output = tmp_path / "out.csv"
    with locked(output) as lock:
        lock.check()
        lock_path(output).unlink()
        with pytest.raises(
            OutputLocked,
            match=r"out\.csv\.lock was deleted while this run held it; run again, when",
        ):
            lock.check()


@pytest.mark.parametrize(("deleted", "error"), [(True, OutputLocked), (False, StorageError)])
def test_who_fails_without_the_lock_is_told_of_it(
    tmp_path: Path, error: type[Exception], *, deleted: bool
) -> None:
    """Two runs that get in each other's way fail in odd ways; other failures stay as they are."""

    def fail() -> None:
        with locked(tmp_path / "out.csv"):
            if deleted:
                lock_path(tmp_path / "out.csv").unlink()
            raise StorageError("what this run wrote is gone")

    with pytest.raises(error):
        fail()


def test_a_disk_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system cannot lock, nobody is let in on trust."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", fail)
    with (
        pytest.raises(StorageError, match="cannot be locked: No locks available; write to a local"),
        locked(tmp_path / "out.csv"),
    ):
        raise AssertionError("locked without a lock")


def test_where_no_file_can_be_made_the_output_is_refused(tmp_path: Path) -> None:
    """A missing directory is no bug of ours."""
    with (
        pytest.raises(OutputRefused, match=r"\.tweetscore cannot be written"),
        locked(tmp_path / "none" / "out.csv"),
    ):
        raise AssertionError("locked what is not there")


def test_where_the_disk_is_full_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock file needs an inode."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    lock_path(tmp_path / "out.csv").parent.mkdir(mode=0o700)
    monkeypatch.setattr(os, "open", full)
    with (
        pytest.raises(StorageError, match=r"out\.csv\.lock failed: no space left on device; free"),
        locked(tmp_path / "out.csv"),
    ):
        raise AssertionError("locked without a file")


@pytest.mark.parametrize(
    ("kind", "words"),
    [("link", "a link"), ("dangling", "a link"), ("pipe", "a pipe"), ("directory", "a directory")],
)
def test_a_lock_is_a_file(tmp_path: Path, kind: str, words: str) -> None:
    """What a link leads to is not made, nor locked; the line says how to go on."""
    output = tmp_path / "out.csv"
    path, victim = with_directory(lock_path(output)), tmp_path / "victim"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(victim)
        if kind == "link":
            victim.touch()
    with pytest.raises(OutputRefused) as caught, locked(output):
        raise AssertionError("locked what is no file")
    assert str(caught.value) == (
        f"{path} is {words}, and would have to be the lock; mv -- {path} {path}.old"
    )
    assert victim.exists() == (kind == "link")


@pytest.mark.parametrize("readable", [True, False])
def test_a_lock_of_another_user_is_used_if_it_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, readable: bool
) -> None:
    """In a directory of a group, or one such as /tmp, where it cannot be opened to be made."""
    output, real = tmp_path / "out.csv", os.open
    with_directory(lock_path(output)).touch()

    def as_another_user(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_RDWR or not readable:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", as_another_user)
    if readable:
        with locked(output), pytest.raises(OutputLocked), locked(output):
            raise AssertionError("two runs hold one lock")
    else:
        with pytest.raises(OutputRefused, match=r"sudo chmod a\+r -- .*lock$"), locked(output):
            raise AssertionError("locked what cannot be opened")
        lock_path(output).unlink()
        with pytest.raises(OutputRefused, match="permission denied"), locked(output):
            raise AssertionError("locked what cannot be made")


def test_the_lock_is_for_all_who_may_write_there(tmp_path: Path) -> None:
    """Tonight's run of another user finds a lock that it can open, as far as the umask allows."""
    before = os.umask(0o002)
    try:
        with locked(tmp_path / "out.csv"):
            assert lock_path(tmp_path / "out.csv").stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(before)
