import base64
import json
from pathlib import Path

import pytest

from scorer.files.discover import rejects_path
from scorer.files.rejects import reject_log
from scorer.records import Reject


def test_rejects_are_lines_of_json_for_the_owner_alone(tmp_path: Path) -> None:
    """Line, kind, reason and raw text; bytes that are no text are there in base64 too."""
    output = tmp_path / "out.csv"
    rejects = [
        Reject(3, "field-count", "1 cell where 2 are expected", "é\n".encode()),
        Reject(9, "encoding", "bytes that are not the encoding", b"a\xff"),
    ]
    with reject_log(output) as log:
        log.add(rejects[:1])
        log.add(rejects[1:])
        assert not rejects_path(output).exists()
    assert log.count == 2
    path = rejects_path(output)
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


def test_without_rejects_the_old_file_goes(tmp_path: Path) -> None:
    """Last night's rejects do not lie beside tonight's clean output."""
    rejects_path(tmp_path / "out.csv").write_text("old")
    with reject_log(tmp_path / "out.csv"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_failure_changes_nothing(tmp_path: Path) -> None:
    """The old file stays and no temporary one."""
    path = rejects_path(tmp_path / "out.csv")
    path.write_text("old")

    def fail() -> None:
        with reject_log(tmp_path / "out.csv") as log:
            log.add([Reject(1, "encoding", "x", b"")])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
