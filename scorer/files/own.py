"""The program's own files: made where nothing was, opened only where they are regular files.

Their names are known beforehand, and others may write where an output is. So a name may be taken:
by a link to a file that would be overwritten, by a pipe that nobody ends, by a file of gigabytes.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from io import BufferedReader, BufferedWriter, FileIO
from pathlib import Path

from scorer.errors import DataError
from scorer.files.storage import kind_of

SMALL = 16 << 20  # bytes; a report, a plan or a note has some kilobytes

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE = os.O_NONBLOCK | os.O_CLOEXEC  # nobody waits for who writes into a pipe


def create_own(path: Path, mode: int = 0o666) -> BufferedWriter:
    """Open a new file for writing; what has its name is removed, a link itself and not its target.

    Raises:
        OSError: A directory has the name, or what has it may not be removed.
    """
    return os.fdopen(_new(path, os.O_WRONLY, mode), "wb")


def append_own(path: Path) -> FileIO:
    """Open a file to append to it, unbuffered; one that has another name too begins anew.

    Whoever made that second name did not mean the file to be written by us.
    """
    try:
        status = path.lstat()
        usable = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    except FileNotFoundError:
        usable = False
    flags = os.O_RDWR | os.O_APPEND
    if usable:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | _THERE)
    else:
        discard(path)
        descriptor = _new(path, flags, 0o666)
    return os.fdopen(descriptor, "ab", buffering=0)


def _new(path: Path, flags: int, mode: int) -> int:
    try:
        return os.open(path, flags | _NEW, mode)
    except FileExistsError:  # left by a run that was killed, or put there by somebody
        if kind_of(path.lstat().st_mode) == "a device":  # which nobody gets back
            raise
        path.unlink()
        return os.open(path, flags | _NEW, mode)


def open_own(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        DataError: It is no regular file.
        OSError: It cannot be opened, or is a directory.
    """
    _check_regular(path, path.stat().st_mode)  # opening a device may do something already
    file = os.fdopen(os.open(path, os.O_RDONLY | _THERE), "rb")
    try:
        _check_regular(path, os.fstat(file.fileno()).st_mode)
    except DataError:
        file.close()
        raise
    return file


def read_own(path: Path, most: int = SMALL) -> bytes:
    """Return the content of a file that has at most so many bytes.

    Raises:
        DataError: It is larger, or no regular file.
        OSError: It cannot be read.
    """
    with open_own(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise DataError(
                f"{path} has {size:,} bytes, more than the {most:,} that such a file may have",
                "remove it",
            )
        return file.read(size)


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind := kind_of(mode):
        raise DataError(f"{path} is {kind}, not a regular file", "put a file in its place")


def discard(path: Path) -> None:
    """Remove whatever has a name in a directory of ours: a tree too, but nothing behind a link."""
    with suppress(FileNotFoundError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path)
        else:
            path.unlink()


def why_not_private(directory: Path) -> str:
    """Return why others may have written into a directory of ours; nothing if not, or if none.

    What lies in there decides what becomes an output. So it has to be this user's own.
    """
    try:
        status = directory.lstat()
    except FileNotFoundError:
        return ""
    if not stat.S_ISDIR(status.st_mode):
        return f"is {kind_of(status.st_mode) or 'a file'}, not a directory"
    if status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid})"
    if status.st_mode & 0o022 and _has_modes(directory, status.st_mode):
        return "may be written to by other users"
    return ""


def _has_modes(directory: Path, mode: int) -> bool:
    """Tell whether a directory's mode means something: some file systems show one for all.

    A bit is changed, and changed back, that neither lets somebody write nor keeps one from it.
    """
    try:
        directory.chmod(stat.S_IMODE(mode) ^ stat.S_IXOTH)
        changed = directory.lstat().st_mode != mode
        directory.chmod(stat.S_IMODE(mode))
    except PermissionError:
        return False
    return changed
