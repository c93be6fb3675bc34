import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from scorer.errors import DataError
from scorer.store import own_files
from scorer.store.own_files import (
    append_own,
    create_own,
    discard,
    open_own,
    read_own,
    why_not_private,
)


def link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def link_to_nothing(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("nothing"))


def pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path, _: Path) -> None:
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


def leftover(path: Path, _: Path) -> None:
    path.write_bytes(b"half of an earlier file, and longer than what comes")


PLANTED = [link, hard_link, link_to_nothing, pipe, unix_socket, leftover]
Plant = Callable[[Path, Path], None]


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    (path := tmp_path / "victim").write_text("precious")
    return path


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_new_file_is_new_whatever_has_its_name(
    tmp_path: Path, victim: Path, plant: Plant
) -> None:
    """What a link leads to is neither written nor cut off, and nothing is waited for."""
    plant(path := tmp_path / "x.tmp", victim)
    with create_own(path, 0o600) as file:
        file.write(b"ours")
    assert path.read_bytes() == b"ours"
    assert path.lstat().st_mode == 0o100600
    assert victim.read_text() == "precious"
    assert not (tmp_path / "nothing").exists()


def test_a_directory_and_a_device_are_not_removed_for_a_new_file(tmp_path: Path) -> None:
    """Nobody gets a device back, and a directory may hold anything."""
    (tmp_path / "x.tmp").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        create_own(tmp_path / "x.tmp")
    with pytest.raises(FileExistsError):
        create_own(Path(os.devnull))
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_only_a_file_of_one_name_is_appended_to(tmp_path: Path, victim: Path, plant: Plant) -> None:
    """Anything else gives way to a new one."""
    plant(path := tmp_path / "journal", victim)
    before = path.read_bytes() if plant is leftover else b""
    with append_own(path) as file:
        file.write(b"a line")
    assert path.read_bytes() == before + b"a line"
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(("plant", "kind"), [(pipe, "a pipe"), (unix_socket, "a socket")])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, victim: Path, plant: Plant, kind: str
) -> None:
    """A pipe has no end, a device may do something when it is opened."""
    plant(path := tmp_path / "x.json", victim)
    with pytest.raises(DataError, match=f"x.json is {kind}, not a regular file"):
        open_own(path)
    with pytest.raises(DataError, match="null is a device"):
        open_own(Path(os.devnull))
    with pytest.raises(IsADirectoryError):
        open_own(tmp_path)


def test_a_file_that_becomes_a_pipe_meanwhile_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at again when it is open."""
    os.mkfifo(path := tmp_path / "x.json")
    (regular := tmp_path / "regular").touch()
    status = regular.stat()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", lambda _: status)
        with pytest.raises(DataError, match="is a pipe"):
            open_own(path)


def test_gigabytes_are_not_read(tmp_path: Path) -> None:
    """A file that only claims to be large is refused by its size; one at the limit is read."""
    path = tmp_path / "x.json"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(DataError, match="has 2,147,483,648 bytes, more than the 16,777,216 that"):
        read_own(path)
    path.write_bytes(b"12345")
    assert read_own(path, 5) == b"12345"
    with pytest.raises(DataError, match="has 5 bytes"):
        read_own(path, 4)


def test_discarding_follows_no_link(tmp_path: Path, victim: Path) -> None:
    """Trees go, with links to other trees in them; those stay."""
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "kept").touch()
    (tree := tmp_path / "tree" / "deep").mkdir(parents=True)
    (tree / "link").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(elsewhere)
    for name in ("tree", "link", "nothing"):
        discard(tmp_path / name)
    assert (elsewhere / "kept").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", victim.name]


def test_a_private_directory_is_this_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No link, no file, nobody else's, and not open to others; what is not there is no problem."""
    (directory := tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(directory)
    (tmp_path / "file").touch()
    assert why_not_private(directory) == ""
    assert why_not_private(tmp_path / "none") == ""
    assert why_not_private(tmp_path / "link") == "is a link, not a directory"
    assert why_not_private(tmp_path / "file") == "is a file, not a directory"
    for mode in (0o720, 0o702, 0o777):
        directory.chmod(mode)
        assert why_not_private(directory) == "may be written to by other users"
        assert directory.stat().st_mode & 0o777 == mode
    directory.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert why_not_private(directory) == f"belongs to another user (uid {os.getuid()})"


@pytest.mark.parametrize("fails", [False, True])
def test_a_file_system_without_modes_is_no_reason_for_distrust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """There every directory looks as if all could write to it, and stays so."""
    (directory := tmp_path / "state").mkdir()
    directory.chmod(0o777)

    def chmod(_: Path, mode: int) -> None:
        assert mode & 0o777 in {0o776, 0o777}
        if fails:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", chmod)
    assert own_files.why_not_private(directory) == ""
