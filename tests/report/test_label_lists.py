"""Pages about outputs of a multi-label model: the lists beside the best class."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from scorer.errors import DataError, UsageError
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.report.helpers import page_of
from tests.stubs import TASKS, StubClassifier, TaskStub
from tests.verify.helpers import forge

LABELS: tuple[str, ...] = TASKS["multi_label"]["labels"]
TEXTS = ["one", "", None, *(f"text {number}" for number in range(60))]


def scored(path: Path, true: list[str] | None = None, **options: Any) -> Path:
    """Score the texts, with a column of true labels."""
    frame = pl.DataFrame({"text": TEXTS, "true": true or [""] * len(TEXTS)})
    frame.write_parquet(path) if path.suffix == ".parquet" else frame.write_csv(path)
    wanted = RunOptions.of((path,), **options)
    (outcome,) = pipeline.run(wanted, model=handle_of(TaskStub("multi_label")))
    assert outcome.error is None
    return outcome.output


def lists_of() -> list[list[str] | None]:
    """Return what the stub lists for the texts."""
    stub = TaskStub("multi_label")
    answers = stub.score(stub.prepare(pl.Series(TEXTS, dtype=pl.String)))
    return [
        None if label < 0 else [n for n, p in zip(LABELS, row, strict=True) if p >= 0.5]
        for label, row in zip(answers.label_ids, answers.probabilities, strict=True)
    ]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_of_each_label_in_the_lists(tmp_path: Path, suffix: str) -> None:
    """They may be more than the rows; the best class stays beside them."""
    page = page_of(scored(tmp_path / f"t.{suffix}"))
    lists = [each for each in lists_of() if each is not None]
    assert page.headings()[:2] == ["Best label of each text", "Lists of labels"]
    start = page.rows.index(["in the list", "rows", "share"])
    for row, name in zip(page.rows[start + 1 :], LABELS, strict=False):
        count = sum(name in each for each in lists)
        assert row == [name, str(count), f"{count / len(lists):.1%}"]
    assert f"{lists.count([])} rows" in page.words
    assert "at least 0.5. Shares are of the 61 scored rows, and may add up to more than 100%" in (
        page.words
    )


def test_true_labels(tmp_path: Path) -> None:
    """Precision, recall and F1 of each; no calibration, and rows without a truth are left out."""
    lists = lists_of()
    true = ["|".join(each or []).upper() for each in lists]
    wrong = next(i for i, each in enumerate(lists) if each == [LABELS[0]])
    true[wrong] = f"{LABELS[0]} | {LABELS[1]}"
    odd = next(i for i, each in enumerate(lists) if each and i > wrong)
    true[odd] += "|who knows"
    page = page_of(scored(tmp_path / "t.csv", true), true_label_column="true")
    kept = [each for i, each in enumerate(lists) if each and i != odd]
    assert f"{len(kept)} rows have true labels in the column true" in page.words
    assert f"exactly the true one in {len(kept) - 1} (" in page.words
    assert f"{61 - len(kept)} scored rows have no true labels" in page.words
    given = sum(LABELS[1] in each for each in kept)
    recall, f1 = given / (given + 1), 2 * given / (2 * given + 1)
    wanted = [LABELS[1], str(given + 1), str(given), "100.0%", f"{recall:.1%}", f"{f1:.1%}"]
    assert wanted in page.rows
    assert "Calibration" not in page.headings()
    assert "Nothing on this page says" not in page.words


def test_what_is_no_label_is_said(tmp_path: Path) -> None:
    """No row of the column has one."""
    with pytest.raises(DataError, match="holds no label; the labels are"):
        page_of(scored(tmp_path / "t.csv"), true_label_column="text")


def test_a_list_with_another_label_has_no_page(tmp_path: Path) -> None:
    """The report does not know it."""
    output = scored(tmp_path / "t.csv")
    text = output.read_text()
    assert ",fear\n" in text
    forge(output, text.replace(",fear\n", ",odd\n", 1).encode())
    with pytest.raises(DataError, match="a list has a label that is none of the report's"):
        page_of(output)


def test_changed_best_labels_and_thresholds(tmp_path: Path) -> None:
    """Two outputs of other thresholds share a page, which names both; single labels do not."""
    one, two = scored(tmp_path / "a.csv"), scored(tmp_path / "b.csv", threshold=0.25)
    assert "at least 0.25 or 0.5." in page_of(one, two).words
    assert "0 of 63 rows changed their best label" in page_of(one, compare=two).words
    path = tmp_path / "c.csv"
    path.write_text("text\na+\n")
    (outcome,) = pipeline.run(RunOptions.of((path,)), model=handle_of(StubClassifier()))
    with pytest.raises(UsageError, match="some outputs have lists of labels"):
        page_of(one, outcome.output)
