"""Keeps a file's owner, mode and access list when a new file replaces it."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scorer import hints

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
    # The last step: whoever is not the owner any more may do none of these.
    if made.st_uid != status.st_uid and not _done(os.fchown, new, status.st_uid, -1):
        lost.insert(0, "owner")
    return (_told(old, status, lost),) if lost else ()


def _told(old: Path, status: os.stat_result, lost: list[str]) -> str:
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
    """Do something that a user or a file system may not allow; tell whether it was done."""
    try:
        call(*arguments)
    except OSError as error:
        if error.errno not in _NOT_POSSIBLE:
            raise
        return False
    return True
