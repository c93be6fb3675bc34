"""OUTPUT.rejects.ndjson: the records that could not become rows, for whoever mends them."""

import base64
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from scorer.files.discover import rejects_path
from scorer.files.publish import commit, temporary_sibling
from scorer.files.storage import writing
from scorer.records import Reject


class RejectLog:
    """Counts rejects and writes one line of JSON for each."""

    def __init__(self, path: Path, temporary: Path, file: IO[bytes], encoding: str) -> None:
        self.path = path
        self.count = 0
        self._temporary = temporary
        self._file = file
        self._encoding = encoding

    def add(self, rejects: Iterable[Reject]) -> None:
        """Write rejects at once, so that memory stays flat."""
        for reject in rejects:
            line = json.dumps(_as_json(reject, self._encoding), ensure_ascii=False)
            with writing(self.path):
                self._file.write(line.encode("utf-8") + b"\n")
            self.count += 1

    def commit(self) -> None:
        """Publish what was added, or remove last night's file if nothing was; then add no more."""
        if self._file.closed:
            return
        with writing(self.path):
            self._file.close()
            if self.count:
                commit(self._temporary, self.path)
            else:
                self.path.unlink(missing_ok=True)


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
def reject_log(output: Path, encoding: str = "utf-8") -> Iterator[RejectLog]:
    """Yield a log that becomes OUTPUT.rejects.ndjson (mode 0600) when the block ends.

    Without rejects there is no such file, and last night's is removed. Leaving with an exception
    changes nothing, unless the log was committed before; so publish the output in the block.
    """
    path = rejects_path(output)
    temporary = temporary_sibling(path)
    try:
        with writing(path):
            file = os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        with file:
            log = RejectLog(path, temporary, file, encoding)
            yield log
            log.commit()
    finally:
        temporary.unlink(missing_ok=True)
