"""Files that are expensive to make, made once for all parallel test processes."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a directory of the whole test session; the first process that asks fills it.

    Args:
        factory: Knows the session's directory.
        name: Of the directory, unique in the session; it may have several parts.
        make: Is called with the empty directory.
    """
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent  # the worker's own directory is one of those in it
    directory = root / "once" / name
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = directory.with_name(f"{directory.name}.made")
    with directory.with_name(f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            directory.mkdir()
            make(directory)
            made.touch()
    return directory
