"""What is named instead of an output of a run, each with what to name."""

import json
from pathlib import Path

import pytest

from scorer.errors import DataError, InputMissing
from scorer.readback.output_report import report_of
from tests.places import with_directory

FAILED = Path(__file__).parents[1] / "upgrade/fixtures/failed-since/out.csv.run.failed.json"


def test_a_directory_is_answered_with_one_of_its_outputs(tmp_path: Path) -> None:
    """A report without its output is passed over; without one the remedy says what it is."""
    with pytest.raises(InputMissing, match="is a directory") as error:
        report_of(tmp_path)
    assert error.value.remedy == "name an output of tweetscore run"
    with_directory(tmp_path / ".tweetscore/a.csv.run.json").write_text("{}")
    with_directory(tmp_path / ".tweetscore/b.csv.run.json").write_text("{}")
    (tmp_path / "b.csv").write_text("text\n")
    with pytest.raises(InputMissing) as error:
        report_of(tmp_path)
    assert error.value.remedy == f"name one of its outputs, such as {tmp_path / 'b.csv'}"


def test_a_directory_that_cannot_be_listed_has_no_output_to_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is about the directory all the same."""

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(InputMissing) as error:
        report_of(tmp_path)
    assert error.value.remedy == "name an output of tweetscore run"


def test_a_report_that_may_not_be_read_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is there, so the remedy is not about a report that is missing."""

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "out.csv").write_text("text\n")
    with_directory(tmp_path / ".tweetscore/out.csv.run.json").write_text("{}")
    monkeypatch.setattr("scorer.readback.output_report.read_own", refuse)
    with pytest.raises(InputMissing, match=r"out\.csv\.run\.json") as error:
        report_of(tmp_path / "out.csv")
    assert "permission" in str(error.value).lower()


@pytest.mark.parametrize("content", ["", "[", "[1]", '{"a": 1, "a": 2}', json.dumps({"a": 1})])
def test_what_is_no_report_says_run_again(tmp_path: Path, content: str) -> None:
    """Whatever the file holds instead, it is one line with the file's name."""
    (tmp_path / "out.csv").write_text("text\n")
    with_directory(tmp_path / ".tweetscore/out.csv.run.json").write_text(content)
    with pytest.raises(DataError, match=r"out\.csv\.run\.json is no ") as error:
        report_of(tmp_path / "out.csv")
    assert error.value.remedy == "run again"


def test_the_report_of_a_run_that_failed_is_that_of_no_output(tmp_path: Path) -> None:
    """Somebody gave it the name of a good one."""
    (tmp_path / "out.csv").write_text("text\n")
    with_directory(tmp_path / ".tweetscore/out.csv.run.json").write_bytes(FAILED.read_bytes())
    with pytest.raises(DataError, match=r"out\.csv\.run\.json tells of a run that failed"):
        report_of(tmp_path / "out.csv")
