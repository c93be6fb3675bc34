import gzip
import json
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scorer.installation import install
from scorer.store import commit
from tests.verify.helpers import forge, score

Invoke = Callable[..., Result]


@pytest.fixture
def output(tweets: Path) -> Path:
    return score(tweets)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def test_a_page_is_one_line_and_exit_0(invoke: Invoke, output: Path, page: Path) -> None:
    """All is well: a line on stderr, and a page of HTML."""
    result = invoke("report", output, "-o", page)
    assert (result.exit_code, result.stdout) == (0, "")
    size = f"{page.stat().st_size / 1000:,.0f} kB"
    assert result.stderr == f"tweetscore: {page}: 3 rows on a page of {size}\n"
    assert page.read_text("utf-8").startswith("<!doctype html>\n")


def test_quiet_says_nothing(invoke: Invoke, output: Path, page: Path) -> None:
    """With -q a page is its own message."""
    result = invoke("report", "-q", output, "-o", page)
    assert (result.exit_code, result.output, page.exists()) == (0, "", True)


def test_our_own_page_is_replaced(invoke: Invoke, output: Path, page: Path) -> None:
    """The next night's page takes its place."""
    assert invoke("report", output, "-o", page).exit_code == 0
    first = page.read_bytes()
    assert invoke("report", output, "-o", page, "--no-text").exit_code == 0
    assert page.read_bytes() != first


def test_another_file_is_not_replaced(invoke: Invoke, output: Path, page: Path) -> None:
    """What we did not write is 73, and stays as it was."""
    page.write_text("<!doctype html>\n<p>my notes</p>")
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 73
    assert f"{page} exists and was not written by tweetscore report" in result.stderr
    assert page.read_text() == "<!doctype html>\n<p>my notes</p>"


def test_a_page_cannot_be_an_output(invoke: Invoke, output: Path) -> None:
    """A slip of the hand does not cost the scores."""
    before = output.read_bytes()
    result = invoke("report", output, "-o", output)
    assert result.exit_code == 2
    assert "choose another output" in result.stderr
    assert output.read_bytes() == before


def test_a_missing_directory_is_73(invoke: Invoke, output: Path, tmp_path: Path) -> None:
    """Before any row is read."""
    result = invoke("report", output, "-o", tmp_path / "nowhere" / "page.html")
    assert result.exit_code == 73
    assert "create it: mkdir -p " in result.stderr


def test_a_missing_output_is_66(invoke: Invoke, output: Path, page: Path) -> None:
    """As is one without its run report: that is no output of ours."""
    result = invoke("report", output.with_name("other.csv"), "-o", page)
    assert result.exit_code == 66
    assert "other.csv does not exist" in result.stderr
    (output.parent / f".tweetscore/{output.name}.run.json").unlink()
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 66
    assert "tweets.scored.csv.run.json does not exist" in result.stderr
    assert not page.exists()


def test_an_output_that_has_changed_is_65(invoke: Invoke, output: Path, page: Path) -> None:
    """Its numbers would not be those of the run; no page is written."""
    output.write_bytes(output.read_bytes().replace(b"007", b"008"))
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 65
    assert "has changed since its run report was written" in result.stderr
    assert not page.exists()


def test_a_report_that_contradicts_the_rows_is_65(invoke: Invoke, output: Path, page: Path) -> None:
    """Counters that add up, but are not the rows'."""
    path = output.parent / f".tweetscore/{output.name}.run.json"
    report = json.loads(path.read_text())
    (label,) = (each for each in report["labels"] if each["rows"] == 2)
    other = next(each for each in report["labels"] if each["rows"] == 0)
    label["rows"] = other["rows"] = 1
    other["mean_probability"] = label["mean_probability"]
    path.write_text(json.dumps(report))
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 65
    assert "its rows are not as many as the report counts" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"neutral,0.8", b"funny,0.8", "the label in row 1 is none of the report's"),
        (b"neutral,0.8", b"neutral,", "labels and scores are not blank together"),
        (b"neutral,0.8", b"neutral,1.8", "a score is not from 0 to 1"),
        (b"neutral,0.8", b"neutral,much", "row 1: score is no number"),
    ],
)
def test_rows_that_no_run_writes_are_65(
    invoke: Invoke, output: Path, page: Path, old: bytes, new: bytes, problem: str
) -> None:
    """Though the report has the hash of just these bytes."""
    forge(output, output.read_bytes().replace(old, new))
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 65
    assert problem in result.stderr


def test_a_report_that_contradicts_itself_is_65(invoke: Invoke, output: Path, page: Path) -> None:
    """Nothing is made of numbers that do not add up."""
    path = output.parent / f".tweetscore/{output.name}.run.json"
    path.write_text(path.read_text().replace('"read": 3', '"read": 4'))
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 65
    assert "contradicts itself: read is 4" in result.stderr


@pytest.mark.parametrize(
    ("option", "column", "problem"),
    [
        ("--date-column", "day", "has no column 'day'; it has id, text, label, score"),
        ("--date-column", "text", "column 'text' of .* holds no date; dates are ISO 8601"),
        ("--true-label-column", "id", "column 'id' of .* holds no label; the labels are negative"),
        ("--id-column", "key", "has no column 'key'"),
    ],
)
def test_a_column_that_does_not_fit_is_65(
    invoke: Invoke, output: Path, page: Path, option: str, column: str, problem: str
) -> None:
    """A page without what was asked for would be a lie."""
    result = invoke("report", output, "-o", page, option, column)
    assert result.exit_code == 65
    assert re.search(problem, result.stderr), result.stderr
    assert not page.exists()


def test_a_column_of_no_ids_is_65(invoke: Invoke, output: Path, page: Path, tmp_path: Path) -> None:
    """Rows without ids cannot be paired."""
    empty = tmp_path / "empty.csv"
    empty.write_text("id,text\n,good+\n,bad-\n")
    result = invoke("report", score(empty), "-o", page, "--compare", output, "--id-column", "id")
    assert result.exit_code == 65
    assert "name another --id-column" in result.stderr


def test_a_comparison_is_of_one_output(
    invoke: Invoke, output: Path, page: Path, tmp_path: Path
) -> None:
    """Two outputs and an earlier one: the call does not say which of them to compare."""
    other = tmp_path / "other.csv"
    other.write_text("text\ngood+\n")
    result = invoke("report", output, score(other), "-o", page, "--compare", output)
    assert result.exit_code == 2
    assert "--compare is for one output" in result.stderr


def test_an_output_is_named_once(invoke: Invoke, output: Path, page: Path) -> None:
    """Its rows would be counted twice."""
    link = output.with_name("link.csv")
    link.symlink_to(output)
    result = invoke("report", output, link, "-o", page)
    assert result.exit_code == 2
    assert "is named twice" in result.stderr


def test_outputs_of_other_labels_need_pages_of_their_own(
    invoke: Invoke, output: Path, page: Path, tmp_path: Path
) -> None:
    """Their labels cannot be added up."""
    other = tmp_path / "other.csv"
    other.write_text("text\ngood+\n")
    result = invoke("report", output, score(other, label_names=("a", "b", "c")), "-o", page)
    assert result.exit_code == 2
    assert "make a page for each" in result.stderr


def test_an_output_behind_a_link_is_read_with_its_report(
    invoke: Invoke, output: Path, page: Path
) -> None:
    """As run and verify do."""
    link = output.with_name("latest.csv")
    link.symlink_to(output)
    assert invoke("report", link, "-o", page).exit_code == 0
    assert "Scores of tweets.scored.csv" in page.read_text("utf-8")


def test_a_missing_extra_is_one_line_with_the_pip_command(
    invoke: Invoke, output: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """78, before any row is read."""

    def without_altair(name: str) -> Any:
        if name == "altair":
            raise ModuleNotFoundError("No module named 'altair'", name="altair")
        return import_module(name)

    monkeypatch.setattr("scorer.report.import_module", without_altair)
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 78
    assert result.stderr == (
        "tweetscore: the page needs the library altair, which is not installed; "
        f"try: {install('report')}\n"
    )
    assert not page.exists()


def test_a_disk_that_is_full_leaves_the_earlier_page(
    invoke: Invoke, output: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """74; the page is replaced whole or not at all."""
    assert invoke("report", output, "-o", page).exit_code == 0
    before = page.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(commit, "create_own", full)
    result = invoke("report", output, "-o", page)
    assert result.exit_code == 74
    assert "free some space" in result.stderr
    assert page.read_bytes() == before
    assert not list(page.parent.glob(".page.html*"))


def test_a_damaged_output_is_65(invoke: Invoke, output: Path, page: Path, tmp_path: Path) -> None:
    """Bytes that are no gzip any more."""
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"text\ngood+\n"))
    packed = score(path)
    packed.write_bytes(packed.read_bytes()[:-4])
    result = invoke("report", packed, "-o", page)
    assert result.exit_code == 65
    assert "has changed since" in result.stderr
