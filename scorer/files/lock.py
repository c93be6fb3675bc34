"""One writer per output: a lock that the kernel takes back from a process that dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.errors import OutputLocked, StorageError
from scorer.files.discover import lock_path
from scorer.files.storage import writing

_SECONDS_BETWEEN_ATTEMPTS = 0.1


@contextmanager
def locked(output: Path, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock of an output, after at most `wait` seconds of waiting.

    The lock file is never deleted: whoever deleted it would let a second run lock a new file of
    that name beside the first one. Somebody else may delete it, so its inode is compared.

    Raises:
        OutputLocked: another run still holds it.
    """
    deadline = time.monotonic() + wait
    path = lock_path(output)
    while (descriptor := _try_to_lock(path)) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutputLocked(
                f"another run is writing {output}",
                f"wait with --lock-wait SECONDS; `fuser {path}` names its process",
            )
        time.sleep(min(left, _SECONDS_BETWEEN_ATTEMPTS))
    try:
        yield
    finally:
        os.close(descriptor)


def _try_to_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None while another one does."""
    while True:
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_named(descriptor, path):
                kept, descriptor = descriptor, -1
                return kept
        except BlockingIOError:
            return None
        except OSError as error:  # some network file systems have no locks
            raise StorageError(
                f"{path} cannot be locked: {error.strerror}", "write to a local disk"
            ) from error
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _is_named(descriptor: int, path: Path) -> bool:
    """Tell whether the path still leads to the file that the descriptor locks."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
