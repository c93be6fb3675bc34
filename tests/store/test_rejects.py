import base64
import json
from pathlib import Path

import pytest

from scorer.errors import StorageError
from scorer.records import Reject
from scorer.store.paths import rejects_path
from scorer.store.rejects import reject_log
from tests.places import with_directory
from tests.store.disk_helpers import file_size_limit


def test_rejects_are_lines_of_json_for_the_owner_alone(tmp_path: Path) -> None:
    """Line, kind, reason and raw text; bytes that are no text are there in base64 too."""
    output = tmp_path / "out.csv"
    rejects = [
        Reject(3, "field-count", "1 cell where 2 are expected", "é\n".encode()),
        Reject(9, "encoding", "bytes that are not the encoding", b"a\xff"),
    ]
    path = with_directory(rejects_path(output))
    with reject_log(path) as log:
        log.add(rejects[:1])
        log.add(rejects[1:])
    assert log.count == 2
    assert path.stat().st_mode & 0o777 == 0o600
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    assert first == {
        "line": 3,
        "kind": "field-count",
        "reason": "1 cell where 2 are expected",
        "raw": "é\n",
    }
    assert second["raw"] == "a\\xff"
    assert base64.b64decode(second["raw_base64"]) == b"a\xff"


def test_a_log_begins_anew(tmp_path: Path) -> None:
    """A run that is taken up reads from the start, and collects all rejects again."""
    path = tmp_path / "rejects.ndjson"
    for line in (1, 2):
        with reject_log(path) as log:
            log.add([Reject(line, "encoding", "x", b"")])
    assert [json.loads(each)["line"] for each in path.read_text().splitlines()] == [2]


def test_a_full_disk_is_met_at_the_latest_when_the_log_ends(tmp_path: Path) -> None:
    """What is still buffered then may not fit, and that is no bug."""

    def fill() -> None:
        with reject_log(tmp_path / "rejects.ndjson") as log:
            log.add([Reject(1, "encoding", "x", b"")])

    with file_size_limit(10), pytest.raises(StorageError, match="file too large"):
        fill()
