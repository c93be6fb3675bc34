import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from scorer.errors import NotResumable, StorageError
from scorer.options import Resume
from scorer.records import Counters, Scores
from scorer.store import commit
from scorer.store.commit import FileIdentity, is_ours
from scorer.store.own_directory import make_own_directory
from scorer.store.paths import (
    commit_record_path,
    failed_report_path,
    rejects_path,
    report_path,
    state_directory,
    temporary_sibling,
)
from scorer.store.rejects import reject_log
from scorer.store.state import (
    differences,
    finish,
    open_state,
    publish_rejects,
    recover,
    remove_state,
    scratch,
    unfinished_since,
    write_commit_record,
)
from tests.places import names as names_in

PLAN = {"input": {"size": 1}, "libraries": {"polars": "2.1.0"}}
DIGEST = bytes(32)
ONE_ROW = Scores(
    np.zeros(1, np.int16), np.full((1, 3), 0.5, np.float32), Counters(1, 1), np.array([0, 1])
)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    make_own_directory(output := tmp_path / "out.csv")
    return output


def names(output: Path) -> set[str]:
    return names_in(output.parent)


def killed_run(output: Path, windows: int = 2, plan: Mapping[str, Any] = PLAN) -> None:
    """Store windows and stop, as a run does that is interrupted."""

    def run() -> None:
        with open_state(output, plan) as state:
            for number in range(windows):
                state.checkpoints.save(number, DIGEST, ONE_ROW)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def taken_up(output: Path, plan: Mapping[str, Any] = PLAN, resume: Resume = "auto") -> int:
    """Return how many windows the next run finds."""
    with open_state(output, plan, resume) as state:
        return sum(state.checkpoints.take(number, DIGEST, 1) is not None for number in range(9))


def report_of(output: Path, rejected: int = 0) -> dict[str, Any]:
    identity = FileIdentity.of(output).as_json()
    return {"output": identity, "counters": {"rejected": rejected}}


def test_the_next_run_of_the_same_plan_takes_up_what_is_there(output: Path) -> None:
    """All stored windows, and the time at which the work began."""
    killed_run(output)
    with open_state(output, PLAN) as state:
        assert state.warning == ""
        started = json.loads((state.directory / "plan.json").read_text())["started"]
        assert state.started == started
    assert taken_up(output) == 2


def test_another_plan_starts_afresh_and_says_why(output: Path) -> None:
    """What changed is named in the one line."""
    killed_run(output)
    changed = {"input": {"size": 2}, "libraries": {"polars": "2.2.0"}}
    with open_state(output, changed) as state:
        assert state.checkpoints.take(0, DIGEST, 1) is None
        assert state.started.endswith("+00:00")
        assert f"the unfinished run of {output} (since " in state.warning
        assert "is not taken up: input.size, libraries.polars changed since" in state.warning
    assert taken_up(output, changed) == 0


def test_never_starts_afresh_in_silence(output: Path) -> None:
    """Whoever asks for it needs no warning."""
    killed_run(output)
    assert taken_up(output, resume="never") == 0
    killed_run(output)
    with open_state(output, {"other": 1}, "never") as state:
        assert state.warning == ""


def test_require_refuses_another_plan_and_leaves_the_work(output: Path) -> None:
    """Hours of work are not thrown away by a changed option."""
    killed_run(output)
    with pytest.raises(NotResumable, match="limit changed since; leave out --resume require"):
        taken_up(output, {**PLAN, "limit": 3}, "require")
    assert taken_up(output, resume="require") == 2


def test_require_refuses_where_nothing_is_to_be_taken_up(output: Path) -> None:
    """Nothing there is not what was required either."""
    with pytest.raises(NotResumable, match="has no unfinished run"):
        taken_up(output, resume="require")
    assert names(output) == set()


@pytest.mark.parametrize(
    "plan", ["", "[]", "{}", '{"version": 0, "started": "", "plan": {}}', '{"version": 1}', "\xff"]
)
def test_a_plan_that_cannot_be_read_is_no_obstacle(output: Path, plan: str) -> None:
    """State that is damaged, or of another version of the program, is thrown away."""
    killed_run(output)
    (state_directory(output) / "plan.json").write_bytes(plan.encode("latin-1"))
    assert taken_up(output) == 0


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing", "tree"])
def test_whatever_has_the_name_of_the_state_gives_way(output: Path, kind: str) -> None:
    """Leftovers of any kind do not stop a run; what a link points to is not touched."""
    (output.parent / "elsewhere").mkdir()
    (output.parent / "elsewhere" / "kept").touch()
    state = state_directory(output)
    if kind == "file":
        state.write_text("x")
    elif kind == "tree":
        (state / "a" / "b").mkdir(parents=True)
    else:
        state.symlink_to("elsewhere" if kind == "link" else "nowhere")
    assert taken_up(output) == 0
    assert state.is_dir()
    assert not state.is_symlink()
    assert (output.parent / "elsewhere" / "kept").exists()


def is_somebody_elses(output: Path, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    return f"belongs to another user (uid {os.getuid()})"


def is_open_to_others(output: Path, _: pytest.MonkeyPatch) -> str:
    state_directory(output).chmod(0o777)
    return "may be written to by other users"


def is_a_link(output: Path, _: pytest.MonkeyPatch) -> str:
    state_directory(output).rename(output.with_name("elsewhere"))
    state_directory(output).symlink_to("../elsewhere")
    return "is a link, not a directory"


STRANGE = pytest.mark.parametrize(
    "becomes", [is_somebody_elses, is_open_to_others, is_a_link], ids=lambda each: each.__name__
)


@STRANGE
def test_what_others_may_have_written_is_not_taken_up(
    output: Path, monkeypatch: pytest.MonkeyPatch, becomes: Any
) -> None:
    """Results, plan and commit record of such a state are not believed; the run starts afresh."""
    report = published(output)
    report_path(output).unlink(missing_ok=True)
    reason = becomes(output, monkeypatch)
    assert recover(output) == ()
    assert not is_ours(output)
    assert unfinished_since(output, PLAN) is None
    with open_state(output, PLAN) as state:
        assert state.checkpoints.take(0, DIGEST, 1) is None
        assert state.warning == (
            f"the unfinished run of {output} is not taken up: {state.directory} {reason}"
        )
    assert report["output"]


@STRANGE
def test_require_refuses_what_others_may_have_written(
    output: Path, monkeypatch: pytest.MonkeyPatch, becomes: Any
) -> None:
    """With the reason, and nothing is removed."""
    killed_run(output)
    reason = becomes(output, monkeypatch)
    recover(output)
    with pytest.raises(NotResumable, match=re.escape(f"{reason}; leave out --resume require")):
        taken_up(output, resume="require")
    assert (state_directory(output) / "journal").exists()


def test_a_state_that_only_its_owner_may_empty_is_moved_aside(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not stop the night, and its owner finds it under the name that the line tells."""
    killed_run(output)
    is_somebody_elses(output, monkeypatch)

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    for how, said in (("auto", "is not taken up: "), ("never", "; it is ")):
        with monkeypatch.context() as patch:
            patch.setattr("scorer.store.state.discard", refuse)
            with open_state(output, PLAN, cast("Resume", how)) as state:
                (aside,) = output.parent.glob(f".tweetscore/{output.name}.*.state")
                assert said in state.warning
                assert state.warning.endswith(f"; it is {aside} now")
                assert (aside / "plan.json").exists()
        shutil.rmtree(aside)


def test_a_pipe_in_the_place_of_the_plan_is_thrown_away(output: Path) -> None:
    """It is not waited for; the line says what was wrong."""
    state_directory(output).mkdir(mode=0o700)
    os.mkfifo(plan := state_directory(output) / "plan.json")
    assert recover(output) == (
        f"the unfinished run of {output} is not taken up: {plan} is not what a run wrote there",
    )
    assert names(output) == set()


def test_a_part_of_another_size_is_scored_again(output: Path) -> None:
    """Gigabytes under the name of a part are not read."""
    killed_run(output)
    part = state_directory(output) / "part-00000001"
    os.truncate(part, 2 << 30)
    assert taken_up(output) == 1


def test_links_within_the_state_lead_nowhere(output: Path) -> None:
    """What they lead to is neither removed nor written to, and the next run does not stop."""
    (elsewhere := output.with_name("elsewhere")).mkdir()
    (elsewhere / "kept").write_text("precious")
    killed_run(output)
    state = state_directory(output)
    (state / "link").symlink_to(elsewhere)
    (state / "x.tmp").symlink_to(elsewhere)
    (state / "y.tmp").mkdir()
    (state / "journal").unlink()
    (state / "journal").symlink_to(elsewhere / "kept")
    (state / "rejects").symlink_to(elsewhere / "kept")
    recover(output)
    with open_state(output, PLAN) as opened, reject_log(opened.rejects):
        opened.checkpoints.save(0, DIGEST, ONE_ROW)
    remove_state(output)
    assert (elsewhere / "kept").read_text() == "precious"
    assert names(output) == {"elsewhere"}


def test_a_run_that_stored_nothing_leaves_nothing(output: Path) -> None:
    """A failure in the first window leaves no litter."""
    killed_run(output, windows=0)
    assert names(output) == set()


def test_a_failure_hides_no_litter_that_cannot_be_removed(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error comes out, whatever happens to the directory."""

    def fail(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", fail)
    killed_run(output, windows=0)
    assert state_directory(output).is_dir()


def test_the_state_is_private(output: Path) -> None:
    """Rejects hold what people wrote."""
    killed_run(output)
    assert state_directory(output).stat().st_mode & 0o777 == 0o700


def published(output: Path, rejected: int = 0) -> dict[str, Any]:
    """Go as far as a run that is killed right after the rename."""
    killed_run(output)
    if rejected:
        (state_directory(output) / "rejects").write_text("{}\n" * rejected)
    output.write_text("scored")
    report = report_of(output, rejected)
    write_commit_record(output, report)
    return report


@pytest.mark.parametrize("rejected", [0, 2])
def test_an_interrupted_publish_is_finished(output: Path, rejected: int) -> None:
    """The output gets its report and its rejects; nothing else is left."""
    rejects_path(output).write_text("last night's")
    failed_report_path(output).write_text("{}")
    report = published(output, rejected)
    recover(output)
    assert json.loads(report_path(output).read_text()) == report
    left = {"out.csv", ".tweetscore/out.csv.run.json"}
    assert names(output) == left | ({".tweetscore/out.csv.rejects.ndjson"} if rejected else set())
    if rejected:
        assert rejects_path(output).read_text() == "{}\n" * rejected


@pytest.mark.parametrize("step", ["replace_json", "publish_rejects", "remove_state", "discard"])
def test_finishing_twice_does_no_harm(
    output: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at any step of finishing, the next run finishes it."""
    report = published(output, rejected=2)

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"scorer.store.state.{step}", kill)
        with pytest.raises(KeyboardInterrupt):
            finish(output, report)
    recover(output)
    assert names(output) == {
        "out.csv", ".tweetscore/out.csv.run.json", ".tweetscore/out.csv.rejects.ndjson",
    }  # fmt: skip
    assert rejects_path(output).read_text() == "{}\n" * 2


def test_an_output_that_waits_for_its_report_is_ours(output: Path) -> None:
    """Between the rename and the report, the commit record speaks for it."""
    published(output)
    assert is_ours(output)


def test_a_commit_record_that_was_not_carried_out_is_forgotten(output: Path) -> None:
    """Killed before the rename, the old output stays, and its results are taken up."""
    published(output)
    output.write_text("of another night")
    scratch(output).write_text("half")
    recover(output)
    assert not list(state_directory(output).glob("*.tmp"))
    assert not commit_record_path(output).exists()
    assert output.read_text() == "of another night"
    assert names(output) == {"out.csv", f".tweetscore/{state_directory(output).name}"}
    assert taken_up(output) == 2


def test_recovering_removes_what_is_no_state(output: Path) -> None:
    """A directory without a plan, and the report of a failure that was not written to its end."""
    state_directory(output).mkdir()
    temporary_sibling(failed_report_path(output)).write_text("half")
    (output.parent / ".other.csv.tweetscore.tmp").write_text("somebody else's")
    recover(output)
    assert names(output) == {".other.csv.tweetscore.tmp"}


def test_the_commit_record_is_the_last_to_go(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while the state is being removed, it is a state with its commit record, or none."""
    published(output)
    removed: list[str] = []
    real = Path.unlink

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        removed.append(path.name)
        assert commit_record_path(output).exists()
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    remove_state(output)
    assert "plan.json" in removed
    assert not state_directory(output).exists()


def test_a_commit_record_that_cannot_be_read_is_not_thrown_away(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that fails for a moment must not make the output a stranger's for ever."""
    published(output)

    def fail(path: Path, _: int) -> bytes:
        raise OSError(errno.EIO, "Input/output error", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(commit, "read_own", fail)
        for look in (recover, is_ours):
            with pytest.raises(StorageError, match="input/output error"):
                look(output)
    recover(output)
    assert names(output) == {"out.csv", ".tweetscore/out.csv.run.json"}


def test_no_two_scratch_files_are_one(output: Path) -> None:
    """Two runs that meet in one state cannot publish each other's half-written files."""
    assert len({scratch(output) for _ in range(100)}) == 100


def test_rejects_that_are_no_more_are_removed(output: Path) -> None:
    """Last night's rejects do not lie beside tonight's clean output."""
    rejects_path(output).write_text("old")
    publish_rejects(output, 0)
    assert names(output) == set()


def test_differences_are_named_with_dots() -> None:
    """Changed, added and removed keys, at any depth; what is equal is not named."""
    old = {"a": 1, "b": {"c": 1, "d": 2}, "e": {"f": 1}}
    new = {"a": 1, "b": {"c": 2, "d": 2}, "e": 3, "g": None, "h": 1}
    assert list(differences(old, new)) == ["b.c", "e", "h"]


def test_no_descriptor_is_left_open(output: Path) -> None:
    """The journal is closed with the state."""
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir()))
    killed_run(output)
    taken_up(output)
    assert len(list(descriptors.iterdir())) == before
