import json
import os
from pathlib import Path

import pytest

from scorer.errors import OutputRefused, StorageError, UsageError
from scorer.files.discover import report_path
from scorer.files.publish import (
    FileIdentity,
    check_owner,
    check_place,
    is_ours,
    replacing,
    temporary_sibling,
    write_json,
)
from scorer.files.storage import writing


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def test_a_complete_file_takes_the_name_at_the_end(tmp_path: Path) -> None:
    """Until the block ends the old output is there; then the new one, and nothing else."""
    (output := tmp_path / "out.csv").write_text("old")
    temporary = temporary_sibling(output)
    assert temporary == tmp_path / ".out.csv.tweetscore.tmp"
    with replacing(output, temporary):
        temporary.write_text("new")
        assert output.read_text() == "old"
    assert output.read_text() == "new"
    assert names(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(28, "No space left")])
def test_any_failure_leaves_the_old_output_and_nothing_else(
    tmp_path: Path, error: type[BaseException] | BaseException
) -> None:
    """Interrupts and bugs too remove what was begun."""
    (output := tmp_path / "out.csv").write_text("old")

    def fail() -> None:
        temporary = temporary_sibling(output)
        with replacing(output, temporary):
            temporary.write_text("half")
            raise error

    with pytest.raises((KeyboardInterrupt, ValueError, OSError)):
        fail()
    assert output.read_text() == "old"
    assert names(tmp_path) == ["out.csv"]


def test_new_files_follow_the_umask(tmp_path: Path) -> None:
    """An output is no more private or public than any other file of the user."""
    before = os.umask(0o027)
    try:
        write_json(tmp_path / "x.json", {"a": 1})
    finally:
        os.umask(before)
    assert (tmp_path / "x.json").stat().st_mode & 0o777 == 0o640
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}


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
    with pytest.raises(UsageError, match="is the input"):
        check_place(output, [source])


def recorded(output: Path) -> None:
    write_json(report_path(output), {"output": FileIdentity.of(output).as_json()})


def test_an_output_that_its_report_records_is_ours(tmp_path: Path) -> None:
    """By size and mtime, or by content when it was copied; any other file is not."""
    (output := tmp_path / "out.csv").write_text("scored")
    assert not is_ours(output)
    recorded(output)
    check_owner(output)
    os.utime(output, (1, 1))
    check_owner(output)  # the same content with another time
    output.write_text("edited")
    with pytest.raises(OutputRefused, match="--overwrite"):
        check_owner(output)
    check_owner(output, overwrite=True)
    output.unlink()
    check_owner(output)


@pytest.mark.parametrize(
    "report", ["", "[]", "{}", '{"output": 1}', '{"output": {"size": 1}}', "\xff"]
)
def test_a_report_that_is_none_makes_nothing_ours(tmp_path: Path, report: str) -> None:
    """A broken report is no reason to replace a file, nor to fail with a bug."""
    (output := tmp_path / "out.csv").write_text("x")
    report_path(output).write_text(report, encoding="latin-1")
    assert not is_ours(output)


def test_outputs_that_cannot_be_written_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No directory, a directory of that name, a device, a name too long, no permission: 73."""
    (tmp_path / "dir.csv").mkdir()
    (tmp_path / "file").write_text("")
    for output in [
        tmp_path / "none" / "out.csv",
        tmp_path / "dir.csv",
        tmp_path / "file" / "out.csv",
        tmp_path / ("x" * 300 + ".csv"),
        Path("/dev/null"),
    ]:
        with pytest.raises(OutputRefused):
            check_place(output, [])
    monkeypatch.setattr(os, "access", lambda *_: False)  # as root every directory is open
    with pytest.raises(OutputRefused, match="cannot be written to"):
        check_place(tmp_path / "out.csv", [])


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """ENOSPC is one line with exit code 74."""
    with (
        pytest.raises(StorageError, match="no space left on device; free some space"),
        writing(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
