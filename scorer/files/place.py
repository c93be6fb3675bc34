"""Checks, before any work, of whatever could keep an output from getting its name."""

import ctypes
import os
import stat
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from scorer import hints
from scorer.errors import OutputRefused, UsageError
from scorer.files.discover import rejects_path, report_path, state_directory
from scorer.files.publish import inodes
from scorer.files.storage import writing

_AT_FDCWD, _NOFOLLOW, _BASIC = -100, 0x100, 0x7FF
_STATX_SIZE, _ATTRIBUTES = 256, slice(8, 16)  # bytes of struct statx, and where its attributes are
_IMMUTABLE, _APPEND, _MOUNT_ROOT = 0x10, 0x20, 0x2000


def check_place(output: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check that a file can be written there; whose it is, is asked under the lock.

    Args:
        output: The file to be written.
        inputs: The files to be read, as `inodes` found them.

    Raises:
        UsageError: it is one of the inputs, by path, symbolic link or hard link.
        OutputRefused: its directory is missing or closed to us, it is no regular file, or it
            cannot be replaced.
    """
    for identity in inodes([output]):
        if path := inputs.get(identity):
            raise UsageError(f"{output} is the input {path} itself", "choose another output")
    with writing(output):
        _check_directory(output.parent)
        if output.exists() and not output.is_file():
            raise OutputRefused(f"{output} is not a regular file", "choose another output")
        _check_replaceable(output)


def check_output(output: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check an output's place, and the names beside it: after the commit it would be too late.

    Args:
        output: The file to be written.
        inputs: As for `check_place`, which says what is raised.
    """
    check_place(output, inputs)
    with writing(output):
        for path in (report_path(output), rejects_path(output), state_directory(output)):
            _check_replaceable(path)


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        remedy = f"create it: mkdir -p {hints.path_word(directory)}"
        raise OutputRefused(f"the directory {directory} does not exist", remedy)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise OutputRefused(
            f"the directory {directory} cannot be written to", "check its permissions"
        )
    if _attributes(directory) & (_IMMUTABLE | _APPEND):
        raise OutputRefused(
            f"nothing in the directory {directory} can be replaced (chattr)",
            f"sudo chattr -i -a -- {_quoted(directory)}",
        )


def _check_replaceable(path: Path) -> None:
    """Raise OutputRefused where a rename could not give this name to another file."""
    if not os.path.lexists(path):
        return
    attributes = _attributes(path)
    if attributes & _MOUNT_ROOT:
        raise OutputRefused(
            f"{path} is a mount point, which cannot be replaced",
            "mount the directory that it is in, or choose another output",
        )
    if attributes & (_IMMUTABLE | _APPEND):
        raise OutputRefused(
            f"{path} cannot be replaced (chattr)", f"sudo chattr -i -a -- {_quoted(path)}"
        )
    if _is_of_another(path):
        raise OutputRefused(
            f"{path} belongs to another user (uid {path.lstat().st_uid}), "
            f"and in {path.parent} only its owner may replace it",
            "choose another output",
        )


def _is_of_another(path: Path) -> bool:
    """Tell whether a directory such as /tmp keeps a file from being replaced by us."""
    directory = path.parent.stat()
    if not directory.st_mode & stat.S_ISVTX:
        return False
    if os.geteuid() in {directory.st_uid, path.lstat().st_uid}:
        return False
    try:  # which only an owner may, and whoever may act as one
        os.close(os.open(path.parent, os.O_RDONLY | os.O_NOATIME | os.O_CLOEXEC))
    except PermissionError:
        return True
    return False


def _attributes(path: Path) -> int:
    """Return what Linux says of a file beyond `os.stat`; 0 where it says nothing."""
    statx = _statx()
    found = ctypes.create_string_buffer(_STATX_SIZE)
    if statx is None or statx(_AT_FDCWD, os.fsencode(path), _NOFOLLOW, _BASIC, found):
        return 0
    return int.from_bytes(found.raw[_ATTRIBUTES], "little")


@cache
def _statx() -> Callable[..., Any] | None:
    """Return the C library's function, or None; Python 3.11 has none of its own."""
    return getattr(ctypes.CDLL(None), "statx", None)


def _quoted(path: Path) -> str:
    return hints.word(str(path))
