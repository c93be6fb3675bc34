"""One writer per output: a lock that the kernel releases when its process dies."""

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from scorer.errors import OutputLocked, OutputRefused, StorageError, TweetscoreError
from scorer.hints import path_word, word
from scorer.os_errors import kind_of, writing
from scorer.store.paths import lock_path

_SECONDS_BETWEEN_ATTEMPTS = 0.1


class Lock:
    """The right to write one output."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def check(self) -> None:
        """Raise OutputLocked if the lock file was deleted: then another run may be writing."""
        if not _is_named(self._descriptor, self._path):
            raise OutputLocked(
                f"{self._path} was deleted while this run held it",
                "run again, when no other run is writing the output",
            )


@contextmanager
def locked(output: Path, *, wait: float = 0.0) -> Iterator[Lock]:
    """Hold the lock of an output, after at most `wait` seconds of waiting.

    The lock file is never deleted: whoever deleted it would let a second run lock a new file of
    that name beside the first one. Somebody else may delete it, so its inode is compared.

    Raises:
        OutputLocked: another run holds it, or may hold it since the lock file was deleted.
    """
    deadline = time.monotonic() + wait
    path = lock_path(output)
    while (descriptor := _try_to_lock(path)) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutputLocked(
                f"another run is writing {output}",
                f"wait with --lock-wait 3600; fuser {path_word(path)} names its process",
            )
        time.sleep(min(left, _SECONDS_BETWEEN_ATTEMPTS))
    lock = Lock(path, descriptor)
    try:
        yield lock
    except (TweetscoreError, OSError):
        lock.check()  # two runs that get in each other's way fail in odd ways: say why
        raise
    finally:
        os.close(descriptor)


def _try_to_lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock, or None while another one does."""
    while True:
        with ExitStack() as stack:
            with writing(path):
                descriptor = _open(path)
            stack.callback(os.close, descriptor)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _no_lock(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            except OSError as error:  # some network file systems have no locks
                raise StorageError(
                    f"{path} cannot be locked: {error.strerror}", "write to a local disk"
                ) from error
            if _is_named(descriptor, path):
                stack.pop_all()  # the descriptor stays open: it is the lock
                return descriptor


def _open(path: Path) -> int:
    """Open the file, or make it; that of another user may be open to be read only."""
    how = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | how, 0o666)
    except PermissionError as error:
        with suppress(OSError):
            return os.open(path, os.O_RDONLY | how)
        if not os.path.lexists(path):
            raise
        raise OutputRefused(
            f"{path} belongs to another user, who lets nobody else lock it",
            f"sudo chmod a+r -- {word(str(path))}",
        ) from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise _no_lock(path) from error
        raise


def _no_lock(path: Path) -> OutputRefused:
    """Return the error for a link, which may lead anywhere, a directory, a pipe, a socket."""
    kind = kind_of(path.lstat().st_mode)
    return OutputRefused(
        f"{path} is {kind}, and would have to be the lock",
        f"mv -- {word(str(path))} {word(f'{path}.old')}",
    )


def _is_named(descriptor: int, path: Path) -> bool:
    """Tell whether the path still leads to the file that the descriptor locks."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
