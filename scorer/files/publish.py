"""The commit: a complete file appears under the output's name, or nothing changes."""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scorer.errors import OutputRefused, UsageError
from scorer.files.discover import report_path
from scorer.files.storage import writing


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

    def as_json(self) -> dict[str, Any]:
        """Return what belongs under "output" in OUTPUT.run.json."""
        return asdict(self)


def admit_output(output: Path, inputs: Iterable[Path], *, overwrite: bool = False) -> None:
    """Check before any work that `output` may be created or replaced.

    Raises:
        UsageError: it is one of the inputs, by path, symbolic link or hard link.
        OutputRefused: its directory is missing or closed to us, it is no regular file, or it
            exists, is not ours by OUTPUT.run.json, and `overwrite` is false.
    """
    for path in inputs:
        if path.exists() and output.exists() and path.samefile(output):
            raise UsageError(f"{output} is the input {path} itself", "choose another output")
    with writing(output):
        parent = Path(os.path.realpath(output)).parent
        if not parent.is_dir():
            raise OutputRefused(f"the directory {parent} does not exist", "create it first")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputRefused(
                f"the directory {parent} cannot be written to", "check its permissions"
            )
        try:
            mode = output.stat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISREG(mode):
            raise OutputRefused(f"{output} is not a regular file", "choose another output")
    if not overwrite and not is_ours(output):
        raise OutputRefused(
            f"{output} exists and was not written by tweetscore, or was changed since",
            "remove it, choose another output, or use --overwrite",
        )


def is_ours(output: Path) -> bool:
    """Tell whether OUTPUT.run.json records the file's size and mtime, or its sha256."""
    try:
        recorded = json.loads(report_path(output).read_bytes())["output"]
        status = output.stat()
        if (recorded["size"], recorded["mtime_ns"]) == (status.st_size, status.st_mtime_ns):
            return True
        return bool(recorded["sha256"] == FileIdentity.of(output).sha256)
    except (OSError, ValueError, LookupError, TypeError):
        return False  # no report, or none of ours: then the file is not ours either


def temporary_sibling(path: Path) -> Path:
    """Return a free hidden name beside `path`, on the same file system."""
    return path.with_name(f".{path.name}.tmp-{os.getpid()}-{secrets.token_hex(4)}")


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Yield a temporary name; what was written there replaces `output` when the block ends.

    Leaving with an exception, KeyboardInterrupt too, removes the temporary file and leaves
    `output` as it was. A symbolic link stays one: the file that it points to is replaced.
    """
    with writing(output):
        target = Path(os.path.realpath(output))
        temporary = temporary_sibling(target)
    try:
        yield temporary
        with writing(output):
            commit(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def commit(temporary: Path, target: Path) -> None:
    """Make a complete file durable and give it its name."""
    _fsync(temporary)
    os.replace(temporary, target)
    fsync_directory(target.parent)


def json_text(content: Mapping[str, Any]) -> str:
    """Return a report as JSON in ASCII: a file name that is not UTF-8 can be written too."""
    return json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a small JSON file atomically."""
    text = json_text(content)
    with replacing(path) as temporary, writing(path):
        temporary.write_text(text, encoding="ascii")


def fsync_directory(directory: Path) -> None:
    """Make a rename durable where the system can do that; the rename itself is done already."""
    with suppress(OSError):
        _fsync(directory)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
