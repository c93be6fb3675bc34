"""What changes between a kill and the rerun: the next run completes by itself, and is right."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.harness import Ended, How, Zygote
from tests.crash.scenes import Scene, write_input
from tests.crash.theatre import Theatre

Theatres = Callable[[str], Theatre]
FORMATS = ["csv", pytest.param("parquet", marks=pytest.mark.ci)]
STORED = 3  # windows that the killed run leaves


def replace_input(scene: Scene) -> None:
    write_input(scene, range(301, 1101))


def append_to_input(scene: Scene) -> None:
    write_input(scene, range(1, 1301))


def touch_input(scene: Scene) -> None:
    os.utime(scene.input, ns=(1, 1_700_000_000_000_000_000))


def nothing(_: Scene) -> None:
    """Leave the scene as it is."""


@dataclass(frozen=True)
class Change:
    """What is different in the second run, and the word by which it is named."""

    word: str
    scene: Callable[[Scene], None] = nothing
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


def leave_unfinished(scene: Scene, zygote: Zygote, go: Path) -> None:
    """Kill a run in its fourth window."""
    held = {"hold_at": STORED + 1, "go": str(go)}
    with zygote.start(scene.command, scene.directory, stub=held) as run:
        run.wait_until(lambda run: sum(note.startswith("score") for note in run.notes()) > STORED)
        run.send(9)
        assert run.end().code == -9


def after(scene: Scene, zygote: Zygote, change: Change, *options: str) -> Ended:
    command = [*scene.command, *change.options, *options]
    return zygote.run(command, scene.directory, **change.how)


def undisturbed(play: Theatre, zygote: Zygote, change: Change) -> Scene:
    """Return what the changed run makes of a scene that no killed run has seen."""
    scene = play.copy()
    change.scene(scene)
    ended = after(scene, zygote, change)
    assert (ended.code, ended.warnings) == (0, [])
    return scene


def state_of(scene: Scene) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in scene.state.iterdir()
    }


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_work_that_does_not_fit_is_thrown_away_with_one_line(
    theatre: Theatres, zygote: Zygote, tmp_path: Path, change: Change, kind: str
) -> None:
    """The run starts afresh, says in one line why, and writes what an undisturbed one does."""
    play = theatre(kind)
    expected = undisturbed(play, zygote, change)
    scene = play.copy()
    leave_unfinished(scene, zygote, tmp_path / "go")
    change.scene(scene)
    ended = after(scene, zygote, change)
    assert ended.code == 0, ended.stderr
    assert scene.products() == expected.products()
    assert scene.names() == expected.names()
    assert ended.windows >= 4
    (warning,) = ended.warnings
    assert change.word in warning
    assert "is not taken up" in warning


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_required_work_that_does_not_fit_is_kept(
    theatre: Theatres, zygote: Zygote, tmp_path: Path, change: Change
) -> None:
    """With --resume require the run ends with 78, and what the killed one left stays."""
    play = theatre("csv")
    scene = play.copy()
    leave_unfinished(scene, zygote, tmp_path / "go")
    untouched = scene.copy(tmp_path / "untouched")
    change.scene(scene)
    before, state = scene.output_state(), state_of(scene)
    ended = after(scene, zygote, change, "--resume", "require")
    assert (ended.code, ended.windows) == (78, 0), ended.stderr
    assert "--resume require" in ended.stderr
    assert (scene.output_state(), state_of(scene)) == (before, state)
    # As long as nothing changed for good the work is still worth something.
    shutil.rmtree(scene.directory)
    scene = untouched.copy(scene.directory)
    resumed = zygote.run([*scene.command, "--resume", "require"], scene.directory)
    play.check_complete(scene, resumed)
    assert resumed.windows == 5 - STORED


def test_require_with_nothing_to_resume(theatre: Theatres, zygote: Zygote) -> None:
    """With --resume require and no unfinished run at all: 78, the output untouched."""
    scene = theatre("csv").copy()
    before, names = scene.output_state(), scene.names()
    ended = zygote.run([*scene.command, "--resume", "require"], scene.directory)
    assert (ended.code, ended.windows) == (78, 0)
    assert scene.output_state() == before
    assert scene.names() - names <= {"out.csv.run.failed.json"}


@pytest.mark.parametrize("kind", FORMATS)
def test_never_starts_afresh(theatre: Theatres, zygote: Zygote, tmp_path: Path, kind: str) -> None:
    """With --resume never all is scored again, without a warning: that is what was asked for."""
    play = theatre(kind)
    scene = play.copy()
    leave_unfinished(scene, zygote, tmp_path / "go")
    ended = zygote.run([*scene.command, "--resume", "never"], scene.directory)
    play.check_complete(scene, ended)
    assert (ended.windows, ended.warnings) == (5, [])


@pytest.mark.parametrize("kind", FORMATS)
def test_an_output_that_is_up_to_date_is_left_alone(
    theatre: Theatres, zygote: Zygote, kind: str
) -> None:
    """A second run of the same night loads no model, writes nothing, and says so in one line."""
    play = theatre(kind)
    scene = play.copy()
    assert zygote.run(scene.command, scene.directory).code == 0
    report = scene.directory / f"{scene.output.name}.run.json"
    before = scene.output_state(), report.stat().st_mtime_ns
    # Another version of a library or another device is no reason to score a night again.
    moved: How = {"versions": {"polars": "99.1"}, "stub": {"instruction_set": "old"}}
    unmoved: How = {}
    for how in (unmoved, moved):
        ended = zygote.run(scene.command, scene.directory, **how)
        play.check_complete(scene, ended)
        assert (ended.windows, ended.loaded) == (0, False)
        assert ended.stderr == f"tweetscore: {scene.output.name} is up to date: 1,000 rows\n"
        assert (scene.output_state(), report.stat().st_mtime_ns) == before


@pytest.mark.parametrize("change", ["input replaced", "bundle upgraded", "other labels"])
def test_an_output_that_is_out_of_date_is_replaced(
    theatre: Theatres, zygote: Zygote, change: str
) -> None:
    """After a complete run another input, bundle or option means another run."""
    play = theatre("csv")
    expected = undisturbed(play, zygote, CHANGES[change])
    scene = play.copy()
    assert zygote.run(scene.command, scene.directory).code == 0
    CHANGES[change].scene(scene)
    ended = after(scene, zygote, CHANGES[change])
    assert (ended.code, ended.warnings) == (0, [])
    assert ended.windows >= 4
    assert scene.products() == expected.products()


def change_quietly(scene: Scene, row: int, old: bytes, new: bytes) -> None:
    """Change a row without a trace in the file's size and time."""
    status = scene.input.stat()
    content = scene.input.read_bytes()
    start = content.index(b"%06d," % row)
    stop = content.index(b"\n", start)
    line = content[start:stop].replace(old, new)
    scene.input.write_bytes(content[:start] + line + content[stop:])
    os.utime(scene.input, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert scene.input.stat().st_size == status.st_size


def wide_scene(play: Theatre) -> Scene:
    """Return a scene whose input is longer than the ends that are hashed."""
    scene = play.copy()
    with scene.input.open("a", encoding="utf-8") as file:
        file.writelines(f'{row:06d},"{"tweet " * 40} {row}"\n' for row in range(1001, 2001))
    assert scene.input.stat().st_size > 200_000
    return scene


@pytest.mark.parametrize("row", [950, 1050, 1150])
def test_stored_work_is_held_against_the_texts(
    theatre: Theatres, zygote: Zygote, tmp_path: Path, row: int
) -> None:
    """A text changed where neither size, time nor ends of the file show it is scored again."""
    play = theatre("csv")
    scene = wide_scene(play)
    twin = scene.copy(tmp_path / "twin")
    held = {"hold_at": 7, "go": str(tmp_path / "go")}
    with zygote.start(scene.command, scene.directory, stub=held) as run:
        run.wait_until(lambda run: len(run.notes()) > 7)
        run.send(9)
        run.end()
    for each in (scene, twin):
        change_quietly(each, row, b"la la", b"la-la") if row < 1001 else change_quietly(
            each, row, b"tweet tweet", b"tweet Tweet"
        )
    assert zygote.run(twin.command, twin.directory).code == 0
    ended = zygote.run(scene.command, scene.directory)
    assert (ended.code, scene.products()) == (0, twin.products())
    assert ended.windows >= 10 - (row - 1) // 200


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", [replace_input, append_to_input], ids=lambda c: c.__name__)
@pytest.mark.parametrize("at", [1, 3, 5])
def test_an_input_that_changes_during_the_run_is_not_published(
    theatre: Theatres,
    zygote: Zygote,
    tmp_path: Path,
    change: Callable[[Scene], None],
    kind: str,
    at: int,
) -> None:
    """Last night's output stays; the next run scores what is there now."""
    play = theatre(kind)
    expected = undisturbed(play, zygote, Change("", change))
    scene = play.copy()
    before = scene.output_state()
    go = tmp_path / "go"
    with zygote.start(scene.command, scene.directory, stub={"hold_at": at, "go": str(go)}) as run:
        run.wait_until(lambda run: sum(note.startswith("score") for note in run.notes()) == at)
        change(scene)
        go.touch()
        ended = run.end()
    assert (ended.code, scene.output_state()) == (65, before), ended.stderr
    assert f"{scene.input.name} changed" in ended.stderr
    again = zygote.run(scene.command, scene.directory)
    assert (again.code, scene.products()) == (0, expected.products())
    assert scene.names() == expected.names()
