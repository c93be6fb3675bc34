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
from scorer.store.earlier_places import move_earlier
from scorer.store.own_directory import make_own_directory
from scorer.store.paths import EarlierPlaces, lock_path

_SECONDS_BETWEEN_ATTEMPTS = 0.1


class Lock:
    """The right to write one output."""

    def __init__(
        self, output: Path, descriptor: int, earlier: int | None, warnings: tuple[str, ...]
    ) -> None:
        self._output = output
        self._path = lock_path(output)
        self._descriptor = descriptor
        self._earlier = earlier  # of the lock of 0.1, where there was one
        self.warnings = warnings  # about what 0.1 left beside the output

    def check(self) -> None:
        """Raise OutputLocked if another run may be writing.

        The lock file was deleted, or 0.1, which knows another one, was started meanwhile.
        """
        if not _is_named(self._descriptor, self._path):
            raise OutputLocked(
                f"{self._path} was deleted while this run held it",
                "run again, when no other run is writing the output",
            )
        earlier = EarlierPlaces.of(self._output).lock
        if os.path.lexists(earlier) and not (
            self._earlier is not None and _is_named(self._earlier, earlier)
        ):
            raise OutputLocked(
                f"an earlier version of tweetscore began to write {self._output} during this run",
                "run again, when no other run is writing the output",
            )


@contextmanager
def locked(output: Path, *, wait: float = 0.0) -> Iterator[Lock]:
    """Hold the lock of an output, after at most `wait` seconds of waiting.

    The lock file is never deleted: whoever deleted it would let a second run lock a new file of
    that name beside the first one. Somebody else may delete it, so its inode is compared. What 0.1
    left beside the output is moved, under the lock of 0.1, which goes then.

    Raises:
        OutputLocked: another run holds it, or may hold it since the lock file was deleted.
        OutputRefused: the lock cannot be made.
    """
    deadline = time.monotonic() + wait
    make_own_directory(output)
    earlier = EarlierPlaces.of(output).lock
    with ExitStack() as held:
        descriptor = _wait_for(lock_path(output), output, deadline)
        held.callback(os.close, descriptor)
        before = None
        if os.path.lexists(earlier):
            before = _wait_for(earlier, output, deadline)
            held.callback(os.close, before)
        lock = Lock(output, descriptor, before, move_earlier(output))
        try:
            yield lock
        except (TweetscoreError, OSError):
            lock.check()  # two runs that get in each other's way fail in odd ways: say why
            raise


def _wait_for(path: Path, output: Path, deadline: float) -> int:
    """Return a descriptor that holds a lock; raise OutputLocked if another one does until then."""
    while (descriptor := _try_to_lock(path)) is None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutputLocked(
                f"another run is writing {output}",
                f"wait with --lock-wait 3600; fuser {path_word(path)} names its process",
            )
        time.sleep(min(left, _SECONDS_BETWEEN_ATTEMPTS))
    return descriptor


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
