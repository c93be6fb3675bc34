"""A worker process that scores files, is watched, and is replaced when it dies."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_HANG = 60.0  # seconds: far more than any file here takes on a busy box


class Worker:
    """Runs files in a process with a limit on its memory."""

    def __init__(
        self, memory: int, *, fork: bool = False, module: str = "tests.hostile.batch_worker"
    ) -> None:
        self._command = [
            *(sys.executable, "-m", module),
            *(str(memory), "fork" if fork else "stay"),
        ]
        self._process = self._start()

    def score(self, path: Path, *, compare: bool = True, patience: float = _HANG) -> dict[str, Any]:
        """Return what became of one input; a crash and a hang are outcomes too."""
        assert self._process.stdin
        assert self._process.stdout
        request = json.dumps({"input": str(path), "compare": compare})
        self._process.stdin.write(f"{request}\n".encode())
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], patience)
        if ready and (line := self._process.stdout.readline()):
            answer: dict[str, Any] = json.loads(line)
            return answer
        self._process.kill()
        status = self._process.wait()
        self._close()
        self._process = self._start()
        return {"outcome": f"died: {status}" if ready else "hung"}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()

    def _start(self) -> "subprocess.Popen[bytes]":
        threads = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
        return subprocess.Popen(
            self._command,
            cwd=Path(__file__).parents[2],
            env=os.environ | threads,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
