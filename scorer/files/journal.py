"""An append-only file of JSON lines that survives being cut off anywhere.

Each line begins with the length and the CRC-32 of its JSON, in hexadecimal. What a crash leaves
of a line that was being written fails the check; it and all that follows is ignored, and cut
off before the next line is appended.
"""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from scorer.files.own import append_own, open_own
from scorer.files.storage import reading, writing

_HEAD = 18  # "LLLLLLLL CCCCCCCC "
_LONGEST = 1 << 16  # bytes of a line; ours have some hundred


class Journal:
    """The lines that are whole, and the means to append one durably."""

    def __init__(self, path: Path) -> None:
        """Open or create the journal.

        Raises:
            StorageError: The file cannot be read or written.
        """
        self.path = path
        with writing(path):
            self._file = append_own(path)
        with reading(path), open_own(path) as file:
            lines = whole_lines(file)
        self.entries: list[dict[str, Any]] = [entry for entry, _ in lines]
        self._ends = [end for _, end in lines]  # where each line ends, in bytes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, count: int) -> None:
        """Forget all entries but the first `count`."""
        del self.entries[count:], self._ends[count:]

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line and wait until it is on the disk; then it is an entry."""
        line = line_of(entry)
        start = self._ends[-1] if self._ends else 0
        with writing(self.path):
            self._file.truncate(start)
            rest = memoryview(line)
            while rest:  # a disk that is filling up takes a part without an error
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        self.entries.append(dict(entry))
        self._ends.append(start + len(line))


def line_of(entry: Mapping[str, Any]) -> bytes:
    """Return an entry as a line of the journal."""
    content = json.dumps(entry, separators=(",", ":")).encode("ascii")
    return b"%08x %08x %b\n" % (len(content), zlib.crc32(content), content)


def whole_lines(file: IO[bytes]) -> list[tuple[dict[str, Any], int]]:
    """Return the entries before the first line that is not whole, each with its line's end."""
    lines = []
    end = 0
    while (line := file.readline(_LONGEST)).endswith(b"\n"):
        entry = _entry(line[:-1])
        if entry is None:
            break
        end += len(line)
        lines.append((entry, end))
    return lines


def _entry(line: bytes) -> dict[str, Any] | None:
    head, content = line[:_HEAD], line[_HEAD:]
    if head != b"%08x %08x " % (len(content), zlib.crc32(content)):
        return None
    entry: dict[str, Any] = json.loads(content)
    return entry
