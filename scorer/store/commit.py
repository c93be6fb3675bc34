"""The commit: a complete file appears under the output's name, or nothing changes."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorer.errors import DataError, InputMissing, OutputRefused
from scorer.os_errors import reading, writing
from scorer.store.own_files import (
    SMALL,
    create_own,
    keep_attributes,
    open_own,
    read_own,
    why_not_private,
)
from scorer.store.paths import (
    EarlierPlaces,
    commit_record_path,
    report_path,
    temporary_sibling,
    there,
)

Inodes = dict[tuple[int, int], Path]  # by device and inode, a path to it


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What a run report says about an output, so that the next run knows it as ours."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(
        cls, path: Path, start: int = 0, hashed: "Future[hashlib._Hash] | None" = None
    ) -> "FileIdentity":
        """Read the file once and return its identity.

        Args:
            path: The file.
            start: How many bytes of it have been hashed.
            hashed: Their hash.
        """
        digest = hashed.result() if hashed else hashlib.sha256()
        with open_own(path) as file:
            file.seek(start)
            hashlib.file_digest(file, lambda: digest)
            status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, digest.hexdigest())

    @staticmethod
    def recorded(report: Mapping[str, Any], path: Path) -> bool:
        """Tell whether a run report describes `path` as it is, by size and mtime or by sha256."""
        match report.get("output"):
            case {"size": size, "mtime_ns": mtime_ns, "sha256": sha256}:
                status = path.stat()
                known = (size, mtime_ns) == (status.st_size, status.st_mtime_ns)
                return known or bool(sha256 == FileIdentity.of(path).sha256)
        return False

    def as_json(self) -> dict[str, Any]:
        """Return what belongs under "output" in OUTPUT.run.json."""
        return asdict(self)


def inodes(paths: Iterable[Path]) -> Inodes:
    """Return which file each path leads to; what is not there has none."""
    found = {}
    for path in paths:
        with suppress(OSError):  # opening it raises the error
            status = path.stat()
            found[status.st_dev, status.st_ino] = path
    return found


def check_owner(output: Path, *, overwrite: bool = False) -> None:
    """Raise OutputRefused if a file is there that is not ours, unless it may be overwritten."""
    with writing(output):
        if overwrite or _status(output) is None or is_ours(output):
            return
    raise OutputRefused(
        f"{output} exists and was not written by tweetscore, or was changed since",
        "remove it, choose another output, or use --overwrite",
    )


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def is_ours(output: Path) -> bool:
    """Tell whether a run report describes the file, or that of a run that was being published."""
    if report_on(output) is not None:
        return True
    record = commit_record_path(output)
    places = (record, EarlierPlaces.of(output).state / record.name)
    return any(
        os.path.lexists(path) and not why_not_private(path.parent) and _described_by(path, output)
        for path in places
    )


def report_on(output: Path, path: Path | None = None) -> dict[str, Any] | None:
    """Return the run report (or that of another `path`) if it describes the output as it is."""
    places = (path,) if path else (report_path(output), EarlierPlaces.of(output).report)
    return next(filter(None, (_described_by(each, output) for each in places)), None)


def report_there(output: Path) -> Path:
    """Return the place of the run report: that of 0.1 until a run has moved it."""
    path, earlier = report_path(output), EarlierPlaces.of(output).report
    if os.path.lexists(path) and os.path.lexists(earlier) and report_on(output, earlier):
        return earlier  # an old version has written the output since
    return there(path, earlier)


def _described_by(path: Path, output: Path) -> dict[str, Any] | None:
    report = read_report(path)
    with reading(output):
        known = report is not None and _status(output) and FileIdentity.recorded(report, output)
    return report if known else None


def read_report(path: Path, most: int = SMALL) -> dict[str, Any] | None:
    """Return a JSON object from a file of at most so many bytes; None where there is none.

    Raises:
        StorageError: The device fails: what is there is not known, so nobody may act on it.
    """
    try:
        with reading(path):
            content = json.loads(read_own(path, most))
    except (InputMissing, DataError, ValueError, RecursionError):
        return None  # no file, a pipe, gigabytes, or no JSON
    return content if isinstance(content, dict) else None


@contextmanager
def replacing(target: Path, temporary: Path) -> Iterator[None]:
    """Let what is written under a temporary name replace `target` when the block ends.

    Leaving with an exception, KeyboardInterrupt too, removes the temporary file and leaves
    `target` as it was.
    """
    try:
        yield
        with writing(target):
            commit(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)  # no harm where it has its name already


def commit(temporary: Path, target: Path) -> None:
    """Make a complete file durable and give it its name."""
    _fsync(temporary)
    os.replace(temporary, target)


def json_text(content: Mapping[str, Any]) -> str:
    """Return a report as JSON in ASCII: a file name that is not UTF-8 can be written too."""
    return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def write_json(
    path: Path,
    content: Mapping[str, Any],
    *,
    temporary: Path | None = None,
    beside: Path | None = None,
) -> None:
    """Write a small JSON file atomically and durably; `beside` as for `replace_bytes`."""
    replace_json(path, content, temporary=temporary, beside=beside)
    with writing(path):
        fsync_directory(path.parent)


def replace_json(
    path: Path,
    content: Mapping[str, Any],
    *,
    temporary: Path | None = None,
    beside: Path | None = None,
) -> None:
    """Write a small JSON file atomically; its name is durable when its directory is."""
    text = json_text(content).encode("ascii")
    replace_bytes(path, text, temporary=temporary, beside=beside)


def replace_bytes(
    path: Path, content: bytes, *, temporary: Path | None = None, beside: Path | None = None
) -> None:
    """Write a small file atomically; its name is durable when its directory is.

    What is replaced keeps its mode, owner and access list.

    Args:
        path: The file; a link of this name is replaced itself.
        content: What will be in it.
        temporary: Under which name it is written.
        beside: The output that it describes: who may not read that may not read a new file.
    """
    temporary = temporary or temporary_sibling(path)
    replaced = is_trusted(path, beside)
    mode = 0o600 if replaced else _mode_of(beside)
    with replacing(path, temporary), writing(path):
        with create_own(temporary, mode) as file:
            file.write(content)
        if replaced:
            keep_attributes(path, temporary)


def is_trusted(path: Path, beside: Path | None = None) -> bool:
    """Tell whether a file is there whose mode and owner a file of ours may take.

    In a directory that is open to all somebody may have put one there, to read what comes.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    owners = {os.geteuid(), (beside or path).parent.stat().st_uid}
    with suppress(OSError):
        owners |= {beside.stat().st_uid} if beside else set()
    return stat.S_ISREG(status.st_mode) and status.st_uid in owners


def _mode_of(output: Path | None) -> int:
    """Return with which mode a new file is made, before the umask."""
    with suppress(OSError):
        return 0o666 & output.stat().st_mode if output else 0o666
    return 0o666


def fsync_directory(directory: Path) -> None:
    """Make the renames in a directory durable."""
    _fsync(directory)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
