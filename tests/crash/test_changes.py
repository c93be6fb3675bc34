"""What changes between a kill and the rerun: the next run completes by itself, and is right."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixture, CrashFixtures
from tests.crash.harness import Ended, How, Zygote
from tests.crash.workspace import Workspace, write_input

FORMATS = ["csv", pytest.param("parquet", marks=pytest.mark.ci)]
STORED = 3  # windows that the killed run leaves


def replace_input(workspace: Workspace) -> None:
    write_input(workspace, range(301, 1101))


def append_to_input(workspace: Workspace) -> None:
    write_input(workspace, range(1, 1301))


def touch_input(workspace: Workspace) -> None:
    os.utime(workspace.input, ns=(1, 1_700_000_000_000_000_000))


def nothing(_: Workspace) -> None:
    """Leave the workspace as it is."""


@dataclass(frozen=True)
class Change:
    """What is different in the second run, and the word by which it is named."""

    word: str
    workspace: Callable[[Workspace], None] = nothing
    how: How = field(default_factory=How)
    options: tuple[str, ...] = ()


CHANGES = {
    "input replaced": Change("input.", replace_input),
    "input appended to": Change("input.", append_to_input),
    "input touched": Change("input.mtime_ns", touch_input),
    "package upgraded": Change("libraries.polars", how={"versions": {"polars": "99.1"}}),
    "device gone": Change("runtime.instruction_set", how={"stub": {"instruction_set": "old"}}),
    "bundle upgraded": Change("bundle", how={"stub": {"edition": "2"}}),
    "other labels": Change("options.label_names", options=("--label-names", "A,B,C")),
    "all scores": Change("options.scores", options=("--scores", "all")),
    "other windows": Change("window_rows", options=("--chunk-rows", "170")),
}


def leave_unfinished(workspace: Workspace, zygote: Zygote, go: Path) -> None:
    """Kill a run in its fourth window."""
    held = {"hold_at": STORED + 1, "go": str(go)}
    with zygote.start(workspace.command, workspace.directory, stub=held) as run:
        run.wait_until(lambda run: sum(note.startswith("score") for note in run.notes()) > STORED)
        run.send(9)
        assert run.end().code == -9


def after(workspace: Workspace, zygote: Zygote, change: Change, *options: str) -> Ended:
    command = [*workspace.command, *change.options, *options]
    return zygote.run(command, workspace.directory, **change.how)


def undisturbed(case: CrashFixture, zygote: Zygote, change: Change) -> Workspace:
    """Return what the changed run makes of a workspace that no killed run has seen."""
    workspace = case.copy()
    change.workspace(workspace)
    ended = after(workspace, zygote, change)
    assert (ended.code, ended.warnings) == (0, [])
    return workspace


def state_of(workspace: Workspace) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in workspace.state.iterdir()
    }


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_work_that_does_not_fit_is_thrown_away_with_one_line(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, change: Change, kind: str
) -> None:
    """The run starts afresh, says in one line why, and writes what an undisturbed one does."""
    case = crash_fixture(kind)
    expected = undisturbed(case, zygote, change)
    workspace = case.copy()
    leave_unfinished(workspace, zygote, tmp_path / "go")
    change.workspace(workspace)
    ended = after(workspace, zygote, change)
    assert ended.code == 0, ended.stderr
    assert workspace.products() == expected.products()
    assert workspace.names() == expected.names()
    assert ended.windows >= 4
    (warning,) = ended.warnings
    assert change.word in warning
    assert "is not taken up" in warning


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_required_work_that_does_not_fit_is_kept(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, change: Change
) -> None:
    """With --resume require the run ends with 78, and what the killed one left stays."""
    case = crash_fixture("csv")
    workspace = case.copy()
    leave_unfinished(workspace, zygote, tmp_path / "go")
    untouched = workspace.copy(tmp_path / "untouched")
    change.workspace(workspace)
    before, state = workspace.output_state(), state_of(workspace)
    ended = after(workspace, zygote, change, "--resume", "require")
    assert (ended.code, ended.windows) == (78, 0), ended.stderr
    assert "--resume require" in ended.stderr
    assert (workspace.output_state(), state_of(workspace)) == (before, state)
    # As long as nothing changed for good the work is still worth something.
    shutil.rmtree(workspace.directory)
    workspace = untouched.copy(workspace.directory)
    resumed = zygote.run([*workspace.command, "--resume", "require"], workspace.directory)
    case.check_complete(workspace, resumed)
    assert resumed.windows == 5 - STORED


def test_require_with_nothing_to_resume(crash_fixture: CrashFixtures, zygote: Zygote) -> None:
    """With --resume require and no unfinished run at all: 78, the output untouched."""
    workspace = crash_fixture("csv").copy()
    before, names = workspace.output_state(), workspace.names()
    ended = zygote.run([*workspace.command, "--resume", "require"], workspace.directory)
    assert (ended.code, ended.windows) == (78, 0)
    assert workspace.output_state() == before
    assert workspace.names() - names <= {".tweetscore/out.csv.run.failed.json"}


@pytest.mark.parametrize("kind", FORMATS)
def test_never_starts_afresh(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, kind: str
) -> None:
    """With --resume never all is scored again, without a warning: that is what was asked for."""
    case = crash_fixture(kind)
    workspace = case.copy()
    leave_unfinished(workspace, zygote, tmp_path / "go")
    ended = zygote.run([*workspace.command, "--resume", "never"], workspace.directory)
    case.check_complete(workspace, ended)
    assert (ended.windows, ended.warnings) == (5, [])


@pytest.mark.parametrize("kind", FORMATS)
def test_an_output_that_is_up_to_date_is_left_alone(
    crash_fixture: CrashFixtures, zygote: Zygote, kind: str
) -> None:
    """A second run of the same night loads no model, writes nothing, and says so in one line."""
    case = crash_fixture(kind)
    workspace = case.copy()
    assert zygote.run(workspace.command, workspace.directory).code == 0
    report = workspace.directory / f".tweetscore/{workspace.output.name}.run.json"
    before = workspace.output_state(), report.stat().st_mtime_ns
    # Another version of a library or another device is no reason to score a night again.
    moved: How = {"versions": {"polars": "99.1"}, "stub": {"instruction_set": "old"}}
    unmoved: How = {}
    for how in (unmoved, moved):
        ended = zygote.run(workspace.command, workspace.directory, **how)
        case.check_complete(workspace, ended)
        assert (ended.windows, ended.loaded) == (0, False)
        assert ended.stderr == f"tweetscore: {workspace.output.name} is up to date: 1,000 rows\n"
        assert (workspace.output_state(), report.stat().st_mtime_ns) == before


@pytest.mark.parametrize("change", ["input replaced", "bundle upgraded", "other labels"])
def test_an_output_that_is_out_of_date_is_replaced(
    crash_fixture: CrashFixtures, zygote: Zygote, change: str
) -> None:
    """After a complete run another input, bundle or option means another run."""
    case = crash_fixture("csv")
    expected = undisturbed(case, zygote, CHANGES[change])
    workspace = case.copy()
    assert zygote.run(workspace.command, workspace.directory).code == 0
    CHANGES[change].workspace(workspace)
    ended = after(workspace, zygote, CHANGES[change])
    assert (ended.code, ended.warnings) == (0, [])
    assert ended.windows >= 4
    assert workspace.products() == expected.products()


def change_quietly(workspace: Workspace, row: int, old: bytes, new: bytes) -> None:
    """Change a row without a trace in the file's size and time."""
    status = workspace.input.stat()
    content = workspace.input.read_bytes()
    start = content.index(b"%06d," % row)
    stop = content.index(b"\n", start)
    line = content[start:stop].replace(old, new)
    workspace.input.write_bytes(content[:start] + line + content[stop:])
    os.utime(workspace.input, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert workspace.input.stat().st_size == status.st_size


def wide_workspace(case: CrashFixture) -> Workspace:
    """Return a workspace whose input is longer than the ends that are hashed."""
    workspace = case.copy()
    with workspace.input.open("a", encoding="utf-8") as file:
        file.writelines(f'{row:06d},"{"tweet " * 40} {row}"\n' for row in range(1001, 2001))
    assert workspace.input.stat().st_size > 200_000
    return workspace


@pytest.mark.parametrize("row", [950, 1050, 1150])
def test_stored_work_is_held_against_the_texts(
    crash_fixture: CrashFixtures, zygote: Zygote, tmp_path: Path, row: int
) -> None:
    """A text changed where neither size, time nor ends of the file show it is scored again."""
    case = crash_fixture("csv")
    workspace = wide_workspace(case)
    twin = workspace.copy(tmp_path / "twin")
    held = {"hold_at": 7, "go": str(tmp_path / "go")}
    with zygote.start(workspace.command, workspace.directory, stub=held) as run:
        run.wait_until(lambda run: len(run.notes()) > 7)
        run.send(9)
        run.end()
    for each in (workspace, twin):
        change_quietly(each, row, b"la la", b"la-la") if row < 1001 else change_quietly(
            each, row, b"tweet tweet", b"tweet Tweet"
        )
    assert zygote.run(twin.command, twin.directory).code == 0
    ended = zygote.run(workspace.command, workspace.directory)
    assert (ended.code, workspace.products()) == (0, twin.products())
    assert ended.windows >= 10 - (row - 1) // 200


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", [replace_input, append_to_input], ids=lambda c: c.__name__)
@pytest.mark.parametrize("at", [1, 3, 5])
def test_an_input_that_changes_during_the_run_is_not_published(
    crash_fixture: CrashFixtures,
    zygote: Zygote,
    tmp_path: Path,
    change: Callable[[Workspace], None],
    kind: str,
    at: int,
) -> None:
    """Last night's output stays; the next run scores what is there now."""
    case = crash_fixture(kind)
    expected = undisturbed(case, zygote, Change("", change))
    workspace = case.copy()
    before = workspace.output_state()
    go = tmp_path / "go"
    with zygote.start(
        workspace.command, workspace.directory, stub={"hold_at": at, "go": str(go)}
    ) as run:
        run.wait_until(lambda run: sum(note.startswith("score") for note in run.notes()) == at)
        change(workspace)
        go.touch()
        ended = run.end()
    assert (ended.code, workspace.output_state()) == (65, before), ended.stderr
    assert f"{workspace.input.name} changed" in ended.stderr
    again = zygote.run(workspace.command, workspace.directory)
    assert (again.code, workspace.products()) == (0, expected.products())
    assert workspace.names() == expected.names()
