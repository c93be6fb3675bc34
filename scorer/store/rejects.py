"""The log of records that are no rows."""

import base64
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scorer.errors import DataError, InputMissing
from scorer.formats.base import RECORD_CAP
from scorer.os_errors import reading, writing
from scorer.records import Reject
from scorer.store.own_files import create_own, open_own

_LONGEST = 8 * RECORD_CAP  # bytes of a line: a record twice, each byte of it as an escape

# Made once: json.dumps would make one for each line, at half the speed.
_to_json = json.JSONEncoder(ensure_ascii=False).encode


class RejectLog:
    """Counts rejects and writes one line of JSON for each."""

    def __init__(self, path: Path, file: IO[bytes], encoding: str) -> None:
        self.count = 0
        self._path = path
        self._file = file
        self._encoding = encoding

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write rejects at once, so that memory stays flat."""
        with writing(self._path):
            for reject in rejects:
                self._file.write(to_line(reject, self._encoding))
                self.count += 1


def to_line(reject: Reject, encoding: str) -> bytes:
    """Return the line of the log for a reject."""
    return _to_json(_as_json(reject, encoding)).encode("utf-8") + b"\n"


def _as_json(reject: Reject, encoding: str) -> dict[str, str | int]:
    entry: dict[str, str | int] = {
        "line": reject.line,
        "kind": reject.kind,
        "reason": reject.reason,
    }
    try:
        entry["raw"] = reject.raw.decode(encoding)
    except UnicodeDecodeError:
        entry["raw"] = reject.raw.decode(encoding, "backslashreplace")
        entry["raw_base64"] = base64.b64encode(reject.raw).decode()
    return entry


@contextmanager
def reject_log(path: Path, encoding: str = "utf-8") -> Iterator[RejectLog]:
    """Yield a log that is whole when the block ends, and on the disk; its owner alone may read."""
    with writing(path):
        file = create_own(path, 0o600)
    log = RejectLog(path, file, encoding)
    try:
        yield log
    finally:
        with writing(path), file:  # closes it even where what is buffered does not fit
            file.flush()
            if log.count:  # an empty one is never published: no reason to wait for the disk
                os.fsync(file.fileno())


def rejects_by_kind(path: Path) -> dict[str, int]:
    """Return how many rejects of each kind a log holds, the most frequent first; {} without one."""
    kinds: Counter[str] = Counter()
    try:
        with reading(path), open_own(path) as file:
            lines = iter(lambda: file.readline(_LONGEST), b"")
            kinds.update(str(json.loads(line)["kind"]) for line in lines)
    except InputMissing:
        return {}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(f"{path} is no file of rejects", "run again") from error
    return dict(kinds.most_common())
