"""One row is `1 row` wherever a count is printed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scorer.cli.summary import label_counts
from scorer.hints import counted
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.stubs import StubClassifier, TaskStub

Invoke = Callable[..., Result]
WRONG = re.compile(r"(?<![\d,.])1 (rows|files|texts|threads|tokens|labels|label names)\b")


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1234, "1,234 rows")]
)
def test_a_noun_follows_its_number(count: int, words: str) -> None:
    """Only one of them goes without the s."""
    assert counted(count, "row") == words


def test_an_estimate_keeps_its_digits() -> None:
    """What is shown may be rounded."""
    assert counted(1_234_567, "row", "~1,200,000") == "~1,200,000 rows"


def test_one_row_is_a_row_for_every_command(
    invoke: Invoke, tmp_path: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the summary, the total, what is up to date, the dry run, verify, the page and doctor."""
    monkeypatch.chdir(tmp_path)
    Path("one.csv").write_text("text\nfine\n")
    Path("two.csv").write_text("text\nfine\n")
    model = ("--model", tiny_bert_bundle, "--device", "builtin", "--threads", "1")
    said = {
        "dry run": invoke("run", "one.csv", "--dry-run", *model),
        "summary": invoke("run", "one.csv", *model),
        "again": invoke("run", "one.csv", *model),
        "total": invoke("run", "one.csv", "two.csv", *model),
        "verify": invoke("verify", "one.scored.csv"),
        "page": invoke("report", "one.scored.csv", "-o", "page.html"),
        "doctor": invoke("doctor", *model),
    }
    assert {name: result.exit_code for name, result in said.items()} == dict.fromkeys(said, 0)
    wrong = {name: WRONG.findall(result.output) for name, result in said.items()}
    assert wrong == {name: [] for name in said}
    assert "one.scored.csv: 1 row: " in said["summary"].stderr
    assert "one.scored.csv is up to date: 1 row\n" in said["again"].stderr
    assert "1 file scored (1 row), 1 up to date, 0 failed" in said["total"].stderr
    assert "one.scored.csv: 1 row is as it should be" in said["verify"].stderr
    assert "page.html: 1 row on a page of" in said["page"].stderr
    assert "one.scored.csv: 1 row of text: would be scored" in said["dry run"].stdout
    assert "1 would be scored (1 row)" in said["dry run"].stdout
    assert "1 thread\n" in said["doctor"].stdout
    page = Path("page.html").read_text("utf-8")
    assert "<b>1</b><span>row</span>" in page
    assert "the 1 row that has a label" in page
    assert WRONG.findall(page) == []


@pytest.mark.parametrize(
    ("stub", "counts"),
    [
        (StubClassifier(), ["0 negative (0.0 %)", "2 neutral (100.0 %)", "0 positive (0.0 %)"]),
        (TaskStub("regression"), ["2 values, mean 6.78e+04"]),
        (TaskStub("multi_label", labels=tuple("abcdefghijkl")), None),
        (
            TaskStub("multi_label", labels=tuple(f"label {number}" for number in range(300))),
            ["295 other labels"],
        ),
    ],
)
def test_many_labels_do_not_make_a_line_of_many(
    tmp_path: Path, stub: Any, counts: list[str] | None
) -> None:
    """Twelve are all shown, of more the most frequent; of values how many there are."""
    (tmp_path / "in.csv").write_text("text\nfine\nbad\n\n")
    (outcome,) = pipeline.run(RunOptions.of((tmp_path / "in.csv",)), model=handle_of(stub))
    found = label_counts(outcome.complete)
    if counts is None:
        assert len(found) == 12
    else:
        assert found[-len(counts) :] == counts
        assert len(found) in {len(counts), 6}
        assert [int(count.split()[0]) for count in found[:2] if " label " in count] in ([], [1, 1])
