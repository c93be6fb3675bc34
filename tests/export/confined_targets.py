"""What the tests run in the confined process: hostile code, without a library of size."""

import ctypes
import json
import logging
import os
import pickle
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from export.steps import Steps
from scorer import errors


def _outcome(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "done"


def _attempts(argument: bytes, attempts: dict[str, Callable[[Any], Any]]) -> dict[str, str]:
    asked = json.loads(argument)
    return {name: _outcome(partial(attempt, asked)) for name, attempt in attempts.items()}


def doubles(argument: bytes, steps: Steps) -> list[int]:
    steps.done("halved")
    logging.getLogger("export.graph").warning("%s is left out", "int8")
    print("as libraries do")  # noqa: T201
    return [2 * number for number in json.loads(argument)]


def raises(argument: bytes, _: Steps) -> None:
    name, problem, remedy = json.loads(argument)
    raise getattr(errors, name)(problem, remedy)


def breaks(_: bytes, __: Steps) -> None:
    raise RuntimeError("size mismatch")


def misses(_: bytes, __: Steps) -> None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def reaches_out(argument: bytes, _: Steps) -> dict[str, str]:
    return _attempts(
        argument,
        {
            "tcp": lambda port: socket.create_connection(("127.0.0.1", port)),
            "tcp, IPv6": lambda _: socket.socket(socket.AF_INET6),
            "udp": lambda _: socket.socket(type=socket.SOCK_DGRAM),
            "names": lambda _: socket.getaddrinfo("example.com", 443),
            "raw": lambda _: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
            "interfaces": lambda _: socket.if_nameindex(),
            "unix": lambda _: socket.socket(socket.AF_UNIX).connect("/run/any"),
            "unix, datagrams": lambda _: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(
                b"x", "/dev/log"
            ),
        },
    )


def connects(argument: bytes, _: Steps) -> None:
    socket.create_connection(("127.0.0.1", json.loads(argument)))


def touches(argument: bytes, _: Steps) -> dict[str, str]:
    def inside(asked: dict[str, str]) -> Path:
        return Path(asked["stage"])

    return _attempts(
        argument,
        {
            "reads the checkpoint": lambda asked: Path(asked["checkpoint"], "a").read_text(),
            "writes into the stage": lambda asked: (inside(asked) / "new").write_text("x"),
            "writes into its own directory": lambda _: Path("new").write_text("x"),
            "writes into the checkpoint": lambda asked: Path(asked["checkpoint"], "a").write_text(
                ""
            ),
            "makes a file in it": lambda asked: Path(asked["checkpoint"], "b").touch(),
            "moves a file out of it": lambda asked: Path(asked["checkpoint"], "a").rename(
                inside(asked) / "a"
            ),
            "cuts a file": lambda asked: os.truncate(Path(asked["checkpoint"], "a"), 0),
            "writes beside": lambda asked: Path(asked["outside"], "b").write_text("x"),
            "removes": lambda asked: Path(asked["outside"], "a").unlink(),
            "reads beside": lambda asked: Path(asked["outside"], "a").read_text(),
            "reads through a link": _through_a_link,
            "reads what its parent has": lambda _: Path(
                f"/proc/{os.getppid()}/environ"
            ).read_bytes(),
            "changes a mode": lambda asked: Path(asked["outside"], "a").chmod(0o777),
        },
    )


def _through_a_link(asked: dict[str, str]) -> None:
    link = Path(asked["stage"], "link")
    link.symlink_to(Path(asked["outside"], "a"))
    link.read_text()


def spawns(_: bytes, __: Steps) -> dict[str, str]:
    threads = []

    def starts_a_thread(_: Any) -> None:
        thread = threading.Thread(target=lambda: threads.append("ran"))
        thread.start()
        thread.join()

    return _attempts(
        b"0",
        {
            "fork": lambda _: os.fork(),
            "program": lambda _: subprocess.run(["true"], check=False),
            "spawn": lambda _: os.posix_spawn("/bin/true", ["true"], {}),
            "exec": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606
            "kill": lambda _: os.kill(os.getppid(), 0),
            "a thread": starts_a_thread,
        },
    )


class _Payload:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


PAYLOAD = pickle.dumps(_Payload())


def unpickles(_: bytes, __: Steps) -> int:
    """Do what no loader of ours does: a shell that cannot be started answers -1 or 127."""
    code: int = pickle.loads(PAYLOAD)  # noqa: S301
    return code


def environment(_: bytes, __: Steps) -> dict[str, str]:
    return dict(os.environ)


def allocates(_: bytes, __: Steps) -> None:
    held = []
    while True:
        held.append(bytearray(1 << 24))


def fails_for_memory(_: bytes, __: Steps) -> None:
    held = bytearray(200 << 20)
    raise SystemError(f"error return without exception set, with {len(held)} bytes")


def aborts_for_memory(_: bytes, __: Steps) -> None:
    os.write(2, b"memory allocation of 4096 bytes failed\n")
    os.abort()


def loops(_: bytes, __: Steps) -> None:
    while True:
        pass


def falls_silent(_: bytes, __: Steps) -> None:
    os.closerange(0, 20)
    while True:
        pass


def writes_without_end(_: bytes, __: Steps) -> None:
    with Path("large").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def reads_a_wild_pointer(_: bytes, __: Steps) -> None:
    ctypes.string_at(0)


def is_killed(_: bytes, __: Steps) -> None:
    signal.raise_signal(signal.SIGKILL)


def ends(_: bytes, __: Steps) -> None:
    os._exit(3)


def tells(argument: bytes, _: Steps) -> None:
    """Write what it is asked to where its messages go."""
    words: str = json.loads(argument)
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, words.encode())
        except OSError:
            continue
    os._exit(0)


def waits(_: bytes, steps: Steps) -> None:
    steps.note(f"process {os.getpid()} waits")
    signal.pause()
