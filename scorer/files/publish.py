"""The commit: a complete file appears under the output's name, or nothing changes."""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorer.errors import DataError, InputMissing, OutputRefused, UsageError
from scorer.files.discover import intent_path, report_path
from scorer.files.storage import reading, writing

Inodes = dict[tuple[int, int], Path]  # by device and inode, a path to it


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What a run report says about an output, so that the next run knows it as ours."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "FileIdentity":
        """Read the file once and return its identity."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            status = os.fstat(file.fileno())
        return cls(status.st_size, status.st_mtime_ns, digest)

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
        with suppress(OSError):  # whoever opens it says why that cannot be done
            status = path.stat()
            found[status.st_dev, status.st_ino] = path
    return found


def check_place(output: Path, inputs: Mapping[tuple[int, int], Path]) -> None:
    """Check that a file can be written there; whose it is, is asked under the lock.

    Args:
        output: The file to be written.
        inputs: The files to be read, as `inodes` found them.

    Raises:
        UsageError: it is one of the inputs, by path, symbolic link or hard link.
        OutputRefused: its directory is missing or closed to us, or it is no regular file.
    """
    for identity in inodes([output]):
        if path := inputs.get(identity):
            raise UsageError(f"{output} is the input {path} itself", "choose another output")
    with writing(output):
        parent = output.parent
        if not parent.is_dir():
            raise OutputRefused(f"the directory {parent} does not exist", "create it first")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputRefused(
                f"the directory {parent} cannot be written to", "check its permissions"
            )
        if (status := _status(output)) and not stat.S_ISREG(status.st_mode):
            raise OutputRefused(f"{output} is not a regular file", "choose another output")


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
    return report_on(output) is not None or report_on(output, intent_path(output)) is not None


def report_on(output: Path, path: Path | None = None) -> dict[str, Any] | None:
    """Return the run report (or that of another `path`) if it describes the output as it is."""
    report = read_report(path or report_path(output))
    with reading(output):
        known = report is not None and _status(output) and FileIdentity.recorded(report, output)
    return report if known else None


def read_report(path: Path) -> dict[str, Any] | None:
    """Return a JSON object from a file; None where there is none.

    Raises:
        StorageError: The device fails: what is there is not known, so nobody may act on it.
    """
    try:
        with reading(path):
            content = json.loads(path.read_bytes())
    except (InputMissing, DataError, ValueError):
        return None  # no file, a directory, or no JSON
    return content if isinstance(content, dict) else None


def temporary_sibling(path: Path) -> Path:
    """Return the hidden name beside `path` under which its next content is written.

    Always the same one: what a killed run left there is found without searching the directory.
    """
    return path.with_name(f".{path.name}.tweetscore.tmp")


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


def write_json(path: Path, content: Mapping[str, Any], *, temporary: Path | None = None) -> None:
    """Write a small JSON file atomically and durably."""
    replace_json(path, content, temporary=temporary)
    with writing(path):
        fsync_directory(path.parent)


def replace_json(path: Path, content: Mapping[str, Any], *, temporary: Path | None = None) -> None:
    """Write a small JSON file atomically; its name is durable when its directory is."""
    text = json_text(content)
    temporary = temporary or temporary_sibling(path)
    with replacing(path, temporary), writing(path):
        temporary.write_text(text, encoding="ascii")


def fsync_directory(directory: Path) -> None:
    """Make the renames in a directory durable."""
    _fsync(directory)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
