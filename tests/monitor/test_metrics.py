from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scorer.errors import DataError
from scorer.monitor.metrics import METRICS, RunMetrics
from scorer.monitor.report_types import CompleteReport, Outcome
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.monitor.prom_helpers import samples, value
from tests.stubs import StubClassifier, TaskStub

ROOT = Path(__file__).parents[2]


def report_of(
    path: Path, texts: list[str], stub: StubClassifier | TaskStub | None = None, **options: Any
) -> CompleteReport:
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    handle = handle_of(stub or StubClassifier())
    run = pipeline.run(RunOptions.of((path,), **options), model=handle)
    (outcome,) = run
    return outcome.complete


def add(metrics: RunMetrics, report: CompleteReport, fate: str = "scored") -> None:
    error = DataError("no table") if fate == "failed" else None
    path = Path(report.output.path)
    metrics.add(Outcome(path, path, report, error=error, up_to_date=fate == "up_to_date"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nightly.prom"


@pytest.fixture
def written(path: Path, tmp_path: Path) -> Path:
    """Write the metrics of two files that were scored and one that was up to date."""
    metrics = RunMetrics(path)
    add(metrics, report_of(tmp_path / "a.csv", ["a+", "b-", ""] * 200))
    add(metrics, report_of(tmp_path / "b.csv", ["c+", "d,e"], max_rejects=1))
    add(metrics, report_of(tmp_path / "c.csv", ["x"]), "up_to_date")
    metrics.write(0)
    return path


def test_files_are_added_up(written: Path) -> None:
    """Rows by label, what was no row, and what became of the files; nothing per file."""
    assert samples(written)["tweetscore_run_rows"] == {
        ("negative",): 200, ("neutral",): 0, ("positive",): 201,
    }  # fmt: skip
    assert samples(written)["tweetscore_run_files"] == {
        ("scored",): 2, ("up_to_date",): 1, ("failed",): 0,
    }  # fmt: skip
    assert value(written, "run_blank_rows") == 200
    assert value(written, "run_rejected_records") == 1
    assert value(written, "run_tokens") == 3 * 401
    assert value(written, "run_rows_per_second") > 0
    assert value(written, "run_canary_largest_difference") == pytest.approx(1e-7)
    assert {stage for (stage,) in samples(written)["tweetscore_run_stage_seconds"]} == {
        "load", "read", "prepare", "score", "keep", "publish",
    }  # fmt: skip


def test_a_regression_has_the_mean_of_its_values(path: Path, tmp_path: Path) -> None:
    """Of all rows of all files; a model that gives labels has no such metric."""
    metrics = RunMetrics(path)
    reports = [
        report_of(tmp_path / f"{len(texts)}.csv", texts, TaskStub("regression"))
        for texts in (["a", "b", ""], ["c"])
    ]
    for report in reports:
        add(metrics, report)
    metrics.write(0)
    (two,), (one,) = (report.labels for report in reports)
    assert (two.rows, one.rows) == (2, 1)
    assert isinstance(two.mean_value, float)
    assert isinstance(one.mean_value, float)
    assert two.mean_value != one.mean_value
    mean = (2 * two.mean_value + one.mean_value) / 3
    assert value(path, "run_mean_value") == pytest.approx(mean)


def test_several_labels_count_as_their_likeliest(path: Path, tmp_path: Path) -> None:
    metrics = RunMetrics(path)
    report = report_of(tmp_path / "a.csv", ["a", "b", "c", ""], TaskStub("multi_label"))
    add(metrics, report)
    metrics.write(0)
    rows = samples(path)["tweetscore_run_rows"]
    assert rows == {(label.name,): label.rows for label in report.labels}
    assert sum(rows.values()) == 3
    assert "tweetscore_run_mean_value" not in samples(path)


def test_drift_is_that_of_all_rows_together(path: Path, tmp_path: Path) -> None:
    """Files of a few rows each are compared together; below the least of rows there is none."""
    metrics = RunMetrics(path)
    small = report_of(tmp_path / "a.csv", ["a+", "b-", "c"] * 100)
    add(metrics, small)
    metrics.write(0)
    assert "tweetscore_run_drift_psi" not in samples(path)
    add(metrics, small)
    metrics.write(0)
    indices = samples(path)["tweetscore_run_drift_psi"]
    assert set(indices) == {("labels",), ("scores",), ("lengths",), ("unknown_tokens",)}
    assert indices["labels",] == pytest.approx(0, abs=1e-3)
    for _ in range(9):
        add(metrics, report_of(tmp_path / "b.csv", ["a+"] * 300))
    metrics.write(0)
    assert samples(path)["tweetscore_run_drift_psi"]["labels",] > 0.25


def test_a_failure_keeps_the_time_of_the_last_success(written: Path) -> None:
    """An alert on its age is about the outputs, whatever tonight's run said."""
    success = value(written, "last_success_timestamp_seconds")
    RunMetrics(written).write(74)
    assert value(written, "last_success_timestamp_seconds") == success
    assert value(written, "run_end_timestamp_seconds") >= success
    assert value(written, "run_success") == 0
    assert value(written, "run_exit_code") == 74
    RunMetrics(written).write(3)
    assert value(written, "run_success") == 1
    assert value(written, "last_success_timestamp_seconds") >= success


@pytest.mark.parametrize("content", [b"", b"{{{", b"\xff", b"tweetscore_last_success 1\n"])
def test_a_file_that_says_nothing_of_a_success_is_replaced(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    RunMetrics(path).write(65)
    assert "tweetscore_last_success_timestamp_seconds" not in samples(path)
    assert value(path, "run_exit_code") == 65


def test_nothing_lies_beside_the_file(written: Path) -> None:
    """It was written under another name first, and all of it was there when it got its own."""
    assert [file.name for file in written.parent.glob("*prom*")] == [written.name]


def test_the_page_tells_of_every_metric(written: Path) -> None:
    """docs/metrics.md has a row for each: its name, its labels, and its meaning."""
    metrics = RunMetrics(written)
    add(metrics, report_of(written.parent / "d.csv", ["a+"] * 600))
    metrics.write(0)
    of_a_regression = {"tweetscore_run_mean_value"}
    assert set(samples(written)) == set(METRICS) - of_a_regression
    page = (ROOT / "docs/metrics.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `tweetscore_")]
    assert rows == [
        f"| `{name}` | {', '.join(f'`{label}`' for label in labels)} | {description} |".replace(
            "|  |", "| |"
        )
        for name, (description, labels) in METRICS.items()
    ]
    for family in text_string_to_metric_families(written.read_text("utf-8")):
        assert (family.type, family.documentation) == ("gauge", METRICS[family.name][0])
        for sample in family.samples:
            assert set(sample.labels) == {"run", *METRICS[family.name][1]}
