"""A growing file whose run is killed: the same bytes, whatever was taken over before."""

import json
import random
from collections.abc import Callable

import pytest

from tests.crash.harness import Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import LAST_NIGHT, Theatre

FORMATS = ["csv", "parquet", "ndjson", "arrow"]
TAKEN_OVER = sum(1 for row in LAST_NIGHT if row % 17)  # the others are blank
Theatres = Callable[[str], Theatre]


def command(scene: Scene) -> list[str]:
    return [*scene.command, "--id-column", "id"]


def taken_over(scene: Scene) -> int:
    report = json.loads(scene.directory.joinpath(f"{scene.output.name}.run.json").read_bytes())
    rows: int = report["taken_over"]["rows"]
    return rows


@pytest.mark.parametrize("kind", FORMATS)
def test_a_growing_run_killed_at_its_files_resumes(
    theatre: Theatres, zygote: Zygote, kind: str
) -> None:
    """As it opens, renames and removes: what a full run writes, last night's rows taken over."""
    play = theatre(kind)
    codes = []
    for event in range(4, 100, 16):
        scene = play.copy()
        codes.append(zygote.run(command(scene), scene.directory, event=event).code)
        play.check_complete(scene, zygote.run(command(scene), scene.directory))
        assert taken_over(scene) == TAKEN_OVER
        play.drop(scene)
    assert codes.count(-9) >= 4


@pytest.mark.ci
@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
def test_a_growing_run_killed_or_failing_anywhere_resumes(
    theatre: Theatres, watched: Zygote, count: Callable[[int, int], int], kind: str
) -> None:
    """At random system calls, by a signal, a torn write, an error of the device or a full disk."""
    play = theatre(kind)
    scene = play.copy()
    last = len(watched.run(command(scene), scene.directory, fault="none").calls)
    play.drop(scene)
    for number in range(count(12, 100)):
        chance = random.Random(number)  # noqa: S311 - no secret, and the same every time
        scene = play.copy()
        before = scene.output_state()
        fault = chance.choice(["kill", "torn", "EIO", "ENOSPC"])
        point = chance.randint(1, last)
        ended = watched.run(command(scene), scene.directory, fault=fault, at=point)
        done = ended.code == 0 or play.committed(scene, ended.calls)
        assert ended.code in {0, -9, 73, 74}, ended.stderr
        assert done or scene.output_state() == before
        play.check_complete(scene, watched.run(command(scene), scene.directory))
        assert taken_over(scene) == TAKEN_OVER
        play.drop(scene)
