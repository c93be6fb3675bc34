from pathlib import Path

import pytest

from scorer.errors import DataError
from tests.verify.helpers import check, edit_report, forge, score

LINES = b'{"id":1,"text":"good+"}\n{"id":2,"text":"bad-"}\n{"id":3}\r\n'


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (path := tmp_path / "in.ndjson").write_bytes(LINES)
    return score(path, scores="all")


CHANGES: list[tuple[bytes, bytes, str]] = [
    (b'"id":2', b'"id":7', "row 2: key 'id' is not what the input holds"),
    (b'"id":2,', b'"id": 2,', "row 2: the line is not what the input holds"),
    (b'{"id":3', b'{"no":3', "row 3: key 'id' is not what the input holds"),
    (b"}\r\n", b"}\n", "row 3: the line ending is not the input's"),
    (b'"label":"positive"', b'"label":"superb"', "row 1: the label is none of the report's"),
    (b'"score":0.8', b'"score":1.8', "row 1: a score is not from 0 to 1"),
    (b'"score":0.8', b'"score":0.8.1', "line 1 is no row: no JSON at character"),
    (b'"score":0.8', b'"score":"8"', "row 1 does not end in label, score, score_negative"),
    (b'"score":0.8', b'"score": 0.8', "row 1 does not end in label, score, score_negative"),
    (b'"score":0.8', b'"score":0', "row 1: the score is not that of the most probable class"),
    (b'"score":0.8', b'"score":null', "row 1: label and scores are not blank together"),
    (b'"label":null', b'"label":"neutral"', "row 3: label and scores are not blank together"),
    (b'{"id":1', b'"id":1', "line 1 is no row: no JSON at character 5: extra data"),
    (b'{"id":1', b'\xef\xbb\xbf{"id":1', "the byte-order mark is not the input's"),
    (b'{"id":2', b'{"id":2}\n{"id":2', "4 rows in the output, the report says 3"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "finding"), CHANGES)
def test_a_change_is_found(output: Path, old: bytes, new: bytes, finding: str) -> None:
    """By the rows alone: size and hash of the report are forged too."""
    content = output.read_bytes()
    assert old in content
    forge(output, content.replace(old, new, 1))
    verdict = check(output)
    assert any(line.startswith(finding) for line in verdict.findings), verdict.findings
    assert verdict.exit_code == DataError.exit_code


def test_rows_with_nan_are_counted_again(tmp_path: Path) -> None:
    """Nothing is wrong with them, but with another number in the report; an old one has none."""
    (path := tmp_path / "in.ndjson").write_bytes(b'{"text":"a","x":NaN}\n{"text":"b"}\n')
    output = score(path)
    assert check(output, rescore=2).findings == ()
    edit_report(output, lambda report: report["counters"].update(not_finite=2))
    assert check(output).findings == ("NaN or Infinity in 1 row of the input, the report says 2",)
    edit_report(output, lambda report: report["counters"].update(not_finite=3))
    assert "the report: not_finite is 3, more than the 2 rows" in check(output).findings
    edit_report(output, lambda report: report["counters"].pop("not_finite"))
    assert check(output).findings == ()
    content = output.read_bytes()
    forge(output, content.replace(b"NaN", b"nan"))
    assert any(line.startswith("line 1 is no row: no JSON") for line in check(output).findings)
    forge(output, content.replace(b"NaN", b"Infinity"))
    assert "row 1: key 'x' is not what the input holds" in check(output).findings


def test_an_output_without_the_members_is_refused(output: Path) -> None:
    """Where no object has the label's key, there is nothing to compare."""
    forge(output, LINES)
    assert any("no column 'label'" in line for line in check(output).findings)


def test_a_missing_input_leaves_the_output_to_check(output: Path) -> None:
    """Labels and scores are still held against the report."""
    output.with_name("in.ndjson").unlink()
    verdict = check(output)
    assert verdict.rows == 3
    assert [line[:30] for line in verdict.findings] == ["the input cannot be compared: "[:30]]
