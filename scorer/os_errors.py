"""Errors of the operating system as TweetscoreError: storage, and memory that is used up.

What is used up may be the machine's memory, the address space that `ulimit -v` leaves, or the
number of threads; a library reports it by an exception of its own kind, or only in a message. The
kernel's out-of-memory killer reports nothing: the run that it ends goes on when the same command
is given again.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scorer.errors import (
    DataError,
    DeviceFull,
    DeviceUnavailable,
    InputMissing,
    InvalidBundle,
    OutOfMemory,
    OutputRefused,
    StorageError,
    TweetscoreError,
)

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
    errno.ENAMETOOLONG: "choose a shorter name",
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
    """Turn an OSError while reading `path` into a TweetscoreError."""
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
    """Turn an OSError while writing `path` into a TweetscoreError."""
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


_WORDS = (
    "bad_alloc",  # C++: ONNX Runtime, OpenVINO
    "cannot allocate memory",  # the system's own, of a library that is loaded among others
    "failed to map segment",  # likewise
    "failed to allocate memory",
    "can't start new thread",  # Python
    "threadpoolbuilderror",  # Rust's Rayon: polars, tokenizers
    "can't spawn worker thread",  # polars
)
# What wraps a library's error in a guess at its cause; a device has a memory of its own.
_ON_CPU = ("CPUExecutionProvider", "OpenVINOExecutionProvider")
_GUESSES = (InvalidBundle, DeviceUnavailable)

# MiniLM takes 318 MB in fp32, and 544 MB in int8, where texts of low margin go to a second graph;
# one thread or eight make no difference.
WITH_ONE_GRAPH = "use --precision fp32, or free some memory, and run again"
WITH_SMALLER_WINDOWS = "lower --chunk-rows, or free some memory, and run again"
_FREE_SOME = "free some memory, or raise its limit (ulimit -v), and run again"
_RAISE = "raise it with ulimit -v unlimited, and run again"

# polars, pyarrow and numpy alone: `verify` works with 900 MiB and not with 800.
LIBRARIES = 850 << 20


def is_shortage(error: BaseException | None) -> bool:
    """Tell whether an error means that memory is used up, and not that something is wrong."""
    if error is None or isinstance(error, DataError):
        return False
    if isinstance(error, DeviceFull):
        return error.problem.startswith(_ON_CPU)  # whose memory is the process's own
    if isinstance(error, _GUESSES):
        return is_shortage(error.__cause__)
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno == errno.ENOMEM
    words = str(error).lower()
    return any(each in words for each in _WORDS)


def as_out_of_memory(error: BaseException, remedy: str = _FREE_SOME) -> BaseException:
    """Return OutOfMemory where an error means that memory is used up, or the error itself."""
    if isinstance(error, OutOfMemory) or not is_shortage(error):
        return error
    shortage = OutOfMemory(f"not enough memory ({_gist(error)})", remedy)
    shortage.__cause__ = error
    return shortage


def is_beyond_all(error: MemoryError) -> bool:
    """Tell whether more was asked for than the machine has: then the file or the call is wrong."""
    asked = max((int(word) for word in str(error).split() if word.isdecimal()), default=0)
    return asked > os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def check_address_space(needed: int = LIBRARIES, with_one_graph: int | None = None) -> None:
    """Raise OutOfMemory where `ulimit -v` leaves less than is needed in any case.

    Rust's libraries end the process when they get no memory, without a message.

    Both are in bytes; `with_one_graph` is what a model needs in fp32 on one thread.
    """
    limit = _address_space()
    if limit is not None and limit < needed:
        fits = with_one_graph is not None and with_one_graph <= limit
        raise OutOfMemory(
            f"this process may use {limit >> 20:,} MiB of address space (ulimit -v), "
            f"and needs more than {needed >> 20:,}",
            f"use --precision fp32 with --threads 1, or {_RAISE}" if fits else _RAISE,
        )


def model_needs(weights: int, precision: str, threads: int) -> int:
    """Return the bytes of address space without which no model of that size was ever loaded.

    MiniLM with weights of 45 MB: fp32 on a thread fails at 1,300 MiB and works at 1,500; int8 on
    two fails at 1,600 and works at 1,800. A model of nearly no size works from 1,050 on.
    """
    copies = 15 if precision == "int8" else 8  # of the fp16 weights, while a graph is folded
    return (1000 << 20) + copies * weights + (threads << 24)


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def _gist(error: BaseException) -> str:
    words = error.problem if isinstance(error, TweetscoreError) else str(error)
    words = " ".join(words.split())
    return words[:200] if words else type(error).__name__
