import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from scorer.errors import DataError, InputMissing
from scorer.formats import csv as csv_source
from tests.verify.helpers import check, edit_report, forge, many, report_path, score

Change = Callable[[bytes], bytes]


def swapped(content: bytes) -> bytes:
    return content.replace(b"2,bad-,negative,0.8\n3,,,\n", b"3,,,\n2,bad-,negative,0.8\n")


def instead(old: bytes, new: bytes) -> Change:
    return lambda content: content.replace(old, new)


# What was done to an output, and a line that must say so though size and hash were forged too.
TAMPERED: list[tuple[Change, str]] = [
    (instead(b"007,", b"7,"), "row 7: column 'id' is not what the input holds"),
    (instead(b'"so, good+"', b'"so, good +"'), "row 1: column 'text' is not what the input holds"),
    (instead(b'6,"",', b"6,,"), "row 6: column 'text' is not what the input holds"),
    (swapped, "row 2: column 'id' is not what the input holds (and 1 more)"),
    (instead(b"3,,,\n", b""), "6 rows in the output, the report says 7"),
    (instead(b"3,,,\n", b"3,,,\n3,,,\n"), "8 rows in the output, the report says 7"),
    (instead(b"4,meh,neutral", b"4,meh,mixed"), "row 4: the label is none of the report's"),
    (instead(b"4,meh,neutral", b"4,meh,positive"), "0 rows labelled 'neutral', the report says 1"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,1.5"), "row 4: a score is not from 0 to 1"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,-0.1"), "row 4: a score is not from 0 to 1"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,NaN"), "row 4: a score is not from 0 to 1"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,inf"), "row 4: a score is not from 0 to 1"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,high"), "row 4: score is no number"),
    (instead(b"meh,neutral,0.8", b'meh,neutral,"0,8"'), "row 4: score is no number"),
    (
        instead(b"meh,neutral,0.8", b"meh,neutral,"),
        "row 4: label and scores are not blank together",
    ),
    (instead(b"meh,neutral,0.8", b"meh,,0.8"), "row 4: label and scores are not blank together"),
    (instead(b"meh,neutral,0.8", b"meh,,"), "3 blank rows, the report says 2"),
    (instead(b"meh,neutral,0.8", b"meh,neutral,0.8,1"), "line 5 is no record: 5 cells"),
    (instead(b"meh,neutral,0.8\n", b"meh,neutral,0.8\n\n"), "line 6 is no record: a blank line"),
    (instead(b"meh,neutral,0.8\n", b"meh,neutral,0.8\r\n"), "row 4: the line ending is not"),
    (instead(b"id,text,", b"ID,text,"), "the header is not the input's with the appended names"),
    (instead(b",label,score", b",score,label"), "are not label, score"),
    (instead(b"id,text,label", b"label"), "are not label, score"),
    (instead(b",label,", b",sentiment,"), "has no column 'label'"),
    (lambda content: content[:-30], "rows in the output, the report says 7"),
    (lambda content: b"\xef\xbb\xbf" + content, "the header is not the input's"),
    (lambda _: b"", "is empty"),
]


@pytest.mark.parametrize(("change", "line"), TAMPERED, ids=[line for _, line in TAMPERED])
def test_a_change_in_the_output_is_found_and_named(tweets: Path, change: Change, line: str) -> None:
    """The rows themselves show it, even where size and hash were made to fit."""
    output = score(tweets)
    good = output.read_bytes()
    assert change(good) != good
    forge(output, change(good))
    verdict = check(output)
    assert any(line in each for each in verdict.findings), verdict.findings
    assert verdict.exit_code == 65


def test_findings_name_the_row_whatever_the_blocks(
    tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows count from the file's beginning, and a line says no more and no less than this."""
    output = score(tweets)
    content = output.read_bytes()
    for old, new in (
        (b"2,bad-,negative,0.8\n", b"2,bad-,negative,0.8\n2\n"),
        (b'lines+",positive,0.8', b'lines+",positive,high'),
        (b'6,"",,\n', b'6,"",,\r\n'),
        (b"007,", b"7,"),
    ):
        assert old in content
        content = content.replace(old, new)
    forge(output, content)
    for size in (csv_source.BLOCK_SIZE, 32):
        monkeypatch.setattr(csv_source, "BLOCK_SIZE", size)
        assert {
            "line 4 is no record: 1 cell where 4 are expected",
            "row 5: score is no number",
            "row 6: the line ending is not the input's",
            "row 7: column 'id' is not what the input holds",
        } <= set(check(output).findings)
        monkeypatch.setattr("scorer.formats.text.compression.READ_SIZE", 8)


def test_findings_of_one_kind_are_counted(tweets: Path) -> None:
    """The first is named, the others are a number."""
    output = score(tweets)
    content = output.read_bytes().replace(b"e,0.8\n", b"e,high\r\n").replace(b"id,", b"ID,", 1)
    forge(output, content.replace(b"4,meh,neutral,0.8\n", b"4\n3\n\xff,,,\n4,meh,neutral,high\n"))
    assert {
        "the header is not the input's with the appended names",
        "line 5 is no record: 1 cell where 4 are expected (and 2 more)",
        "row 1: score is no number (and 4 more)",
        "row 1: the line ending is not the input's (and 3 more)",
    } <= set(check(output).findings)


def test_the_last_record_needs_no_line_ending(tweets: Path) -> None:
    """Its column is named like any other's."""
    tweets.write_bytes(tweets.read_bytes().removesuffix(b"\n"))
    output = score(tweets)
    forge(output, output.read_bytes().replace(b"007,", b"7,"))
    assert check(output).findings == ("row 7: column 'id' is not what the input holds",)


def test_a_record_with_one_more_cell_is_not_the_inputs(tmp_path: Path) -> None:
    """Where each column is what it was, the record as a whole is named."""
    (path := tmp_path / "in.csv").write_bytes(b"id,text\n1,a+\n")
    output = score(path)
    forge(output, output.read_bytes().replace(b"text,", b"text,x,").replace(b"a+,", b"a+,,"))
    assert check(output).findings == (
        "the header is not the input's with the appended names",
        "row 1: the record is not what the input holds",
    )


def test_an_output_without_its_columns_is_named(tweets: Path) -> None:
    """The line has the file and the names that it should end with."""
    output = score(tweets)
    forge(output, output.read_bytes().replace(b",label,score", b",score,label"))
    assert f"the last columns of {output} are not label, score" in check(output).findings


def in_first(old: bytes, new: bytes) -> Change:
    return lambda content: content.replace(old, new, 1)


PER_CLASS: list[tuple[Change, str]] = [
    (in_first(b"0.8,0.1,0.1,0.8", b"0.8,0.2,0.1,0.8"), "row 1: the scores per class do not add up"),
    (in_first(b"0.8,0.1,0.1,0.8", b"0.7,0.1,0.1,0.8"), "row 1: the score is not that of the most"),
    (in_first(b"0.8,0.1,0.1,0.8", b"0.8,0.1,0.8,0.1"), "row 1: the label is not the most probable"),
    (in_first(b"0.8,0.1,0.1,0.8", b"0.8,0.1,0.1,NaN"), "row 1: a score is not from 0 to 1"),
    (in_first(b"0.8,0.1,0.1,0.8", b"0.8,0.1,0.1,"), "row 1: label and scores are not blank"),
    (in_first(b"0.8,0.1,0.1,0.8", b"0.7,0.15,0.15,0.7"), "the mean probability of 'positive' is"),
]


@pytest.mark.parametrize(("change", "line"), PER_CLASS, ids=[line for _, line in PER_CLASS])
def test_columns_per_class_must_fit_the_label(tweets: Path, change: Change, line: str) -> None:
    """With all scores each row proves its label, and all rows the report's means."""
    output = score(tweets, scores="all")
    good = output.read_bytes()
    assert change(good) != good
    forge(output, change(good))
    verdict = check(output)
    assert any(line in each for each in verdict.findings), verdict.findings


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"rows": 8, "scored": 6, "read": 8}, "7 rows in the output, the report says 8"),
        ({"scored": 6}, "rows is 7, but not the sum of scored and blank"),
        ({"read": 9}, "read is 9, but not the sum of rows and rejected"),
        ({"rejected": 1, "read": 8}, "0 rejected records in the input, the report says 1"),
        ({"equal": 6}, "equal is 6, more than the 5 scored"),
    ],
)
def test_edited_counters_are_found(tweets: Path, change: dict[str, int], line: str) -> None:
    """The report must be true of the rows, and of itself."""
    output = score(tweets)
    edit_report(output, lambda r: r["counters"].update(change))
    verdict = check(output)
    assert any(line in each for each in verdict.findings), verdict.findings
    assert verdict.exit_code == 65


def test_edited_label_counts_are_found(tweets: Path) -> None:
    """Label counts that still add up are held against the rows."""
    output = score(tweets)

    def shift(report: dict[str, Any]) -> None:
        report["labels"][0]["rows"] -= 1
        report["labels"][2]["rows"] += 1

    edit_report(output, shift)
    assert "2 rows labelled 'negative', the report says 1" in check(output).findings


@pytest.mark.parametrize("name", ["tweets.csv.gz", "tweets.csv.zst"])
def test_a_truncated_file_is_found(tweets: Path, tmp_path: Path, name: str) -> None:
    """A compressed output that ends too early is a finding, not a crash."""
    path = tmp_path / name
    content = tweets.read_bytes()
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content))
    else:
        path.write_bytes(pa.Codec("zstd").compress(content, asbytes=True))
    output = score(path)
    output.write_bytes(output.read_bytes()[:-12])
    verdict = check(output)
    assert any("the output's size is" in line for line in verdict.findings)
    assert any("the output's sha256 is" in line for line in verdict.findings)
    assert any("is not a complete" in line for line in verdict.findings)
    assert verdict.exit_code == 65


def test_a_changed_input_is_said_and_the_rest_is_checked(tweets: Path) -> None:
    """The next morning's input cannot be compared; the output's own faults are found still."""
    output = score(tweets)
    tweets.write_bytes(tweets.read_bytes() + b"8,more+\n")
    (line,) = check(output).findings
    assert "has changed since it was scored (size, ends_sha256)" in line
    forge(output, output.read_bytes().replace(b"meh,neutral,0.8", b"meh,neutral,1.8"))
    verdict = check(output)
    assert any("a score is not from 0 to 1" in line for line in verdict.findings)
    assert verdict.exit_code == 65


def test_a_change_that_the_ends_do_not_show_is_found(tmp_path: Path) -> None:
    """Size and ends may be equal: the rows in the middle are compared all the same."""
    path = many(tmp_path / "many.csv", 50_000)
    output = score(path)
    path.write_bytes(path.read_bytes().replace(b"25000,so good+", b"25000,so food+"))
    assert check(output).findings == ("row 25,001: column 'text' is not what the input holds",)


def test_a_missing_input_is_66(tweets: Path) -> None:
    """Without the input all else is checked, and the exit code says what is missing."""
    output = score(tweets)
    tweets.unlink()
    verdict = check(output)
    (line,) = verdict.findings
    assert "does not exist" in line
    assert verdict.exit_code == 66
    forge(output, output.read_bytes().replace(b"0.8", b"1.8"))
    assert check(output).exit_code == 65


@pytest.mark.parametrize("which", ["output", "report"])
def test_without_output_or_report_there_is_nothing_to_verify(tweets: Path, which: str) -> None:
    """Both are needed, and the error names the one that is missing."""
    output = score(tweets)
    missing = output if which == "output" else report_path(output)
    missing.unlink()
    with pytest.raises(InputMissing, match=missing.name):
        check(output)


@pytest.mark.parametrize("content", ["", "{", "[" * 99_999, "[]", "{}", '{"schema_version": 1}'])
def test_a_report_that_is_none_is_refused(tweets: Path, content: str) -> None:
    """What is no run report is said to be none."""
    output = score(tweets)
    report_path(output).write_text(content)
    with pytest.raises(DataError, match=r"run\.json is no "):
        check(output)


def test_rejects_must_be_listed(tmp_path: Path) -> None:
    """The file of rejects has a line for each that was counted."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"id,text\n1,a+\nbroken\n2,b-\n")
    output = score(path, max_rejects=1)
    rejects = output.parent / f".tweetscore/{output.name}.rejects.ndjson"
    rejects.write_bytes(rejects.read_bytes() * 2)
    (line,) = check(output).findings
    assert line.startswith("2 lines in ")
    rejects.unlink()
    (line,) = check(output).findings
    assert line.startswith("0 lines in ")


def test_a_file_that_differs_everywhere_makes_a_short_list(tmp_path: Path) -> None:
    """Findings of one kind are one line with their number."""
    output = score(many(tmp_path / "many.csv", 10_000))
    header, rest = output.read_bytes().split(b"\n", 1)
    forge(output, header + b"\n" + rest.replace(b"0.8", b"1.8"))
    assert check(output).findings == ("row 1: a score is not from 0 to 1 (and 7,499 more)",)


def test_a_quoted_score_spoils_its_own_row_alone(tweets: Path) -> None:
    """A cell that holds the delimiter is no number; the rows around it keep theirs."""
    output = score(tweets)
    forge(output, output.read_bytes().replace(b"meh,neutral,0.8", b'meh,neutral,"0,8"'))
    assert check(output).findings == (
        "row 4: score is no number",
        "row 4: a score is not from 0 to 1",
    )
