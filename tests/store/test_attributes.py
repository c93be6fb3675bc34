import errno
import os
import stat
import struct
from pathlib import Path

import pytest

from scorer.store.commit import is_trusted, replace_bytes
from scorer.store.own_files import keep_attributes

ACL = "system.posix_acl_access"


def access_list(user: int, rights: int, mask: int) -> bytes:
    """Return `user::rw-,user:USER:RIGHTS,group::---,mask::MASK,other::---` as the kernel has it."""
    nobody = 0xFFFFFFFF
    entries = [
        (1, 6, nobody),
        (2, rights, user),
        (4, 0, nobody),
        (16, mask, nobody),
        (32, 0, nobody),
    ]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """Return an old file that only its owner may read, and a new one as the umask has it."""
    (old := tmp_path / "out.csv").write_text("old")
    old.chmod(0o600)
    (new := tmp_path / "new").write_text("new")
    new.chmod(0o644)
    return old, new


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444, 0o604])
def test_the_mode_is_kept(files: tuple[Path, Path], mode: int) -> None:
    """Whatever it is; a new output is no wider and no narrower than the old one."""
    old, new = files
    old.chmod(mode)
    assert keep_attributes(old, new) == ()
    assert mode_of(new) == mode


def test_what_a_write_would_clear_is_not_kept(files: tuple[Path, Path]) -> None:
    """A file of rows is no program of its owner's."""
    old, new = files
    old.chmod(0o6755)
    keep_attributes(old, new)
    assert mode_of(new) == 0o755


def test_a_directory_keeps_what_only_a_file_loses(tmp_path: Path) -> None:
    """In a directory the set-group-id bit says whose the files in it are."""
    (old := tmp_path / "out.parts").mkdir()
    old.chmod(0o2750)
    (new := tmp_path / "new").mkdir()
    assert keep_attributes(old, new) == ()
    assert mode_of(new) == 0o2750


def test_without_an_old_file_nothing_is_done(files: tuple[Path, Path]) -> None:
    """A new output follows the umask."""
    old, new = files
    old.unlink()
    assert keep_attributes(old, new) == ()
    assert mode_of(new) == 0o644


def test_the_access_list_and_the_users_attributes_are_kept(files: tuple[Path, Path]) -> None:
    """Who else may read it goes on to."""
    old, new = files
    acl = access_list(4321, 4, 4)
    os.setxattr(old, ACL, acl)
    os.setxattr(old, "user.origin", b"nightly")
    assert keep_attributes(old, new) == ()
    assert os.getxattr(new, ACL) == acl
    assert os.getxattr(new, "user.origin") == b"nightly"
    assert mode_of(new) == 0o640


def test_an_access_list_of_the_directory_does_not_come_with_it(tmp_path: Path) -> None:
    """New files inherit one; an old file that had none stays without."""
    (old := tmp_path / "out.csv").write_text("old")
    old.chmod(0o600)
    os.setxattr(tmp_path, "system.posix_acl_default", access_list(4321, 6, 6))
    (new := tmp_path / "new").write_text("new")
    assert ACL in os.listxattr(new)
    keep_attributes(old, new)
    assert ACL not in os.listxattr(new)
    assert mode_of(new) == 0o600


def test_an_access_list_that_cannot_be_set_opens_nothing(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits of the group were the most that its entries could allow, not what they did."""
    old, new = files
    os.setxattr(old, ACL, access_list(4321, 4, 4))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    (line,) = keep_attributes(old, new)
    assert mode_of(new) == 0o600
    assert line.startswith(f"{old} could not keep its access control list (")


def test_who_may_not_give_files_away_is_warned(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody may read the new file who could not read the old one."""
    old, new = files
    old.chmod(0o640)
    real, status = Path.lstat, old.lstat()

    def of_others(path: Path) -> os.stat_result:
        if path != old:
            return real(path)
        return os.stat_result((*status[:4], 4321, 1234, *status[6:]))

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "lstat", of_others)
    monkeypatch.setattr(os, "fchown", refuse)
    (line,) = keep_attributes(old, new)
    assert line == (
        f"{old} could not keep its owner and group (4321:1234) when it was replaced; "
        f"sudo chown 4321:1234 -- {old}"
    )
    assert mode_of(new) == 0o600


def test_a_failing_device_is_not_taken_for_a_missing_right(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is an error as any other."""

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(OSError, match="Input/output error"):
        keep_attributes(*files)


def test_what_tells_of_the_old_content_is_not_kept(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature of the old file would be wrong for the new one."""
    old, new = files
    kept = {"security.selinux": b"label", "security.ima": b"signature", "trusted.x": b"x"}
    monkeypatch.setattr(os, "listxattr", lambda *_, **__: list(kept))
    monkeypatch.setattr(os, "getxattr", lambda _, name, **__: kept[name])
    given: dict[str, bytes] = {}
    monkeypatch.setattr(os, "setxattr", lambda _, name, value: given.update({name: value}))
    assert keep_attributes(old, new) == ()
    assert given == {"security.selinux": b"label"}


def test_attributes_that_a_device_does_not_give_are_an_error(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows then who may read the old file."""

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "listxattr", fail)
    with pytest.raises(OSError, match="Input/output error"):
        keep_attributes(*files)


def test_a_file_system_without_attributes_has_none_to_keep(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode and owner are kept all the same."""

    def refuse(*_: object, **__: object) -> list[str]:
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(os, "listxattr", refuse)
    assert keep_attributes(*files) == ()
    assert mode_of(files[1]) == 0o600


@pytest.mark.parametrize(
    ("report", "output", "expected"),
    [(0o600, 0o644, 0o600), (0o640, None, 0o640), (None, 0o600, 0o600), (None, None, 0o644)],
)
def test_a_report_is_no_wider_than_what_it_tells_of(
    tmp_path: Path, report: int | None, output: int | None, expected: int
) -> None:
    """One that is replaced keeps its mode, a new one has the output's at most, under the umask."""
    for name, mode in (("out.csv.run.json", report), ("out.csv", output)):
        if mode is not None:
            (tmp_path / name).touch()
            (tmp_path / name).chmod(mode)
    before = os.umask(0o022)
    try:
        replace_bytes(tmp_path / "out.csv.run.json", b"{}", beside=tmp_path / "out.csv")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "out.csv.run.json") == expected


def test_nobody_has_a_report_made_in_his_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that a stranger left in a directory of all does not say who may read ours."""
    (planted := tmp_path / "out.csv.run.json").touch()
    assert is_trusted(planted)
    assert not is_trusted(tmp_path / "none")
    real = Path.stat
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    def of_root(path: Path, **how: bool) -> os.stat_result:
        status = real(path, **how)
        return os.stat_result((*status[:4], 54321, *status[5:])) if path == tmp_path else status

    monkeypatch.setattr(Path, "stat", of_root)
    assert not is_trusted(planted)
    (tmp_path / "out.csv").touch()
    assert is_trusted(planted, tmp_path / "out.csv")
