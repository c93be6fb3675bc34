"""A power cut takes back what was not synchronised; the next run is right all the same."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.crash.crash_fixture import CrashFixtures
from tests.crash.harness import Call, Zygote
from tests.crash.test_faults import every_point
from tests.crash.test_first_night import as_before
from tests.crash.workspace import Workspace

pytestmark = [pytest.mark.ci, pytest.mark.long]


@dataclass
class Unsynchronised:
    """What a disk need not have kept of a run's calls, if the power fails after them."""

    files: set[Path] = field(default_factory=set)  # with content that was never waited for
    renames: list[tuple[Path, Path]] = field(default_factory=list)
    directories: list[Path] = field(default_factory=list)  # that were made

    def note(self, call: Call) -> None:
        """Follow one call that was made."""
        path = call.path
        if call.name in {"write", "ftruncate"}:
            self.files.add(path)
        elif call.name == "mkdir":
            self.directories.append(path)
        elif call.name == "rename" and call.to:
            self.renames.append((path, call.to))
            self.files = {call.to if file == path else file for file in self.files}
        elif call.name in {"fsync", "fdatasync"}:
            self.files.discard(path)
            self.renames = [pair for pair in self.renames if pair[1].parent != path]
            self.directories = [made for made in self.directories if made.parent != path]


def take_back(
    workspace: Workspace, before: Workspace, lost: Unsynchronised, *, renames: bool
) -> None:
    """Let the disk forget: contents, and either renames or the directories that were made."""
    for path in lost.files:
        if path.exists():
            path.write_bytes(b"")
    if not renames:
        for path in lost.directories:
            shutil.rmtree(path, ignore_errors=True)
        return
    for old, new in reversed(lost.renames):
        if new.exists():
            new.rename(old) if old.parent.exists() else new.unlink()
        previous = before.directory / new.name
        if new.parent == workspace.directory and previous.exists():
            shutil.copy2(previous, new)


@pytest.mark.parametrize("prepare", [lambda _: None, as_before], ids=["", "first night"])
@pytest.mark.parametrize("renames", [True, False], ids=["renames lost", "directories lost"])
def test_a_power_cut_at_any_call_loses_nothing(
    crash_fixture: CrashFixtures,
    watched: Zygote,
    count: Callable[[int, int], int],
    figure: Callable[[str], None],
    prepare: Callable[[Workspace], None],
    *,
    renames: bool,
) -> None:
    """At every (third) N: the machine stops at the N-th call; then the next run is right."""
    case = crash_fixture("csv")
    points = 0
    for workspace, _, ended in every_point(case, watched, "kill", prepare, count(3, 1)):
        lost = Unsynchronised()
        for call in ended.calls:
            if not call.fault:
                lost.note(call)
        take_back(workspace, case.workspace, lost, renames=renames)
        again = watched.run(workspace.command, workspace.directory)
        assert again.code == 0, (ended.struck, again.stderr)
        assert workspace.products() == case.expected, ended.struck
        case.check_complete(workspace, again)
        points += 1
    figure(f"{points} power cuts")
