"""Pages about values of a regression: their spread, true values, and how they moved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from scorer.errors import DataError, TweetscoreError, UsageError
from scorer.options import RunOptions
from scorer.report.values import Agreement, numbers_of
from scorer.run import pipeline
from tests.handles import handle_of
from tests.report.helpers import page_of
from tests.stubs import TaskStub
from tests.verify.helpers import compressed, edit_report, forge

FORMATS = ["csv", "csv.gz", "tsv", "ndjson", "parquet", "arrow"]
TEXTS = ["one", "", None, *(f"text {number}" for number in range(60)), "a b"]


class Given(TaskStub):
    """A regression that reads its value from the text."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__("regression")
        self.factor = factor

    def _answers(self, prepared: pl.Series) -> Any:
        values = prepared.cast(pl.Float32, strict=False).fill_null(0).to_numpy()
        return np.zeros(len(values), np.int64), values[:, None] * np.float32(self.factor)


def score(path: Path, stub: TaskStub, **options: Any) -> Path:
    """Score a file and return the output."""
    (outcome,) = pipeline.run(RunOptions.of((path,), **options), model=handle_of(stub))
    if outcome.error:
        raise outcome.error
    return outcome.output


def scored(
    path: Path, texts: Sequence[object], stub: TaskStub | None = None, **columns: Sequence[object]
) -> Path:
    """Write texts with ids and other columns, and score them."""
    words = [None if each is None else str(each) for each in texts]
    frame = pl.DataFrame({"id": [f"t{i}" for i in range(len(words))], "text": words, **columns})
    kind = path.name.split(".")[1]
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "arrow":
        frame.write_ipc(path)
    elif kind == "ndjson":
        frame.write_ndjson(path)
    else:
        content = frame.write_csv(separator="\t" if kind == "tsv" else ",").encode()
        compressed(path, content)
    return score(path, stub or Given(), output=path.with_name(f"out of {path.name}"))


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_makes_the_same_page(tmp_path: Path, suffix: str) -> None:
    """Quantiles are values of rows; no label is on the page, nor a chart of labels."""
    stub = TaskStub("regression")
    output = scored(tmp_path / f"t.{suffix}", TEXTS, stub)
    values = stub.score(stub.prepare(pl.Series(TEXTS, dtype=pl.String))).probabilities[:, 0]
    values = np.sort(values[~np.isnan(values)])
    page = page_of(output, id_column="id")
    assert page.made.rows == len(TEXTS)
    assert page.row("lowest")[1] == f"{values[0]:,.6g}"
    assert page.row("highest")[1] == f"{values[-1]:,.6g}"
    assert page.row("mean")[1] == f"{values.mean(dtype=np.float64):,.6g}"
    for share in (1, 5, 25, 50, 75, 95, 99):
        place = -(-share * len(values) // 100) - 1
        assert page.row(f"{share}%")[1] == f"{values[place]:,.6g}"
    assert page.headings() == ["Values", "Examples", "From records to values", "Time", "The run"]
    assert [tag for tag, _ in page.tags].count("svg") == 2 * 2
    assert "label" not in page.words.split("}")[-1]  # behind the style sheet
    assert "stars of 62 rows" in page.words
    bins = [int(row[1]) for row in page.rows if " – " in row[0]]
    assert sum(bins) == 62
    examples = [row for row in page.rows if len(row) == 3 and " id t" in row[1]]
    assert len(examples) == 10
    assert examples[0][0] == f"{values[-1]:,.6g}"
    assert examples[5][0] == f"{values[0]:,.6g}"


def test_true_values(tmp_path: Path) -> None:
    """The errors and Pearson's correlation; what is no number is left out."""
    output = scored(
        tmp_path / "t.csv", [1, 2, 3, 4, None, 9], true=["1.5", " 2 ", "2", "8", "1", "many"]
    )
    page = page_of(output, true_label_column="true")
    assert page.row("mean absolute error")[1] == f"{5.5 / 4:.6g}"
    assert page.row("root mean square error")[1] == f"{np.sqrt(17.25 / 4):.6g}"
    assert page.row("mean error")[1] == f"{-3.5 / 4:.6g}"
    wanted = np.corrcoef([1, 2, 3, 4], [1.5, 2, 2, 8])[0, 1]
    assert page.row("correlation")[1] == f"{wanted:.6g}"
    assert "4 rows have a true value in the column true" in page.words
    assert "1 scored rows have no number there" in page.words


def test_what_is_no_number_is_said(tmp_path: Path) -> None:
    """A column of labels, of infinities, of no dates."""
    output = scored(tmp_path / "t.csv", [1, 2], true=["positive", "inf"])
    with pytest.raises(DataError, match="holds no number; the output has values"):
        page_of(output, true_label_column="true")
    with pytest.raises(DataError, match="holds no date"):
        page_of(output, date_column="true")
    assert (
        numbers_of(pl.Series(["1e39", "-inf", "nan", "", "x", None])).tolist()
        == [pytest.approx(np.nan, nan_ok=True)] * 6
    )


def test_days(tmp_path: Path) -> None:
    """The mean of each day's values, and its blank rows."""
    days = ["2026-11-01", "2026-11-01", "2026-11-02", "2026-11-02", "soon"]
    page = page_of(scored(tmp_path / "t.csv", [-1, 4, None, "", 9], day=days), date_column="day")
    assert page.row("2026-11-01")[1:] == ["2", "1.5", "0"]
    assert page.row("2026-11-02")[1:] == ["0", "–", "2"]
    assert "1 row has no readable date" in page.words


def test_moved_values_of_the_same_input(tmp_path: Path) -> None:
    """Rows belong together by their order; those that moved most come first."""
    before = scored(tmp_path / "t.csv", [1, 0, None, -3])
    now = score(tmp_path / "t.csv", Given(2), output=tmp_path / "now.csv")
    page = page_of(now, compare=before)
    assert "2 of 4 rows changed their value" in page.words
    assert "1 pair with a blank row is left out" in page.words
    assert page.row("mean change")[1] == f"{-2 / 3:.6g}"
    assert page.row("mean absolute change")[1] == f"{4 / 3:.6g}"
    assert page.row("correlation")[1] == "1"
    assert page.row("lowest")[1:] == ["-3", "-6"]
    assert page.row("50%")[1:] == ["0", "0"]
    changes = [row for row in page.rows if row[0] in {"1", "4"} and len(row) == 4]
    assert changes == [["4", "-3", "-6", "-3"], ["1", "1", "2", "1"]]


def test_moved_values_by_id(tmp_path: Path) -> None:
    """Rows of one output only are counted; without a column nothing is paired."""
    before = scored(tmp_path / "a.csv", [1, 2])
    now = scored(tmp_path / "b.csv", [1, 5, 7])
    page = page_of(now, compare=before, id_column="id", show_text=False)
    assert "1 of 2 rows changed their value" in page.words
    assert "0 rows of the earlier output only, 1 of this one only." in page.words
    assert ["2", "2", "5 id t1"] in page.rows
    assert "which rows changed, name the column" in page_of(now, compare=before).words


def test_nothing_to_draw(tmp_path: Path) -> None:
    """Equal values have no chart, and no correlation; no values have neither."""
    same = scored(tmp_path / "same.csv", [0.1, 0.1, 0.1], true=["0.1", "0.2", "0.3"])
    page = page_of(same, true_label_column="true")
    assert "All of them are the same." in page.words
    assert page.row("correlation")[1] == "–"
    none = scored(tmp_path / "none.csv", [None, ""])
    page = page_of(none, compare=same, true_label_column="text", date_column="text", id_column="id")
    assert "No row has a value." in page.words
    assert "0 of 2 rows changed their value" in page.words
    page = page_of(same, compare=none, id_column="id")
    assert page.row("highest")[1:] == ["–", "0.1"]


def test_values_of_any_size(tmp_path: Path) -> None:
    """The ends of float32, and zeros of both signs."""
    texts = ["3.4e38", "-3.4e38", "-0.0", "0.0", "1e-45"]
    page = page_of(scored(tmp_path / "t.parquet", texts))
    assert page.row("lowest")[1] == "-3.4e+38"
    assert page.row("50%")[1] == "0"
    assert page.row("75%")[1] == f"{np.float32(1e-45):.6g}"


def test_several_outputs_share_a_page(tmp_path: Path) -> None:
    """Values are those of all; a page of values and labels there is none."""
    one, two = scored(tmp_path / "a.csv", [1, None]), scored(tmp_path / "b.parquet", [4])
    page = page_of(one, two)
    assert page.row("highest")[1] == "4"
    assert page.row("out of a.csv")[1:] == ["2", "1", "0"]
    labels = scored(tmp_path / "c.csv", TEXTS, TaskStub("multi_label"))
    assert page_of(labels).made.rows == len(TEXTS)
    calls: list[tuple[tuple[Path, ...], Path | None]] = [
        ((one, labels), None),
        ((one,), labels),
        ((labels,), one),
    ]
    for outputs, earlier in calls:
        with pytest.raises(UsageError, match=r"a\.csv has values, .*c\.csv has labels"):
            page_of(*outputs, compare=earlier)


@pytest.mark.parametrize("damage", ["value", "count"])
def test_what_contradicts_the_report_has_no_page(tmp_path: Path, damage: str) -> None:
    """A value that is not finite, and rows that the report does not count."""
    output = scored(tmp_path / "t.csv", [1, 2])
    changed = {"value": b"inf", "count": b""}[damage]
    forge(output, output.read_bytes().replace(b"2,2.0", b"2," + changed))
    with pytest.raises(TweetscoreError):
        page_of(output)


def test_warnings_of_the_run_are_on_the_page(tmp_path: Path) -> None:
    """As they are on a page of labels."""
    output = scored(tmp_path / "t.csv", [1, 2])
    edit_report(output, lambda report: report["warnings"].append("the model was <slow>"))
    assert "the model was <slow>" in page_of(output).words


def test_agreement_does_not_depend_on_the_parts() -> None:
    """Far from 0, and whatever the batches, the correlation is numpy's."""
    random = np.random.default_rng(0)
    one = random.normal(size=1000) + 1e6
    other = one + random.normal(size=1000)
    agreement = Agreement()
    for start, stop in ((0, 1), (1, 1), (1, 400), (400, 1000)):
        agreement.add(one[start:stop], other[start:stop])
    assert agreement.correlation == pytest.approx(np.corrcoef(one, other)[0, 1], rel=1e-9)
    assert agreement.mean_difference == pytest.approx((other - one).mean(), abs=1e-9)
    assert agreement.root_mean_square == pytest.approx(np.sqrt(((other - one) ** 2).mean()))
