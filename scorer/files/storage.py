"""Turns the operating system's errors into errors of ours, with words and an exit code."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.errors import InputMissing, OutputRefused, StorageError

# A pyarrow error about content is an OSError too, but has no number.
_CANNOT_CREATE = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.EISDIR,
    errno.ELOOP,
    errno.EEXIST,
    errno.EBUSY,
}
_PLACE = "check that its directory exists and may be written to"
_REMEDIES = {
    errno.EROFS: "choose a place on another file system",
    errno.EISDIR: "move the directory away, or choose another output",
    errno.ELOOP: "remove the link, or choose another output",
    errno.EEXIST: "remove what has the name, or choose another output",
    errno.ENAMETOOLONG: "choose a name of at most 200 bytes",
    errno.EBUSY: "it is mounted there, or in use: choose another output",
    errno.ENOSPC: "free some space and run again",
    errno.EDQUOT: "free some space in the quota and run again",
    errno.EFBIG: "raise the limit on file sizes and run again",
    errno.EIO: "check the device and run again",
}

_KINDS: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a link"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def is_directory(path: os.PathLike[str]) -> bool:
    """Tell whether a path leads to a directory; no, where that cannot be seen."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises below a closed directory


def exists(path: os.PathLike[str]) -> bool:
    """Tell whether a path leads anywhere; no, where that cannot be seen."""
    return os.path.exists(path)  # noqa: PTH110 - likewise


def kind_of(mode: int) -> str:
    """Return what a mode is of, where it is no regular file: `a pipe`; else an empty string."""
    return next((words for is_one, words in _KINDS if is_one(mode)), "")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an OSError while reading `path` into an error of ours."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputMissing(f"{path} does not exist", "check the name") from error
    except IsADirectoryError as error:
        raise InputMissing(f"{path} is a directory", "name a file") from error
    except PermissionError as error:
        raise InputMissing(
            f"{path} cannot be read: {_words(error)}", "check its permissions"
        ) from error
    except OSError as error:
        if error.errno is None:
            raise
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            raise InputMissing(
                f"{path} cannot be found: {_words(error)}", "check the name"
            ) from error
        if error.errno == errno.ENOMEM:
            raise
        remedy = _REMEDIES.get(error.errno, "check the device and run again")
        raise StorageError(f"reading {path} failed: {_words(error)}", remedy) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into an error of ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _CANNOT_CREATE:
            raise OutputRefused(
                f"{path} cannot be written: {_words(error)}", _REMEDIES.get(error.errno, _PLACE)
            ) from error
        if error.errno == errno.ENOMEM:
            raise
        remedy = _REMEDIES.get(error.errno or 0, "check the device and run again")
        raise StorageError(f"writing {path} failed: {_words(error)}", remedy) from error
