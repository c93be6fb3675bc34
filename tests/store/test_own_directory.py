import os
import stat
from pathlib import Path

import pytest

from scorer.errors import OutputRefused
from scorer.run.preflight import check_output
from scorer.store.lock import locked
from scorer.store.own_directory import check_own_directory, make_own_directory
from scorer.store.paths import (
    commit_record_path,
    failed_report_path,
    lock_path,
    making_directory,
    own_directory,
    rejects_path,
    report_path,
    state_aside,
    state_directory,
    temporary_sibling,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (directory := tmp_path / "outputs of all").mkdir()
    return directory / "out.csv"


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o775, 0o2775, 0o1777, 0o777])
def test_it_is_as_open_as_its_directory(output: Path, mode: int) -> None:
    """Whatever the umask: who may put an output there may put there what belongs to it."""
    output.parent.chmod(mode)
    before = os.umask(0o077)
    try:
        make_own_directory(output)
        make_own_directory(output)
    finally:
        os.umask(before)
    assert mode_of(own_directory(output)) == mode
    check_output(output, {})


def test_behind_a_link_it_is_as_open_as_the_directory(output: Path, tmp_path: Path) -> None:
    """The mode of a link is that of no directory."""
    output.parent.chmod(0o750)
    (link := tmp_path / "link").symlink_to(output.parent)
    make_own_directory(link / output.name)
    assert mode_of(own_directory(output)) == 0o750
    check_output(link / output.name, {})


def test_what_is_in_it_is_not_opened_by_making_it_again(output: Path) -> None:
    """Its owner may close it."""
    output.parent.chmod(0o755)
    make_own_directory(output)
    own_directory(output).chmod(0o700)
    make_own_directory(output)
    assert mode_of(own_directory(output)) == 0o700


def test_two_runs_may_make_it_at_once(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one finds it there."""
    real = Path.mkdir

    def mkdir(path: Path, mode: int) -> None:
        real(path, mode)
        real(path, mode)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    make_own_directory(output)
    assert own_directory(output).is_dir()


@pytest.mark.parametrize("kind", ["a link", "a file", "a pipe"])
def test_it_is_a_directory_or_refused(output: Path, tmp_path: Path, kind: str) -> None:
    """A link may lead to another disk, or into another user's directory."""
    path = own_directory(output)
    if kind == "a link":
        path.symlink_to(tmp_path)
    elif kind == "a pipe":
        os.mkfifo(path)
    else:
        path.touch()
    for call in (lambda: check_output(output, {}), lambda: locked(output).__enter__()):
        with pytest.raises(OutputRefused) as caught:
            call()
        assert (
            str(caught.value) == f"{path} is {kind}, not a directory; mv -- '{path}' '{path}.old'"
        )


def test_in_a_directory_of_all_it_is_no_strangers(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner could take from it what others have in it, which nobody can in such as /tmp."""
    make_own_directory(output)
    directory, parent = own_directory(output), output.parent
    parent.chmod(0o1777)
    directory.chmod(0o1777)
    real = Path.lstat

    def of_a_stranger(path: Path) -> os.stat_result:
        status = real(path)
        return os.stat_result((*status[:4], 4711, *status[5:])) if path == directory else status

    monkeypatch.setattr(Path, "lstat", of_a_stranger)
    with pytest.raises(OutputRefused) as caught:
        check_own_directory(output)
    assert str(caught.value) == (
        f"{directory} belongs to another user (uid 4711), who could change in it what belongs to "
        f"others; sudo chown --reference='{parent}' -- '{directory}', or choose another directory"
    )
    parent.chmod(0o777)  # where all may change what is there, he is one of them
    directory.chmod(0o777)
    check_own_directory(output)


@pytest.mark.parametrize(
    ("parent", "own", "refused"),
    [(0o755, 0o775, True), (0o1777, 0o777, True), (0o775, 0o755, False), (0o777, 0o777, False)],
)
def test_it_is_no_more_open_than_its_directory(
    output: Path, parent: int, own: int, *, refused: bool
) -> None:
    """Or the state in it could be exchanged by those who may not change an output."""
    make_own_directory(output)
    output.parent.chmod(parent)
    own_directory(output).chmod(own)
    if not refused:
        check_own_directory(output)
        return
    with pytest.raises(OutputRefused, match=r"by more users than .*; chmod --reference="):
        check_own_directory(output)


def test_one_that_is_closed_to_us_is_refused_with_a_line(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the model works."""
    make_own_directory(output)
    real = os.access
    closed = own_directory(output)
    monkeypatch.setattr(os, "access", lambda path, how: path != closed and real(path, how))
    with pytest.raises(OutputRefused, match="cannot be written to; sudo chmod --reference="):
        check_output(output, {})


@pytest.mark.parametrize("name", ["a" * 251 + ".csv", "é" * 125 + ".csv", "\udcff" * 251 + ".csv"])
def test_a_name_may_be_as_long_as_the_file_system_permits(tmp_path: Path, name: str) -> None:
    """What derives from it fits, is text where the name is none, and is that of no other name."""
    output, other = tmp_path / name, tmp_path / f"x{name[1:]}"
    places = (
        *(report_path, failed_report_path, rejects_path, state_directory, lock_path),
        making_directory,
    )
    found = [place(each) for each in (output, other) for place in places]
    found.append(state_aside(output, "01234567"))
    assert len({each.name for each in found}) == 13
    for path in [*found, *map(temporary_sibling, found), commit_record_path(output)]:
        assert len(path.name.encode()) <= 255
    with locked(output):
        output.touch()


def test_short_names_are_read_at_once(tmp_path: Path) -> None:
    """The places of an output as its users know them."""
    output = tmp_path / "out.csv"
    places = (report_path, failed_report_path, rejects_path, state_directory, lock_path)
    assert [str(place(output).relative_to(tmp_path)) for place in places] == [
        ".tweetscore/out.csv.run.json",
        ".tweetscore/out.csv.run.failed.json",
        ".tweetscore/out.csv.rejects.ndjson",
        ".tweetscore/out.csv.state",
        ".tweetscore/out.csv.lock",
    ]
