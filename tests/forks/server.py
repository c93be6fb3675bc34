"""The fork server: it has imported everything and done nothing, and each run is a fork of it.

`python -m tests.forks.server SOCKET MODULE...` imports the modules too, calls `warm` of those that
have it, prints the threads that there are, and answers on SOCKET until its standard input ends.
A connection is one run: it brings a request and the three standard streams, and gets the number of
the process and, at its end, its exit code; until it is closed, that number is nobody else's. The
run is the real command, after `prepare` of the module that the request names.
"""

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import selectors
import socket
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scorer import cli, formats, readback, store
from scorer.monitor.versions import library_versions

LARGEST = 1 << 17  # bytes of a request: less than what a message may have
# Threads that polars' allocator and its spill cleaner keep: they survive a fork by themselves, or
# are not needed. Any other thread here would be missing in the children.
_HARMLESS = ("jemalloc_bg_thd", "polars-ooc-clea")


def _import_everything() -> None:
    """Import what runs import when they need it."""
    for package in (formats, readback, store):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    for name in (
        "scorer.cli.run",
        "tqdm",
        "email.parser",
        "importlib.metadata",
        "concurrent.futures.thread",
    ):
        importlib.import_module(name)
    pa.array(np.zeros(1))  # looks for pandas once, and imports it where it is installed
    # Looked up once: a run looks for ten packages in as many thousand files.
    metadata.version = functools.cache(metadata.version)
    library_versions()


def serve(path: str) -> tuple[bytes, list[int]] | None:
    """Answer until the standard input ends; in a child return its request and its streams."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener,
        selectors.DefaultSelector() as selector,
    ):
        listener.bind(path)
        listener.listen(128)
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        print(json.dumps(_threads()), flush=True)  # noqa: T201 - the other side waits for it
        while True:
            for key, _ in selector.select():
                if key.fileobj == 0:
                    return None
                if key.fileobj is listener:
                    asker, _ = listener.accept()
                    content, streams, _, _ = socket.recv_fds(asker, LARGEST, 3)
                    child = os.fork()
                    if not child:
                        return content, streams
                    for stream in streams:
                        os.close(stream)
                    _answer(asker, child)
                    selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, asker))
                else:
                    selector.unregister(key.fileobj)
                    child, asker = key.data
                    if key.fileobj is asker:  # closed by the other side
                        os.waitpid(child, 0)
                        asker.close()
                        continue
                    os.close(key.fd)
                    _answer(asker, _exit_code(child))
                    selector.register(asker, selectors.EVENT_READ, (child, asker))


def _exit_code(child: int) -> int:
    """Return how a child that is over has ended, as a negative number by which signal."""
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert ended is not None, "it is waited for"
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _threads() -> list[str]:
    tasks = Path("/proc/self/task").iterdir()
    names = [(task / "comm").read_text().strip() for task in tasks if task.name != str(os.getpid())]
    return [name for name in names if name not in _HARMLESS]


def _answer(asker: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # who asked is gone
        asker.send(str(number).encode())


def _become(request: dict[str, Any], streams: list[int]) -> None:
    """Take the streams, the directory and, where there is one, the environment of who asks."""
    for descriptor, stream in enumerate(streams):
        os.dup2(stream, descriptor)
    os.closerange(3, 1024)
    sys.stdin = _stream(0, "surrogateescape")
    sys.stdout = _stream(1, "surrogateescape")
    sys.stderr = _stream(2, "backslashreplace")
    os.chdir(request["cwd"])
    os.umask(request["umask"])
    if request["environment"] is not None:
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
    sys.argv = request["words"]


def _stream(descriptor: int, errors: str) -> io.TextIOWrapper:
    raw = io.FileIO(descriptor, "w" if descriptor else "r", closefd=False)
    buffer = io.BufferedWriter(raw) if descriptor else io.BufferedReader(raw)
    by_line = descriptor == 2 or raw.isatty()
    return io.TextIOWrapper(buffer, "utf-8", errors, line_buffering=by_line)


if __name__ == "__main__":
    _import_everything()
    modules = {name: importlib.import_module(name) for name in sys.argv[2:]}
    for module in modules.values():
        getattr(module, "warm", lambda: None)()
    gc.freeze()  # memory that a child's collector looks at would have to be copied
    if asked := serve(sys.argv[1]):
        request = json.loads(asked[0])
        _become(request, asked[1])
        if request["prepare"]:
            modules[request["prepare"]].prepare(**request["how"])
        cli.main()
