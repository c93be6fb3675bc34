"""One input and its output, as many copies as a test interrupts, and the undisturbed result."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.crash.harness import Call, Ended, Zygote
from tests.crash.workspace import Products, Workspace, write_input

LAST_NIGHT, TONIGHT = range(1, 401), range(1, 1001)


class CrashFixture:
    """Copies of one workspace, and the products of an undisturbed run in it."""

    def __init__(self, kind: str, directory: Path, zygote: Zygote) -> None:
        first = directory / "workspace"
        first.mkdir(parents=True)
        self.workspace = Workspace(kind, first)
        self._copies = 0
        write_input(self.workspace, LAST_NIGHT)
        assert zygote.run(self.workspace.command, first).code == 0
        write_input(self.workspace, TONIGHT)
        undisturbed = self.copy()
        ended = zygote.run(undisturbed.command, undisturbed.directory)
        assert (ended.code, ended.windows, ended.warnings) == (0, 5, [])
        self.expected: Products = undisturbed.products()
        self.names = undisturbed.names()
        self.drop(undisturbed)

    def copy(self) -> Workspace:
        """Return a fresh copy of the workspace."""
        self._copies += 1
        return self.workspace.copy(self.workspace.directory.parent / f"copy-{self._copies}")

    def drop(self, workspace: Workspace) -> None:
        """Remove a copy."""
        shutil.rmtree(workspace.directory)

    def check_complete(self, workspace: Workspace, ended: Ended) -> None:
        """Compare a workspace with the undisturbed one: equal output and figures, no leftovers."""
        assert ended.code == 0, ended.stderr
        assert workspace.products() == self.expected
        assert workspace.names() == self.names

    def committed(self, workspace: Workspace, calls: list[Call]) -> bool:
        """Return whether a watched run has renamed its temporary file to OUTPUT."""
        return any(call.to == workspace.output and not call.fault for call in calls)


CrashFixtures = Callable[[str], CrashFixture]  # by format
