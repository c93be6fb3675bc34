import hashlib
import json
import os
from pathlib import Path

import pytest

from scorer.errors import OutputRefused, StorageError
from scorer.os_errors import writing
from scorer.store.commit import (
    FileIdentity,
    check_owner,
    is_ours,
    json_text,
    replacing,
    write_json,
)
from scorer.store.paths import report_path, temporary_sibling
from tests.places import with_directory


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


def recorded(output: Path) -> None:
    write_json(with_directory(report_path(output)), {"output": FileIdentity.of(output).as_json()})


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
    with_directory(report_path(output)).write_text(report, encoding="latin-1")
    assert not is_ours(output)


def test_a_stranger_is_told_what_to_do(tmp_path: Path) -> None:
    """The whole line."""
    (output := tmp_path / "out.csv").write_text("x")
    with pytest.raises(OutputRefused) as caught:
        check_owner(output)
    assert str(caught.value) == (
        f"{output} exists and was not written by tweetscore, or was changed since; "
        "remove it, choose another output, or use --overwrite"
    )


def test_a_report_is_for_people_and_for_programs() -> None:
    """Lines that can be read, letters that any encoding has, numbers that any reader knows."""
    assert json_text({"name": "caf\udce9", "n": [1]}) == (
        '{\n  "name": "caf\\udce9",\n  "n": [\n    1\n  ]\n}\n'
    )
    with pytest.raises(ValueError, match="JSON"):
        json_text({"n": float("nan")})


def test_an_identity_is_size_time_and_content(tmp_path: Path) -> None:
    """What the report will say of the output."""
    (path := tmp_path / "out.csv").write_bytes(b"scored")
    status = path.stat()
    digest = hashlib.sha256(b"scored").hexdigest()
    assert FileIdentity.of(path) == FileIdentity(6, status.st_mtime_ns, digest)


def test_a_full_disk_is_a_storage_error(tmp_path: Path) -> None:
    """ENOSPC is one line with exit code 74."""
    with (
        pytest.raises(StorageError, match="no space left on device; free some space"),
        writing(tmp_path),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
