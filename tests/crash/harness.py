"""Runs of the real command in forks of a warm process, with faults, and how they ended."""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

from tests.crash.workspace import Workspace
from tests.forks.fork_server import PATIENCE, ForkServer

WATCHDOG = PATIENCE

FAULTS = {
    name: number
    for number, name in enumerate(
        ["none", "EIO", "ENOSPC", "short", "EINTR", "kill", "torn", "full"]
    )
}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a run that was watched: its number, what it suffered, on which files."""

    number: int
    fault: int
    name: str
    path: Path
    to: Path | None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    code: int  # negative: the signal that ended it
    stderr: str
    windows: int  # that the model scored
    loaded: bool
    calls: list[Call] = field(repr=False)
    events: list[str] = field(repr=False)

    @property
    def warnings(self) -> list[str]:
        """Return the warnings of the run."""
        return [line for line in self.stderr.splitlines() if "tweetscore: warning" in line]

    @property
    def struck(self) -> Call | None:
        """Return the call that suffered the fault, if one did."""
        return next((call for call in self.calls if call.fault), None)


class How(TypedDict, total=False):
    """What is unusual about a run."""

    stub: Mapping[str, Any]  # its settings
    fault: str  # what the call number `at` suffers; with any fault, "none" too, calls are noted
    at: int
    event: int  # the audit event before which the run is killed or, with `go`, stands still;
    go: Path  # until that file is there; with any event, 0 too, events are noted
    file_size: int  # the most bytes that a file may hold
    versions: Mapping[str, str]  # of packages that are other ones than those installed
    start: Path  # a file without which the run does not begin


class Zygote(ForkServer):
    """Forks runs of the real command, each with a stub for the model."""

    def __init__(
        self, scratch: Path, preload: Path | None = None, enter: Sequence[str] = ()
    ) -> None:
        """Start it, in the surroundings that the command `enter` makes."""
        preloaded = {"LD_PRELOAD": str(preload)} if preload else {}
        super().__init__("tests.crash.armed", environment=preloaded, enter=enter)
        self._scratch = scratch
        self._runs = 0

    def start(self, arguments: Sequence[str | Path], cwd: Path, **how: Unpack[How]) -> "Running":
        """Start a run of the program in a directory."""
        self._runs += 1
        files = self._scratch / f"run-{self._runs}"
        faults = {
            "directory": str(cwd),
            "fault": FAULTS.get(how.get("fault", "")),
            "at": how.get("at", 0),
            "log": str(files.with_suffix(".calls")),
        }
        events = {
            "notes": str(files.with_suffix(".events")),
            "at": how.get("event"),
            "go": str(how.get("go", "")),
        }
        with Path(os.devnull).open("r+b") as null, files.with_suffix(".stderr").open("ab") as err:
            asker = self.fork(
                [str(word) for word in arguments],
                cwd,
                [null.fileno(), null.fileno(), err.fileno()],
                "tests.crash.armed",
                stub={"notes": str(files.with_suffix(".notes")), **how.get("stub", {})},
                faults=faults if "fault" in how else None,
                events=events if "event" in how else None,
                file_size=how.get("file_size", 0),
                versions=dict(how.get("versions", {})),
                start=str(how.get("start", "")),
            )
        return Running(asker, files)

    def run(self, arguments: Sequence[str | Path], cwd: Path, **how: Unpack[How]) -> Ended:
        """Start a run and wait for its end."""
        return self.start(arguments, cwd, **how).end()

    def stopped(self, workspace: Workspace, step: int, go: Path) -> "Running":
        """Return a run that stands still before an event, or is over before it gets there."""
        run = self.start(workspace.command, workspace.directory, event=step, go=go)
        run.wait_until(lambda run: len(run.events()) >= step)
        return run


class Running:
    """A run that was started; as a context it leaves no process behind, whatever a test finds."""

    def __init__(self, asker: socket.socket, files: Path) -> None:
        self._asker = asker
        self.pid = self._answer()
        self._files = files
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ended:
            self._kill()

    def _answer(self) -> int:
        return int(self._asker.recv(64))

    def _kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self._exit_code()

    def _exit_code(self) -> int:
        with self._asker:  # until here the number is this run's
            return self._answer()

    def send(self, number: int) -> None:
        """Send a signal; a run that is over does not mind."""
        os.kill(self.pid, number)

    def is_over(self, seconds: float) -> bool:
        """Wait at most that long for the end; a run that is over is still to be ended."""
        readable, _, _ = select.select([self._asker], [], [], seconds)
        return bool(readable)

    def notes(self) -> list[str]:
        """Return what the stub noted so far."""
        path = self._files.with_suffix(".notes")
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.partition(" ")[2] for line in lines]

    def events(self) -> list[str]:
        """Return the audit events so far."""
        path = self._files.with_suffix(".events")
        return path.read_text().splitlines() if path.exists() else []

    def calls(self) -> list[Call]:
        """Return the calls so far."""
        path = self._files.with_suffix(".calls")
        return _calls(path.read_text()) if path.exists() else []

    def wait_until(self, condition: Callable[["Running"], bool]) -> bool:
        """Wait until a condition holds, or the run is over; return whether it holds."""
        deadline = time.monotonic() + WATCHDOG
        while not condition(self):
            if self.is_over(0.002):
                return condition(self)
            assert time.monotonic() < deadline, "waited in vain"
        return True

    def end(self) -> Ended:
        """Wait for the end, and return how the run ended; remove its notes."""
        if not self.is_over(WATCHDOG):
            self._kill()
            self._ended = True
            raise TimeoutError(f"hung: {self._files.with_suffix('.stderr').read_text()}")
        code = self._exit_code()
        self._ended = True
        notes = self.notes()
        scored = sum(note.startswith("score") for note in notes)
        words = self._files.with_suffix(".stderr").read_text()
        ended = Ended(code, words, scored, "load" in notes, self.calls(), self.events())
        for suffix in (".calls", ".events", ".notes", ".stderr"):
            self._files.with_suffix(suffix).unlink(missing_ok=True)
        return ended


def _calls(log: str) -> list[Call]:
    calls = []
    for line in log.splitlines():
        number, fault, name, path, to = line.split("\t")
        calls.append(Call(int(number), int(fault), name, Path(path), Path(to) if to else None))
    return calls
