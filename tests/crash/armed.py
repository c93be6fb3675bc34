"""A process that has imported everything and done nothing: every run is a fork of it.

`python -m tests.crash.zygote` reads one JSON request per line and answers with one: ``run``
forks a child, which runs the real command with a stub for the model and ends with its real exit
code; ``wait`` tells how it ended. Started with the faults library preloaded, a run can be armed.
"""

import contextlib
import ctypes
import functools
import gc
import json
import os
import pkgutil
import resource
import signal
import sys
import time
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

import scorer.cli.run
import scorer.files
import scorer.pipeline
from scorer import cli
from scorer.inference.handle import ModelHandle
from scorer.versions import library_versions
from tests.crash.stub import StubClassifier

# Threads that polars' allocator and its spill cleaner keep: they survive a fork by themselves, or
# are not needed. Any other thread here would be missing in the children.
_HARMLESS = ("jemalloc_bg_thd", "polars-ooc-clea")
# Looked up once: a run looks for ten packages in as many thousand files.
installed_version = functools.cache(metadata.version)
_AUDITED = {"open", "fcntl.flock", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.scandir"}


def _import_everything() -> None:
    """Import what runs import when they need it."""
    for module in pkgutil.iter_modules(scorer.files.__path__, "scorer.files."):
        import_module(module.name)
    for name in ("tqdm", "email.parser", "importlib.metadata", "concurrent.futures.thread"):
        import_module(name)
    pa.array(np.zeros(1))  # looks for pandas once, and imports it where it is installed


def serve() -> None:
    """Answer requests until the input ends; returns in the children, once a run is over."""
    _import_everything()
    metadata.version = installed_version
    library_versions()
    gc.freeze()  # memory that a child's collector looks at would have to be copied
    _say(threads=_threads())
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            _say(code=os.waitstatus_to_exitcode(status))
        elif child := os.fork():
            _say(pid=child)
        else:
            _become(request)
            return


def _threads() -> list[str]:
    tasks = Path("/proc/self/task").iterdir()
    names = [(task / "comm").read_text().strip() for task in tasks if task.name != str(os.getpid())]
    return [name for name in names if name not in _HARMLESS]


def _say(**answer: Any) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


def _become(request: dict[str, Any]) -> None:
    """Be the program: its own streams, its arguments, a stub for the model; then end."""
    os.chdir(request["cwd"])
    for descriptor, path in enumerate((os.devnull, os.devnull, request["stderr"])):
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    if request["file_size"]:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_size"],) * 2)
    _patch(request)
    if request["start"]:
        while not Path(request["start"]).exists():
            time.sleep(0)
    if request["faults"]:
        _arm(**request["faults"])
    if request["events"]:
        sys.addaudithook(_Watch(request["cwd"], **request["events"]).hear)
    sys.argv = ["tweetscore", *request["arguments"]]
    try:
        cli.main()
    except SystemExit as end:
        sys.stderr.flush()
        os._exit(int(str(end.code)))  # without taking the libraries apart


def _patch(request: dict[str, Any]) -> None:
    stub = StubClassifier(**request["stub"])
    ModelHandle.of = stub.opened  # type: ignore[assignment]  # a process of its own
    versions: dict[str, str] = request["versions"]
    library_versions.cache_clear()
    metadata.version = lambda distribution_name: (
        versions.get(distribution_name) or installed_version(distribution_name)
    )


def _arm(directory: str, fault: int, at: int, log: str) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    ctypes.CDLL(None).faults_arm(os.fsencode(directory), fault, ctypes.c_long(at), descriptor)


class _Watch:
    """Counts and notes what a run does below a directory; stops it before the N-th event.

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

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
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


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve()
