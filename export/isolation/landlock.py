"""The files that a process gives up, through Landlock (Linux 5.13 on)."""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import export
import scorer

# The numbers of the system calls, the same on every processor.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_MAKE_LINK = 1 << 12  # a symbolic one: what it leads to has rules of its own
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_EVERY_VERSION = _REFER - 1
_READ = _READ_FILE | _READ_DIR
# No sockets, pipes or devices.
_WRITE = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _TRUNCATE
_WRITE |= _MAKE_DIR | _MAKE_REG | _MAKE_LINK
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
# The first version that knows each.
_REFER_SINCE, _TRUNCATE_SINCE, _TCP_SINCE, _SCOPES_SINCE = 2, 3, 4, 6
_TCP = 0b11  # bind and connect
_SCOPES = 0b11  # abstract sockets and signals of other processes

# What belongs to the system, but for the homes of users and what services keep.
_SYSTEM = "/usr /lib /lib32 /lib64 /bin /sbin /etc /opt /nix /gnu /proc /sys /dev".split()
_DEVICES = ("null", "nvidia*", "nvidia-caps/*")  # the GPU's are written to


def give_up_files(readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Leave this thread, and those that it starts, Python's installation and these paths.

    It must have no new privileges.

    Args:
        readable: Files, and directories with all that is beneath them.
        writable: Directories.

    Returns:
        Whether the kernel has done it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return False
    handled = _EVERY_VERSION
    handled |= _REFER if version >= _REFER_SINCE else 0
    handled |= _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    fields = [handled]
    fields += [_TCP] if version >= _TCP_SINCE else []
    fields += [_SCOPES] if version >= _SCOPES_SINCE else []
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    try:
        for path, rights in _rules(readable, writable):
            _allow(libc, ruleset, path, rights & handled)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _rules(readable: Iterable[str], writable: Iterable[str]) -> Iterator[tuple[Path, int]]:
    yield from ((path, _READ) for path in (*_installation(), *map(Path, readable)))
    yield from ((Path(path), _WRITE) for path in writable)
    for pattern in _DEVICES:
        yield from ((path, _READ | _WRITE_FILE) for path in Path("/dev").glob(pattern))


def _installation() -> Iterator[Path]:
    """Yield where Python, its libraries and theirs are."""
    libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    yield from map(Path, _SYSTEM)
    yield from (Path(part) for part in (sys.prefix, sys.base_prefix, *sys.path, *libraries) if part)
    # An editable installation is not on the path.
    yield from (Path(package.__path__[0]) for package in (export, scorer))


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # not on this system
        return
    try:
        if not path.is_dir():
            rights &= _OF_A_FILE
        libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
