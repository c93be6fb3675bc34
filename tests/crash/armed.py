"""Prepares a fork of the warm process: a stub for the model, faults, notes of audit events."""

import ctypes
import os
import resource
import signal
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from scorer.inference.loading import ModelHandle
from scorer.monitor.versions import library_versions
from tests.stubs import StubThatNotes

_AUDITED = {"open", "fcntl.flock", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"}


def prepare(
    stub: dict[str, Any],
    faults: dict[str, Any] | None,
    events: dict[str, Any] | None,
    file_size: int,
    versions: dict[str, str],
    start: str,
) -> None:
    """Install the stub for the model, and the faults and events that `harness.How` describes."""
    if file_size:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    ModelHandle.of = StubThatNotes(**stub).opened  # type: ignore[assignment]  # a process of its own
    installed_version = metadata.version
    library_versions.cache_clear()
    metadata.version = lambda distribution_name: (
        versions.get(distribution_name) or installed_version(distribution_name)
    )
    if start:
        while not Path(start).exists():
            time.sleep(0)
    if faults:
        _arm(**faults)
    if events:
        sys.addaudithook(_EventLog(str(Path.cwd()), **events).on_event)


def _arm(directory: str, fault: int, at: int, log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ctypes.CDLL(None).faults_arm(os.fsencode(directory), fault, ctypes.c_long(at), descriptor)


class _EventLog:
    """Counts and notes the audit events below a directory; stops the run before the N-th.

    Args:
        directory: Where the run takes place.
        notes: The file that gets a line per event.
        at: The event to stop at, or 0.
        go: The file to wait for; without one the process is killed instead.
    """

    def __init__(self, directory: str, notes: str, at: int, go: str) -> None:
        self._directory = directory
        self._notes = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._at = at
        self._go = go
        self._seen = 0

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audit event."""
        if event not in _AUDITED:
            return
        path = str(arguments[0])  # of a file lock: a number
        if path.startswith("/") and not path.startswith(self._directory):
            return
        self._seen += 1
        words = [event, *map(str, arguments[: 2 if event == "os.rename" else 1])]
        os.write(self._notes, " ".join(words).encode() + b"\n")
        if self._seen == self._at:
            if not self._go:
                os.kill(os.getpid(), signal.SIGKILL)
            while not os.path.exists(self._go):  # noqa: PTH110 - unlike Path's, no audit event
                time.sleep(0.001)
