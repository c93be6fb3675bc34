import os
import subprocess
import sys
from pathlib import Path

import pytest

from scorer.errors import OutputRefused, UsageError
from scorer.run import preflight
from scorer.run.preflight import check_output, check_place
from scorer.store.commit import inodes
from tests.places import with_directory


@pytest.mark.parametrize("kind", ["path", "symlink", "hard link"])
def test_input_and_output_are_never_one_file(tmp_path: Path, kind: str) -> None:
    """By whatever name: refused even with overwrite."""
    (source := tmp_path / "in.csv").write_text("text\n")
    output = tmp_path / "out.csv"
    if kind == "path":
        output = tmp_path / "sub" / ".." / "in.csv"
        (tmp_path / "sub").mkdir()
    elif kind == "symlink":
        output.symlink_to(source)
    else:
        output.hardlink_to(source)
    with pytest.raises(UsageError) as caught:
        check_place(output, inodes([tmp_path / "none.csv", source]))
    assert str(caught.value) == f"{output} is the input {source} itself; choose another output"


NO_FILE = "is not a regular file; choose another output"
NO_DIRECTORY = "does not exist; create it: mkdir -p "


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none/out.csv", f"the directory {{0}}/none {NO_DIRECTORY}"),
        ("file/out.csv", f"the directory {{0}}/file {NO_DIRECTORY}"),
        ("dir.csv", f"{{0}}/dir.csv {NO_FILE}"),
        ("/dev/null", f"/dev/null {NO_FILE}"),
        ("x" * 300, f"{{0}}/{'x' * 300} cannot be written: file name too long; choose a shorter"),
    ],
    ids=["no directory", "a file as directory", "a directory", "a device", "a name too long"],
)
def test_outputs_that_cannot_be_written_are_refused_at_once(
    tmp_path: Path, name: str, words: str
) -> None:
    """73, with the reason and what to do."""
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputRefused) as caught:
        check_place(tmp_path / name, {})
    assert str(caught.value).startswith(words.format(tmp_path))


@pytest.mark.parametrize("closed", [os.W_OK, os.X_OK])
def test_a_directory_must_be_open_to_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed: int
) -> None:
    """To be written to, and to be entered; asked of the system, as root may enter everywhere."""
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & closed)
    with pytest.raises(OutputRefused, match="cannot be written to; check its permissions"):
        check_place(tmp_path / "out.csv", {})


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        (0x2000, "is a mount point, which cannot be replaced; mount the directory that it is in"),
        (0x10, "cannot be replaced (chattr); sudo chattr -i -a -- "),
        (0x20, "cannot be replaced (chattr); sudo chattr -i -a -- "),
    ],
    ids=["mounted", "immutable", "append only"],
)
@pytest.mark.parametrize(
    "name",
    ["out.csv", ".tweetscore/out.csv.run.json", ".tweetscore/out.csv.state", "out.csv.run.json"],
)
def test_what_no_rename_replaces_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bits: int, words: str, name: str
) -> None:
    """Before any work, and not only the output: what lies beside it would fail after the commit."""
    (path := with_directory(tmp_path / name)).touch()
    monkeypatch.setattr(preflight, "_attributes", lambda each: bits if each == path else 0)
    with pytest.raises(OutputRefused) as caught:
        check_output(tmp_path / "out.csv", {})
    assert str(caught.value).startswith(f"{path} {words}")


def test_a_directory_that_keeps_its_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append-only directory takes new files, and lets none be renamed."""
    monkeypatch.setattr(preflight, "_attributes", lambda each: 0x20 if each == tmp_path else 0)
    with pytest.raises(OutputRefused, match=f"sudo chattr -i -a -- {tmp_path}"):
        check_place(tmp_path / "out.csv", {})


def test_a_system_that_tells_nothing_more_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old C library: then the rename says it."""
    (tmp_path / "out.csv").touch()
    monkeypatch.setattr(preflight, "_statx", lambda: None)
    check_output(tmp_path / "out.csv", {})


def is_sticky_directory_of_others(tmp_path: Path, patch: pytest.MonkeyPatch) -> None:
    """Be another user than the one whose files and directory these are."""
    tmp_path.chmod(0o1777)
    patch.setattr(os, "geteuid", lambda: os.getuid() + 1)


@pytest.mark.parametrize(
    "name",
    ["out.csv", ".tweetscore/out.csv.run.json", ".tweetscore/out.csv.state", "out.csv.run.json"],
)
def test_what_only_its_owner_may_replace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """In a directory such as /tmp."""
    tmp_path.chmod(0o1777)
    (path := with_directory(tmp_path / name)).touch()
    is_sticky_directory_of_others(tmp_path, monkeypatch)
    real = os.open

    def as_no_owner(path: Path, flags: int) -> int:
        if flags & os.O_NOATIME:
            raise PermissionError(1, "Operation not permitted")
        return real(path, flags)

    monkeypatch.setattr(os, "open", as_no_owner)
    with pytest.raises(OutputRefused) as caught:
        check_output(tmp_path / "out.csv", {})
    assert str(caught.value) == (
        f"{path} belongs to another user (uid {os.getuid()}), "
        f"and in {path.parent} only its owner may replace it; choose another output"
    )
    path.unlink()
    check_output(tmp_path / "out.csv", {})


def test_who_may_act_as_the_owner_may_replace_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may; and where nothing is sticky, all may who can write to the directory."""
    (tmp_path / "out.csv").touch()
    tmp_path.chmod(0o1777)
    check_output(tmp_path / "out.csv", {})
    is_sticky_directory_of_others(tmp_path, monkeypatch)
    check_output(tmp_path / "out.csv", {})  # this process owns the directory in truth
    tmp_path.chmod(0o777)
    check_output(tmp_path / "out.csv", {})


NAMESPACES = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)


@pytest.mark.skipif(
    NAMESPACES.returncode != 0, reason="this machine lets nobody mount: unshare -rm fails"
)
@pytest.mark.parametrize("source", ["src", "elsewhere/src"], ids=["same disk", "other disk"])
def test_a_file_that_is_mounted_over_the_output_is_seen(tmp_path: Path, source: str) -> None:
    """With real mounts, and with /proc out of reach."""
    program = "import sys; from pathlib import Path; from scorer.run.preflight import check_place; "
    program += "check_place(Path(sys.argv[1]), {})"
    (tmp_path / "elsewhere").mkdir()
    line = f"""
        touch out.csv src && mount -t tmpfs none elsewhere && touch elsewhere/src &&
        mount --bind {source} out.csv && mount -t tmpfs none /proc &&
        exec {sys.executable} -c '{program}' out.csv
    """
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", line],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "OutputRefused: out.csv is a mount point" in done.stderr
