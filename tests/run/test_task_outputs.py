"""Outputs of models of several labels, and of a value: what is in them, and read again."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scorer.errors import UsageError
from scorer.formats.output_columns import OutputColumns
from scorer.formats.text.cells import decimal
from scorer.monitor.run_report import contradictions
from scorer.options import OutputSpec, RunOptions
from scorer.records import Task
from scorer.run import pipeline
from scorer.verify import verify
from tests.handles import handle_of
from tests.reports import complete, malformed, report_json
from tests.stubs import TASKS, StubClassifier, TaskStub
from tests.verify.helpers import edit_report, forge

LABELS: tuple[str, ...] = TASKS["multi_label"]["labels"]
FORMATS = ["csv", "csv.gz", "tsv", "ndjson", "parquet", "arrow"]
TEXTS = ["one", "", None, *(f"text {number}" for number in range(60)), 'a "b"\nc']


def write(path: Path, texts: Sequence[str | None]) -> Path:
    frame = pl.DataFrame({"id": range(len(texts)), "text": texts})
    table = pa.table({"id": frame["id"].to_arrow(), "text": pa.array(texts, pa.string())})
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=17, write_page_index=True)
    elif path.suffix == ".arrow":
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=13)
    elif path.suffix == ".ndjson":
        frame.write_ndjson(path)
    else:
        separator = "\t" if path.suffix == ".tsv" else ","
        with (
            pa.CompressedOutputStream(path, "gzip")
            if path.suffix == ".gz"
            else path.open("wb") as f
        ):
            f.write(frame.write_csv(separator=separator).encode())
    return path


def run(path: Path, stub: TaskStub, **options: Any) -> tuple[Path, dict[str, Any]]:
    wanted = RunOptions.of((path,), **{"chunk_rows": 16, **options})
    (outcome,) = pipeline.run(wanted, model=handle_of(stub))
    if outcome.error:
        raise outcome.error
    report = report_json(outcome)
    assert not malformed(json.loads(json.dumps(report)))
    assert list(contradictions(complete(report))) == []
    return outcome.output, report


def read(path: Path) -> pl.DataFrame:
    """Return an output as other programs read it."""
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".arrow":
        return pl.read_ipc(path.read_bytes())
    if path.suffix == ".ndjson":
        return pl.read_ndjson(path)
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    # polars would leave quotes in a header doubled.
    separator = "\t" if path.suffix == ".tsv" else ","
    names, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    frame = pl.DataFrame(rows, names, orient="row")
    return frame.select(pl.when(pl.col(name) != "").then(pl.col(name)) for name in names)


def answers(task: str, texts: Sequence[str | None]) -> tuple[np.ndarray, np.ndarray]:
    stub = TaskStub(task)
    scores = stub.score(stub.prepare(pl.Series(texts, dtype=pl.String)))
    return scores.label_ids, scores.probabilities


def checked(output: Path, stub: TaskStub, rescore: int = 40) -> tuple[str, ...]:
    return verify(output, rescore=rescore, model_for=lambda _: handle_of(stub)).findings


@pytest.mark.parametrize("scores", ["label", "all"])
@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_several_labels(tmp_path: Path, suffix: str, scores: str, threshold: float) -> None:
    """Best class, its probability, and all from the threshold on: a list, or joined by |."""
    stub = TaskStub("multi_label")
    path = write(tmp_path / f"in.{suffix}", TEXTS)
    output, report = run(path, stub, scores=scores, threshold=threshold)
    found = read(output)
    ids, values = answers("multi_label", TEXTS)
    each = [f"score_{name}" for name in LABELS] if scores == "all" else []
    assert found.columns == ["id", "text", "label", "score", *each, "labels"]
    assert found["label"].to_list() == [LABELS[i] if i >= 0 else None for i in ids]
    lists = [
        [n for n, p in zip(LABELS, row, strict=True) if p >= threshold] if i >= 0 else None
        for i, row in zip(ids, values, strict=True)
    ]
    assert [] in lists
    if found["labels"].dtype == pl.String:
        assert found["labels"].to_list() == ["|".join(each) if each else None for each in lists]
    else:
        assert found["labels"].to_list() == lists
    best = found["score"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    assert np.array_equal(best, values.max(axis=1), equal_nan=True)
    for number, name in enumerate(each):
        column = found[name].cast(pl.Float32).fill_null(np.nan).to_numpy()
        assert np.array_equal(column, values[:, number], equal_nan=True)
    assert report["model"]["task"] == "multi_label"
    assert sum(label["rows"] for label in report["labels"]) == report["counters"]["scored"] == 62
    assert checked(output, stub) == ()


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_value(tmp_path: Path, suffix: str) -> None:
    """A score alone, of any size; a column that is called label is the input's."""
    stub = TaskStub("regression")
    path = write(tmp_path / f"in.{suffix}", TEXTS)
    output, report = run(path, stub, scores="all")
    found = read(output)
    _, values = answers("regression", TEXTS)
    assert found.columns == ["id", "text", "score"]
    column = found["score"].cast(pl.Float32).fill_null(np.nan).to_numpy()
    assert np.array_equal(column, values[:, 0], equal_nan=True)
    assert np.nanmin(values) < 0
    assert np.nanmax(values) > 1e4
    (figures,) = report["labels"]
    mean = figures.pop("mean_value")
    assert mean == pytest.approx(np.nanmean(values.astype(np.float64)), rel=1e-8)
    assert figures == {
        "name": "stars",
        "written_as": "stars",
        "rows": 62,
        "mean_probability": None,
    }
    assert checked(output, stub) == ()


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("task", "scores"), [("multi_label", "all"), ("regression", "label")])
def test_answers_of_an_earlier_output(tmp_path: Path, suffix: str, task: str, scores: str) -> None:
    """Only what is new is scored; the output is that of a full run, at another threshold too."""
    options: dict[str, Any] = {"id_column": "id", "scores": scores}
    path = write(tmp_path / f"in.{suffix}", TEXTS[:40])
    run(path, TaskStub(task), **options)
    write(path, TEXTS)
    if task == "multi_label":
        options["threshold"] = 0.1
    output, report = run(path, stub := TaskStub(task), **options)
    assert stub.asked == TEXTS[40:]
    assert report["taken_over"] == {"rows": 38, "why_none": None}
    again = write(tmp_path / f"again.{suffix}", TEXTS)
    whole, _ = run(again, TaskStub(task), **options)
    assert whole.read_bytes() == output.read_bytes()


def test_lists_need_all_scores_to_be_reused(tmp_path: Path) -> None:
    """Without them nobody knows what another threshold would list."""
    path = write(tmp_path / "in.csv", TEXTS)
    run(path, TaskStub("multi_label"), id_column="id")
    write(path, [*TEXTS, "new"])
    _, report = run(path, TaskStub("multi_label"), id_column="id")
    why = "the earlier output has no score for each class"
    assert report["taken_over"] == {"rows": 0, "why_none": why}


def test_another_threshold_is_another_output(tmp_path: Path) -> None:
    """So is another name of the column; the same ones leave it alone."""
    path, stub = write(tmp_path / "in.csv", TEXTS), TaskStub("multi_label")
    seen = []
    for options in ({}, {}, {"threshold": 0.4}, {"threshold": 0.4}, {"labels_column": "all"}):
        run(path, stub, **options)
        seen.append(len(stub.asked))
    assert seen == [62, 62, 124, 124, 186]


@pytest.mark.parametrize(
    ("options", "delimiter", "words"),
    [
        ({"label_names": ("a", "b|c", "d", "e", "f")}, ",", "the label 'b|c' cannot be in a list"),
        ({"quote": "none", "label_names": tuple("abcde")}, "|", "which is the delimiter"),
        ({"labels_column": "id"}, ",", "the column 'id' exists already"),
        ({"labels_column": "score"}, ",", "the column 'score' exists already"),
    ],
)
def test_lists_that_csv_cannot_hold(
    tmp_path: Path, options: dict[str, Any], delimiter: str, words: str
) -> None:
    """They are refused before any work: a list must be read back as it was."""
    path = tmp_path / "in.csv"
    path.write_text(f"id{delimiter}text\n1{delimiter}a\n")
    with pytest.raises(UsageError, match=words.replace("|", r"\|")):
        run(path, TaskStub("multi_label"), **options)
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize("options", [{}, {"escape": "backslash"}, {"delimiter": "|"}])
def test_quotes_and_delimiters_in_lists(tmp_path: Path, options: dict[str, Any]) -> None:
    """A cell is in quotes where a label needs them, and reads back as the list."""
    delimiter = options.get("delimiter", ",")
    path = tmp_path / "in.csv"
    path.write_text(f"id{delimiter}text\n" + "".join(f"{i}{delimiter}t{i}\n" for i in range(50)))
    output, _ = run(path, stub := TaskStub("multi_label"), threshold=0.2, **options)
    assert checked(output, stub, 50) == ()
    if "escape" not in options:
        found = pl.read_csv(output, separator=delimiter)["labels"].to_list()
        _, values = answers("multi_label", [f"t{i}" for i in range(50)])
        assert found == [
            "|".join(n for n, p in zip(LABELS, row, strict=True) if p >= np.float32(0.2)) or None
            for row in values
        ]


@pytest.mark.parametrize("scores", ["label", "all"])
@pytest.mark.parametrize("suffix", ["csv", "ndjson", "parquet", "arrow"])
def test_a_list_that_was_changed_is_found(tmp_path: Path, suffix: str, scores: str) -> None:
    """Against the scores of the classes, or against the label, or by scoring again."""
    stub = TaskStub("multi_label")
    output, _ = run(write(tmp_path / f"in.{suffix}", TEXTS), stub, scores=scores)
    if suffix == "csv":
        text = output.read_text()
        assert ",fear\n" in text
        forge(output, text.replace(",fear\n", ",anger\n", 1).encode())
    elif suffix == "ndjson":
        text = output.read_text()
        assert '"labels":["fear"]' in text
        forge(output, text.replace('"labels":["fear"]', '"labels":["anger"]', 1).encode())
    else:
        frame = read(output)
        row = frame["labels"].to_list().index(["fear"])
        lists = frame["labels"].to_list()
        lists[row] = ["anger"]
        table = (
            pq.read_table(output) if suffix == "parquet" else pa.ipc.open_file(output).read_all()
        )
        changed = table.set_column(
            len(table.schema) - 1,
            table.schema.field("labels"),
            pa.array(lists, pa.list_(pa.string())),
        )
        target = tmp_path / "changed"
        if suffix == "parquet":
            pq.write_table(changed, target)
        else:
            with pa.ipc.new_file(target, changed.schema) as writer:
                writer.write_table(changed)
        forge(output, target.read_bytes())
    wanted = "the labels are not those from" if scores == "all" else "the labels do not fit"
    assert any(wanted in finding for finding in checked(output, stub, 0))


@pytest.mark.parametrize("task", ["multi_label", "regression"])
def test_a_model_that_answers_otherwise_is_found(tmp_path: Path, task: str) -> None:
    """By scoring again: values within a millionth of their range, and lists, are those written."""
    output, _ = run(write(tmp_path / "in.parquet", TEXTS), TaskStub(task), threshold=0.5)

    class Other(TaskStub):
        def _answers(self, prepared: pl.Series) -> Any:
            ids, values = super()._answers(prepared)
            return ids, values * np.float32(0.9)

    assert any("scored again" in finding for finding in checked(output, Other(task)))


def test_numbers_of_any_size_are_decimals_that_read_back() -> None:
    """All finite float32: positional, with a sign, and never an exponent."""
    bits = np.random.default_rng(0).integers(0, 2**32, 20_000, dtype=np.uint32)
    values = bits.view(np.float32)
    values = np.concatenate(
        [values[np.isfinite(values)], np.array([0, -0.0, 1e16, -3.4e38], np.float32)]
    )
    texts = decimal(pl.Series(values))
    assert not texts.str.contains("e", literal=True).any()
    assert np.array_equal(texts.cast(pl.Float64).to_numpy().astype(np.float32), values)


@pytest.mark.parametrize(
    ("stub", "option", "words"),
    [
        (
            StubClassifier(),
            {"threshold": 0.3},
            (
                "--threshold is for models that give a text several labels, "
                "and stub gives one label; leave --threshold out"
            ),
        ),
        (
            TaskStub("regression"),
            {"threshold": 0.3},
            (
                "--threshold is for models that give a text several labels, "
                "and stub gives a number; leave --threshold out"
            ),
        ),
        (
            TaskStub("regression"),
            {"label_names": ("x",)},
            (
                "--label-names is for models that give a text labels, and stub gives a number; "
                "leave --label-names out"
            ),
        ),
    ],
)
def test_options_for_other_tasks_are_refused(
    tmp_path: Path, stub: Any, option: dict[str, Any], words: str
) -> None:
    """Before any work, and with what to leave out."""
    path = tmp_path / "in.csv"
    path.write_text("text\nhello\n")
    with pytest.raises(UsageError) as error:
        run(path, stub, **option)
    assert str(error.value) == words
    assert [each.name for each in tmp_path.iterdir()] == ["in.csv"]


@pytest.mark.parametrize(
    ("task", "kinds"),
    [
        ("single_label", {"label": "label", "score": "score", "score_a": "score"}),
        (
            "multi_label",
            {"label": "label", "score": "score", "score_a": "score", "labels": "labels"},
        ),
        ("regression", {"score": "score"}),
    ],
)
def test_each_column_has_a_kind(task: Task, kinds: dict[str, str]) -> None:
    """The engines' schemas are made of them, in the order of the columns."""
    columns = OutputColumns.of(OutputSpec("all"), ["a"], ["A"], task)
    assert list(columns.kinds.items()) == list(kinds.items())


def test_an_input_with_a_label_is_scored_by_a_regression_alone(tmp_path: Path) -> None:
    """Whether a column is in the way is known once the model is; it is of its own file alone."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text(f"text,{'label' if name == 'a' else 'n'}\nfine,1\n")
    files = (tmp_path / "a.csv", tmp_path / "b.csv")
    for stub, fails in ((TaskStub("regression"), False), (TaskStub("multi_label"), True)):
        wanted = RunOptions.of(files, tmp_path / f"out {fails}")
        first, second = pipeline.run(wanted, model=handle_of(stub))
        assert (first.error is not None, second.error) == (fails, None)
    assert "the column 'label' exists already; choose other names with" in str(first.error)


def test_another_mean_value_is_found(tmp_path: Path) -> None:
    """In the report of a regression; a report that has none was written by an earlier version."""
    stub = TaskStub("regression")
    output, _ = run(write(tmp_path / "in.csv", TEXTS), stub)
    edit_report(output, lambda report: report["labels"][0].update(mean_value=-5.0))
    assert any(each.startswith("the mean value is") for each in checked(output, stub, 0))
    edit_report(output, lambda report: report["labels"][0].pop("mean_value"))
    assert checked(output, stub, 0) == ()
