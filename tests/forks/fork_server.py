"""The client of `server.py`: starts the fork server, and requests runs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 60  # seconds after which a process is held to hang
# Python 3.12 warns of every thread; the server tells which ones it has, and they are looked at.
_FORK_WITH_THREADS = "ignore::DeprecationWarning"


class ForkServer:
    """A process from which runs of the real command are forked."""

    def __init__(
        self, *modules: str, environment: Mapping[str, str] | None = None, enter: Sequence[str] = ()
    ) -> None:
        """Start it.

        Args:
            modules: What it imports besides the program.
            environment: What it gets besides this process's own, without TWEETSCORE_*.
            enter: The command that makes its surroundings.
        """
        self._directory = Path(tempfile.mkdtemp(prefix="forks-"))
        self.socket = self._directory / "socket"
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TWEETSCORE_")}
        one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        program = [sys.executable, "-W", _FORK_WITH_THREADS, "-m", "tests.forks.server"]
        self._process = subprocess.Popen(
            [*enter, *program, self.socket, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            env={**inherited, **one_thread, **(environment or {})},
            start_new_session=True,
        )
        assert self._process.stdout is not None, "stdout is a pipe"
        threads = json.loads(self._process.stdout.readline())
        assert threads == [], f"not safe to fork: {threads}"

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=PATIENCE)
        shutil.rmtree(self._directory)

    def put_command(self, folder: Path) -> None:
        """Write a program `tweetscore` that has this server fork the real one."""
        source = Path(__file__).with_name("command.py").read_text("utf-8")
        source = source.replace('FORK_SERVER = ""', f"FORK_SERVER = {str(self.socket)!r}")
        program = folder / "tweetscore"
        program.write_text(f"#!{sys.executable} -IS\n{source}", "utf-8")
        program.chmod(0o755)

    def fork(
        self, words: Sequence[str], cwd: Path, streams: Sequence[int], prepare: str, **how: Any
    ) -> socket.socket:
        """Ask for a run of the program; what is returned tells its number, then its exit code."""
        asker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asker.connect(str(self.socket))
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "words": ["tweetscore", *words],
            "cwd": str(cwd),
            "umask": umask,
            "environment": None,
            "prepare": prepare,
            "how": how,
        }
        socket.send_fds(asker, [json.dumps(request).encode()], streams)
        return asker
