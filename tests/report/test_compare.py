"""Two outputs of a stub of the model, side by side."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scorer.monitor.drift import psi
from scorer.report.changes import Pairing, by_chance
from scorer.report.outputs import open_output
from tests.report.helpers import Page, page_of
from tests.verify.helpers import edit_report, forge, score

SIGN = {"negative": "-", "neutral": "", "positive": "+", "blank": ""}


def tweets(path: Path, rows: list[tuple[str, str]]) -> Path:
    """Write rows of an id and a text that the stub gives that label."""
    texts = ("" if label == "blank" else f"text {key}{SIGN[label]}" for key, label in rows)
    lines = (f"{key},{text}\n" for (key, _), text in zip(rows, texts, strict=True))
    path.write_text("id,text\n" + "".join(lines))
    return path


def scored(path: Path, rows: list[tuple[str, str]]) -> Path:
    return score(tweets(path, rows))


def table(page: Page) -> list[list[str]]:
    """Return the page's table of labels before and now."""
    at = next(i for i, row in enumerate(page.rows) if row and row[0] == "before \\ now")
    width = len(page.rows[at])
    return page.rows[at : at + width]


def changed(page: Page) -> list[list[str]]:
    at = next(i for i, row in enumerate(page.rows) if row[:3] == ["row", "before", "now"])
    count = next(i for i, row in enumerate(page.rows[at:]) if row[0] in {"score", "read"})
    return page.rows[at + 1 : at + count]


def test_runs_over_one_input_are_compared_row_by_row(tmp_path: Path) -> None:
    """Another model over the same rows: no id is needed."""
    rows = [("a", "positive"), ("b", "negative"), ("c", "neutral"), ("d", "blank")]
    path = tweets(tmp_path / "t.csv", rows)
    before, now = score(path, output=tmp_path / "before.csv"), score(path)
    content = before.read_text().replace("text b-,negative", "text b-,neutral")
    _forge(before, content, {"negative": 0, "neutral": 2, "positive": 1})
    page = page_of(now, compare=before)
    assert "1 of 4 rows changed their label" in page.words
    assert "by their order: both runs had the same input" in page.words
    assert table(page) == [
        ["before \\ now", "negative", "neutral", "positive", "blank"],
        ["negative", "0", "0", "0", "0"],
        ["neutral", "1", "1", "0", "0"],
        ["positive", "0", "0", "1", "0"],
        ["blank", "0", "0", "0", "1"],
    ]
    assert changed(page) == [["2", "neutral 0.800", "negative 0.800", "text b-"]]


def _forge(output: Path, content: str, rows: dict[str, int]) -> None:
    """Replace an output, and what its report counts."""
    forge(output, content.encode())

    def count(report: dict[str, Any]) -> None:
        for each in report["labels"]:
            found = rows[each["name"]]
            each.update(rows=found, mean_probability=0.8 if found else None)

    edit_report(output, count)


def test_other_inputs_are_paired_by_ids(tmp_path: Path) -> None:
    """Whatever their order; what is in one of them only is counted."""
    before = scored(
        tmp_path / "a.csv", [("1", "positive"), ("2", "neutral"), ("3", "blank"), ("9", "neutral")]
    )
    now = scored(
        tmp_path / "b.csv",
        [("3", "negative"), ("7", "neutral"), ("2", "positive"), ("1", "positive"), ("8", "blank")],
    )
    page = page_of(now, compare=before, id_column="id")
    assert "2 of 3 rows changed their label" in page.words
    assert "1 row of the earlier output only, 2 of this one only." in page.words
    assert changed(page) == [
        ["1", "blank", "negative 0.800", "text 3- id 3"],
        ["3", "neutral 0.800", "positive 0.800", "text 2+ id 2"],
    ]


def test_ids_that_are_missing_or_not_unique_are_left_out(tmp_path: Path) -> None:
    """Nobody can know which of two rows is meant."""
    before = scored(tmp_path / "a.csv", [("1", "positive"), ("1", "neutral"), ("2", "neutral")])
    now = scored(tmp_path / "b.csv", [("1", "negative"), ("2", "neutral"), ("", "neutral")])
    page = page_of(now, compare=before, id_column="id")
    assert "0 of 1 row changed their label" in page.words
    assert "3 of both whose id is not unique, 1 of both without an id" in page.words


def test_without_ids_other_inputs_are_compared_as_a_whole(tmp_path: Path) -> None:
    """How far the labels moved can be said; which rows changed cannot."""
    before = scored(tmp_path / "a.csv", [(str(i), "positive") for i in range(50)])
    now = scored(tmp_path / "b.csv", [(str(i), "negative") for i in range(50)])
    page = page_of(now, compare=before)
    assert "name the column that tells rows apart with --id-column" in page.words
    assert page.row("labels")[2] == "large shift"
    assert page.row("scores")[1:] == ["0.000", "stable"]


@pytest.mark.parametrize(
    ("positive", "verdict"),
    [(50, "stable"), (60, "stable"), (67, "moderate shift"), (80, "large shift")],
)
def test_the_usual_thresholds_are_put_in_words(tmp_path: Path, positive: int, verdict: str) -> None:
    """Below 0.1, from 0.1 and from 0.25 on."""
    before = scored(tmp_path / "a.csv", _mixed(50))
    page = page_of(scored(tmp_path / "b.csv", _mixed(positive)), compare=before)
    assert page.row("labels")[2] == verdict


def _mixed(positive: int) -> list[tuple[str, str]]:
    return [(str(i), "positive" if i < positive else "negative") for i in range(100)]


def test_what_chance_alone_does_is_shown() -> None:
    """The mean index of many pairs of samples from one distribution."""
    draw = np.random.default_rng(5)
    shares = np.array([0.3, 0.4, 0.2, 0.1])
    pairs = [(draw.multinomial(300, shares), draw.multinomial(500, shares)) for _ in range(2000)]
    mean = np.mean([psi(before, now) for before, now in pairs])
    assert by_chance(*pairs[0]) == pytest.approx(mean, rel=0.1)
    assert by_chance(np.zeros(4, np.int64), pairs[0][1]) == 0


def test_other_names_of_the_same_classes_are_no_change(tmp_path: Path) -> None:
    """A run with Spanish labels is compared with one with English ones."""
    path = tweets(tmp_path / "t.csv", [("1", "positive"), ("2", "negative")])
    spanish = ("Negativo", "Neutro", "Positivo")
    before = score(path, output=tmp_path / "before.csv", label_names=spanish)
    page = page_of(score(path), compare=before)
    assert "0 of 2 rows changed their label" in page.words


def test_labels_of_another_set_stand_beside_ours(tmp_path: Path) -> None:
    """Two classes that were one: the table has both runs' labels."""
    path = tweets(tmp_path / "t.csv", [("1", "positive"), ("2", "negative"), ("3", "neutral")])
    before = score(path, output=tmp_path / "before.csv", label_names=("bad", "bad", "positive"))
    page = page_of(score(path), compare=before)
    assert "2 of 3 rows changed their label" in page.words
    assert table(page)[0] == ["before \\ now", "negative", "neutral", "positive", "bad"]
    assert table(page)[4] == ["bad", "1", "1", "0", "0"]


def test_few_changes_are_shown_of_many_and_all_are_counted(tmp_path: Path) -> None:
    """The page does not grow with them."""
    before = scored(tmp_path / "a.csv", [(f"k{i}", "positive") for i in range(300)])
    now = scored(tmp_path / "b.csv", [(f"k{i}", "negative") for i in reversed(range(300))])
    page = page_of(now, compare=before, id_column="id")
    assert "300 of 300 rows changed their label" in page.words
    assert "The 50 surest of the changed rows" in page.words
    assert len(changed(page)) == 50
    assert changed(page)[0] == ["1", "positive 0.800", "negative 0.800", "text k299- id k299"]


def test_pairs_by_id_are_those_of_a_dictionary(tmp_path: Path) -> None:
    """Spread over files and joined again, nothing is lost, doubled or mixed up."""
    draw, labels = random.Random(7), ["positive", "negative", "neutral", "blank"]  # noqa: S311  # a test's dice
    sides = [{f"k{i}": draw.choice(labels) for i in draw.sample(range(3000), 2000)} for _ in "ab"]
    outputs = [
        open_output(scored(tmp_path / name, list(rows.items())))
        for name, rows in zip(("a.csv", "b.csv"), sides, strict=True)
    ]
    pairing = Pairing(outputs[0], outputs[1], "id")
    names, keys = [*outputs[0].labels, "blank"], list(sides[1])
    found = {
        keys[row]: (names[old], names[new])
        for pairs in pairing.pairs()
        for row, old, new in zip(pairs.rows, pairs.before, pairs.now, strict=True)
    }
    both = sides[0].keys() & sides[1].keys()
    assert found == {key: (sides[0][key], sides[1][key]) for key in both}
    assert (pairing.unpaired.before, pairing.unpaired.now) == (2000 - len(both),) * 2
