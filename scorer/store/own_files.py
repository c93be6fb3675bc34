"""Files of our own: private, no links followed, with the mode and owner of what they replace."""

import errno
import os
import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from io import BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import Any

from scorer import hints
from scorer.errors import DataError
from scorer.os_errors import kind_of

SMALL = 16 << 20  # bytes; a report, a plan or a note has some kilobytes

_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_THERE = os.O_NONBLOCK | os.O_CLOEXEC  # opening a pipe does not wait for its writer


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
    except FileExistsError:  # left by a run that was killed, or made by another user
        if kind_of(path.lstat().st_mode) == "a device":  # which cannot be made again
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


_ACL = "system.posix_acl_access"
# Others describe the old content (security.ima), or are for the administrator (trusted.).
_KEPT = (_ACL, "security.selinux")
_USERS = "user."
_NOT_POSSIBLE = {errno.EPERM, errno.EACCES, errno.EINVAL, errno.ENOTSUP, errno.ENODATA}


def keep_attributes(old: Path, new: Path) -> tuple[str, ...]:
    """Give a new file the owner, mode, access list and labels of the one that it will replace.

    Bits that a write would have cleared (set-user-id) are not kept. Where an owner, a group or an
    access list cannot be kept, nobody may read the new file who could not read the old one.

    Args:
        old: A regular file or a directory; without one nothing is done.
        new: One of ours.

    Returns:
        A line on what could not be kept, and what to do about it; none if all was.
    """
    try:
        status = old.lstat()
    except FileNotFoundError:
        return ()
    descriptor = os.open(new, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _keep(old, status, descriptor)
    finally:
        os.close(descriptor)


def _keep(old: Path, status: os.stat_result, new: int) -> tuple[str, ...]:
    labels = _labels(old)
    made = os.fstat(new)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISREG(status.st_mode):
        mode &= 0o777
    lost = []
    if made.st_gid != status.st_gid and not _done(os.fchown, new, -1, status.st_gid):
        mode &= ~0o070 | (mode & 0o007) << 3  # the bits would be for another group now
        lost.append("group")
    if _ACL not in labels:
        _done(os.removexattr, new, _ACL)  # of the directory, which gives its own to new files
    _done(os.fchmod, new, mode)
    if _ACL in labels and not _done(os.setxattr, new, _ACL, labels[_ACL]):
        _done(os.fchmod, new, mode & ~0o070)  # these were the most that its entries could allow
        lost.append("access control list")
    for name, value in labels.items():
        if name != _ACL:
            _done(os.setxattr, new, name, value)
    # The last step: a process that is no longer the owner may do none of these.
    if made.st_uid != status.st_uid and not _done(os.fchown, new, status.st_uid, -1):
        lost.insert(0, "owner")
    return (_warning(old, status, lost),) if lost else ()


def _warning(old: Path, status: os.stat_result, lost: list[str]) -> str:
    owner = f"{status.st_uid}:{status.st_gid}"
    remedy = f"sudo chown {owner} -- {hints.word(str(old))}"
    if lost == ["access control list"]:
        remedy = f"set it again with setfacl -- {hints.word(str(old))}"
    return f"{old} could not keep its {' and '.join(lost)} ({owner}) when it was replaced; {remedy}"


def _labels(path: Path) -> dict[str, bytes]:
    """Return the extended attributes that are kept; {} where the file system has none."""
    labels: dict[str, bytes] = {}
    try:
        for name in os.listxattr(path, follow_symlinks=False):
            if name in _KEPT or name.startswith(_USERS):
                labels[name] = os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise
    return labels


def _done(call: Callable[..., Any], *arguments: Any) -> bool:
    """Do something that a user or a file system may not allow; return whether it was done."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise
        return False
    return True
