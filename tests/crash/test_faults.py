"""Every call that can fail fails once: nothing is lost, and the next run is right."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.crash.harness import Call, Ended, Zygote
from tests.crash.scenes import Scene
from tests.crash.theatre import Theatre

FORMATS = ["csv", "parquet"]
WINDOWS = 5
Theatres = Callable[[str], Theatre]

pytestmark = pytest.mark.ci


def every_point(
    play: Theatre,
    watched: Zygote,
    fault: str,
    prepare: Callable[[Scene], object] = lambda _: None,
    stride: int = 1,
) -> Iterator[tuple[Scene, tuple[str, int, int], Ended]]:
    """Run the scene once for each call (or some) that can suffer the fault; yield what is then."""
    at = 1
    while True:
        scene = play.copy()
        prepare(scene)
        before = scene.output_state()
        ended = watched.run(scene.command, scene.directory, fault=fault, at=at)
        if ended.struck is None:
            return
        yield scene, before, ended
        play.drop(scene)
        at = ended.struck.number + stride


def journalled(scene: Scene, calls: list[Call]) -> int:
    """Return how many windows a watched run has stored durably."""
    return sum(
        call.name == "fsync" and call.path == scene.state / "journal" and not call.fault
        for call in calls
    )


def check_failure(play: Theatre, scene: Scene, before: object, ended: Ended) -> bool:
    """Hold a run that met an error against the promise; tell whether it has published."""
    published = play.committed(scene, ended.calls)
    assert "bug of ours" not in ended.stderr
    if published:
        assert ended.code == 0, (ended.struck, ended.stderr)
        assert len(ended.warnings) <= 1, ended.stderr
        assert scene.output.read_bytes() == play.expected.output
    else:
        assert ended.code == 74, (ended.struck, ended.stderr)
        assert scene.output_state() == before, ended.struck
    return published


def check_next_run(play: Theatre, scene: Scene, zygote: Zygote, stored: int) -> None:
    """The next run is right, scores nothing that is stored, and tidies up."""
    again = zygote.run(scene.command, scene.directory)
    play.check_complete(scene, again)
    assert again.windows <= WINDOWS - stored


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", ["EIO", "ENOSPC", "full", "EINTR"])
def test_an_error_before_the_commit_is_74_and_after_it_a_warning(
    theatre: Theatres,
    watched: Zygote,
    count: Callable[[int, int], int],
    kind: str,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """For every N: the N-th call fails; the output is last night's or tonight's, never another.

    A disk that stays full from there on, and calls that are interrupted: at some N every day.
    """
    play = theatre(kind)
    seen: Counter[str] = Counter()
    stride = count({"full": 4, "EINTR": 8}.get(fault, 1), 1)
    for scene, before, ended in every_point(play, watched, fault, stride=stride):
        published = check_failure(play, scene, before, ended)
        stored = WINDOWS if published else journalled(scene, ended.calls)
        check_next_run(play, scene, watched, stored)
        seen["published" if published else "not published"] += 1
    figure(f"{kind} {fault}: {sum(seen.values())} points: {dict(seen)}")
    assert seen["published"] + seen["not published"] > WINDOWS
    assert min(seen["published"], seen["not published"]) > 0 or stride > 1


@pytest.mark.parametrize("kind", FORMATS)
def test_short_writes_are_continued(
    theatre: Theatres,
    watched: Zygote,
    kind: str,
    figure: Callable[[str], None],
) -> None:
    """A write that takes half of the bytes is no error: the rest follows."""
    play = theatre(kind)
    points = 0
    for scene, _, ended in every_point(play, watched, "short"):
        play.check_complete(scene, ended)
        points += 1
    figure(f"{kind} short: {points} points")
    assert points > 2 * WINDOWS


@pytest.mark.long
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", ["kill", "torn"])
def test_the_end_of_the_process_at_any_call_loses_nothing(
    theatre: Theatres,
    watched: Zygote,
    count: Callable[[int, int], int],
    kind: str,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """At every (other) N: killed at a call, or amid a write; the next run is right."""
    play = theatre(kind)
    points = 0
    stride = count({("kill", "csv"): 2, ("kill", "parquet"): 4}.get((fault, kind), 1), 1)
    for scene, before, ended in every_point(play, watched, fault, stride=stride):
        assert ended.code == -9
        published = play.committed(scene, ended.calls)
        assert published or scene.output_state() == before
        stored = WINDOWS if published else journalled(scene, ended.calls)
        check_next_run(play, scene, watched, stored)
        points += 1
    figure(f"{kind} {fault}: {points} points")
    assert points > 2 * WINDOWS


def kill_after(play: Theatre, watched: Zygote, stage: Callable[[Scene, Call], bool]) -> int:
    """Return the number of the call after the last one for which `stage` holds."""
    scene = play.copy()
    calls = watched.run(scene.command, scene.directory, fault="none").calls
    play.drop(scene)
    return max(call.number for call in calls if stage(scene, call)) + 1


@pytest.mark.parametrize("fault", ["EIO", "full", "kill"])
def test_what_goes_wrong_while_a_publish_is_finished_is_made_good(
    theatre: Theatres,
    watched: Zygote,
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """For every N of the run after a kill at the commit: the new output stays, no model is run."""
    play = theatre("csv")
    at = kill_after(play, watched, lambda scene, call: call.to == scene.output)
    points = 0

    def publish_half(scene: Scene) -> None:
        ended = watched.run(scene.command, scene.directory, fault="kill", at=at)
        assert ended.code == -9
        assert play.committed(scene, ended.calls)

    for scene, _, ended in every_point(play, watched, fault, publish_half):
        assert ended.code in {0, 74, -9}, (ended.struck, ended.stderr)
        assert scene.output.read_bytes() == play.expected.output
        check_next_run(play, scene, watched, stored=WINDOWS)
        points += 1
    figure(f"{fault}: {points} points")
    assert points > 2


@pytest.mark.long
@pytest.mark.parametrize("fault", ["EIO", "full", "kill", "torn"])
def test_what_goes_wrong_while_a_run_is_taken_up_is_made_good(
    theatre: Theatres,
    watched: Zygote,
    count: Callable[[int, int], int],
    fault: str,
    figure: Callable[[str], None],
) -> None:
    """At every (sixth) N of a resumed run: what the killed one stored is still used."""
    play = theatre("csv")
    stored = 2
    at = kill_after(play, watched, lambda scene, call: call.path.name == "part-00000002.tmp")
    points = 0

    def leave_half(scene: Scene) -> None:
        ended = watched.run(scene.command, scene.directory, fault="kill", at=at)
        assert (ended.code, journalled(scene, ended.calls)) == (-9, stored)

    for scene, before, ended in every_point(play, watched, fault, leave_half, count(6, 1)):
        published = play.committed(scene, ended.calls)
        assert ended.code == (-9 if fault in {"kill", "torn"} else 0 if published else 74)
        assert published or scene.output_state() == before
        check_next_run(play, scene, watched, stored)
        points += 1
    figure(f"{fault}: {points} points")
    assert points >= WINDOWS
