import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from msgspec.structs import replace

from scorer.errors import (
    DataError,
    DeviceUnavailable,
    GateFailed,
    InputMissing,
    NotResumable,
    OutputLocked,
    OutputRefused,
    StorageError,
    Terminated,
    TweetscoreError,
    UsageError,
    exit_code,
)
from scorer.inference.gate import Figures
from scorer.monitor import run_report
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.records import Progress
from scorer.run import pipeline
from scorer.store.paths import rejects_path
from tests.handles import handle_of
from tests.places import names as names_in
from tests.places import with_directory
from tests.reports import report_json

ROWS = ['1,"so, good+"', "2,bad-", "3,", "4,meh", '5,"two\nlines+"']
LOCK = ".tweetscore/tweets.scored.csv.lock"
STATE = ".tweetscore/tweets.scored.csv.state"
CSV = "id,text\n" + "\n".join(ROWS) + "\n"


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text(CSV, "utf-8")
    return path


def run(stub: Any, *inputs: Path, **options: Any) -> list[Outcome]:
    return list(pipeline.run(RunOptions.of(inputs, **options), model=handle_of(stub)))


def run_one(stub: Any, path: Path, **options: Any) -> dict[str, Any]:
    """Run one input; return its report, raise its error."""
    (outcome,) = run(stub, path, **options)
    if outcome.error:
        raise outcome.error
    return report_json(outcome)


def report_of(output: Path, kind: str = "run") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(
        (output.parent / f".tweetscore/{output.name}.{kind}.json").read_text("utf-8")
    )
    return content


def names(directory: Path) -> set[str]:
    return names_in(directory)


class NeverModel:
    """A stub that no test may use."""

    @property
    def bundle(self) -> Any:
        """Fail."""
        raise AssertionError("the model must not be opened")

    def load(self) -> Any:
        """Fail."""
        raise AssertionError("the model must not be loaded")


class FailingModel:
    """A stub that does not load."""

    def __init__(self, bundle: Any, error: BaseException) -> None:
        self.bundle = bundle
        self._error = error

    def load(self) -> Any:
        """Fail."""
        raise self._error


def test_csv_comes_back_as_its_own_bytes_and_two_cells(stub: Any, tweets: Path) -> None:
    """Each record is the input's record, then the label, then the score."""
    run_one(stub, tweets)
    scored = (tweets.parent / "tweets.scored.csv").read_text("utf-8")
    answers = ["positive,0.8", "negative,0.8", ",", "neutral,0.8", "positive,0.8"]
    records = [f"{row},{answer}\n" for row, answer in zip(ROWS, answers, strict=True)]
    assert scored == "id,text,label,score\n" + "".join(records)


def test_parquet_comes_back_with_a_column_per_class(stub: Any, tmp_path: Path) -> None:
    """With all scores each class has a column, and blank rows have none of them."""
    path, output = tmp_path / "in.parquet", tmp_path / "out.parquet"
    frame = pl.DataFrame({"text": ["a+", None, "b-"], "n": [1, 2, 3]})
    frame.write_parquet(path)
    run_one(stub, path, output=output, scores="all", label_names=("N", "0", "P"))
    scored = pl.read_parquet(output)
    assert scored.columns[2:] == [
        "label", "score", "score_negative", "score_neutral", "score_positive",
    ]  # fmt: skip
    assert scored["label"].to_list() == ["P", None, "N"]
    assert scored.row(1) == (None, 2, None, None, None, None, None)
    assert scored.select("text", "n").equals(frame)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 1000])
def test_windows_leave_no_trace(stub: Any, tweets: Path, rows: int) -> None:
    """Whatever the window, every row is scored once, in order, and the output is the same."""
    run_one(stub, tweets, output=tweets.parent / "whole.csv")
    stub.windows.clear()
    run_one(stub, tweets, output=tweets.parent / "cut.csv", chunk_rows=rows)
    assert sum(stub.windows) == 5
    assert max(stub.windows) <= rows
    assert (tweets.parent / "cut.csv").read_bytes() == (tweets.parent / "whole.csv").read_bytes()


def test_the_report_tells_the_story(stub: Any, tweets: Path) -> None:
    """The report's counters add up, and it names input, output, model, runtime and canary."""
    stub.warnings = ("cuda is not used: none there",)
    (outcome,) = run(stub, tweets, chunk_rows=2)
    output = tweets.parent / "tweets.scored.csv"
    report = report_of(output)
    assert report == report_json(outcome)
    counters = report["counters"]
    assert counters["read"] == counters["scored"] + counters["blank"] + counters["rejected"] == 5
    assert [label["rows"] for label in report["labels"]] == [1, 1, 2]
    assert report["labels"][2]["mean_probability"] == pytest.approx(0.8)
    assert report["exit_code"] == 0
    assert report["error"] is None
    assert report["input"]["size"] == tweets.stat().st_size
    assert report["output"]["mtime_ns"] == output.stat().st_mtime_ns
    assert report["output"]["rows"] == 5
    assert report["model"] == {"name": "stub", "version": "1", "digest": "d" * 64}
    assert report["runtime"]["provider"] == "StubProvider"
    assert report["canary"]["label_agreement"] == 1.0
    assert report["options"]["chunk_rows"] == 2
    assert report["warnings"] == ["cuda is not used: none there"] == list(outcome.warnings)
    assert set(report["seconds"]) == {
        "load", "read", "prepare", "score", "keep", "publish", "total",
    }  # fmt: skip
    assert report["peak_memory_bytes"] > 1 << 20


def test_progress_counts_every_row(stub: Any, tweets: Path) -> None:
    """The callback of the progress bar gets the rows of each window, and the steps around them."""
    told: list[Progress] = []
    options = RunOptions.of((tweets,), chunk_rows=2)
    list(pipeline.run(options, model=handle_of(stub), progress=told.append))
    assert [each.rows for each in told if each.rows] == [2, 2, 1]
    assert {each.input for each in told} == {tweets}
    assert list(dict.fromkeys(each.step for each in told)) == [
        "load", "read", "check", "score", "publish",
    ]  # fmt: skip


def test_progress_tells_what_an_earlier_output_had(stub: Any, tweets: Path) -> None:
    """Those rows come at once, marked as known; the others as the model answers them."""
    options = RunOptions.of((tweets,), id_column="id")
    list(pipeline.run(options, model=handle_of(stub)))
    lines = tweets.read_text("utf-8").splitlines()
    lines[1] = lines[1].split(",")[0] + ",a new text!"
    tweets.write_text("\n".join(lines) + "\n", "utf-8")
    told: list[Progress] = []
    (outcome,) = pipeline.run(options, model=handle_of(stub), progress=told.append)
    known = report_json(outcome)["taken_over"]["rows"]
    total = outcome.complete.counters.rows
    assert known > 0
    assert [(e.rows, e.known) for e in told if e.rows] == [(known, True), (total - known, False)]


def test_nothing_but_the_output_and_its_report_is_left(stub: Any, tweets: Path) -> None:
    """A good run leaves no temporary file and no report of an earlier failure."""
    with_directory(tweets.parent / ".tweetscore/tweets.scored.csv.run.failed.json").write_text("{}")
    run_one(stub, tweets)
    assert names(tweets.parent) == {
        "tweets.csv", "tweets.scored.csv", ".tweetscore/tweets.scored.csv.run.json", LOCK,
    }  # fmt: skip


def test_an_empty_table_is_no_error(stub: Any, tmp_path: Path) -> None:
    """No rows in, no rows out, and a mean of nothing is null."""
    path = tmp_path / "none.csv"
    path.write_text("id,text\n")
    report = run_one(stub, path)
    assert (tmp_path / "none.scored.csv").read_text() == "id,text,label,score\n"
    assert [label["mean_probability"] for label in report["labels"]] == [None, None, None]


def test_limit_takes_the_first_rows(stub: Any, tweets: Path) -> None:
    """With a limit the output holds as many rows."""
    assert run_one(stub, tweets, limit=2)["counters"]["rows"] == 2
    assert (tweets.parent / "tweets.scored.csv").read_text().count("\n") == 3


# What ends a run half-way: the second window raises it.
ENDINGS: list[tuple[BaseException, int]] = [
    (GateFailed("answers differ"), 76),
    (OSError(errno.ENOSPC, "No space left on device"), 74),
    (ValueError("a bug"), 70),
    (KeyboardInterrupt(), 130),
    (Terminated(), 143),
]


@pytest.mark.parametrize(("ending", "code"), ENDINGS, ids=lambda e: type(e).__name__)
def test_a_failed_run_leaves_the_good_output_alone(
    stub: Any, tweets: Path, ending: BaseException, code: int
) -> None:
    """Half-way, nothing is published, what is scored stays, and the failure has a report."""
    run_one(stub, tweets)
    os.utime(tweets, (1, 1))
    output = tweets.parent / "tweets.scored.csv"
    good, good_report = output.read_bytes(), report_of(output)

    def end() -> None:
        if stub.windows[-2:] == [2, 2]:
            raise ending

    stub.before_scoring = end
    known = isinstance(ending, (TweetscoreError, OSError))
    with pytest.raises(TweetscoreError if known else type(ending)):
        run_one(stub, tweets, chunk_rows=2)
    assert (output.read_bytes(), report_of(output)) == (good, good_report)
    assert names(tweets.parent) == {
        "tweets.csv", output.name, LOCK, STATE,
        f".tweetscore/{output.name}.run.json", f".tweetscore/{output.name}.run.failed.json",
    }  # fmt: skip
    failed = report_of(output, "run.failed")
    assert failed["exit_code"] == code
    assert failed["output"] is None
    assert failed["counters"]["scored"] == 3


def test_an_error_while_reading_ahead_comes_through(stub: Any, tweets: Path) -> None:
    """An error of the reading thread ends the run."""

    def prepare(texts: pl.Series) -> pl.Series:
        raise DataError("texts are broken")

    stub.prepare = prepare
    with pytest.raises(DataError, match="texts are broken"):
        run_one(stub, tweets)


def test_an_input_that_changes_is_not_published(stub: Any, tweets: Path) -> None:
    """Scores are never joined to rows that they were not made for."""
    stub.before_scoring = lambda: tweets.write_text(CSV.replace("meh", "moo"), "utf-8")
    with pytest.raises(DataError, match="changed while it was scored"):
        run_one(stub, tweets)
    assert not (tweets.parent / "tweets.scored.csv").exists()


def _taken_name(tweets: Path) -> dict[str, Any]:
    return {"label_column": "id"}


def _same_name_twice(tweets: Path) -> dict[str, Any]:
    return {"label_column": "x", "score_column": "x"}


def _onto_itself(tweets: Path) -> dict[str, Any]:
    return {"output": tweets}


def _onto_a_link(tweets: Path) -> dict[str, Any]:
    (tweets.parent / "link.csv").symlink_to(tweets)
    return {"output": tweets.parent / "link.csv", "overwrite": True}


def _onto_a_hard_link(tweets: Path) -> dict[str, Any]:
    os.link(tweets, tweets.parent / "hard.csv")
    return {"output": tweets.parent / "hard.csv", "overwrite": True}


@pytest.mark.parametrize(
    "wrong",
    [_taken_name, _same_name_twice, _onto_itself, _onto_a_link, _onto_a_hard_link],
)
def test_a_call_that_cannot_work_costs_nothing(
    tweets: Path, wrong: Callable[[Path], dict[str, Any]]
) -> None:
    """A contradictory call is refused before the model is loaded, and touches no file."""
    options = {"inputs": (tweets,), **wrong(tweets)}
    before = names(tweets.parent)
    with pytest.raises(UsageError):
        list(pipeline.run(RunOptions.of(**options), model=handle_of(NeverModel())))
    assert names(tweets.parent) == before
    assert tweets.read_text("utf-8") == CSV


def test_label_names_must_fit_the_model(stub: Any, tweets: Path) -> None:
    """Two names for three labels are refused before any row is read."""
    with pytest.raises(UsageError, match="2 label names for 3 labels"):
        run_one(stub, tweets, label_names=("a", "b"))
    assert stub.windows == []


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"text_column": "tweet"}, DataError),
        ({"output": Path("missing/out.csv")}, OutputRefused),
    ],
)
def test_what_is_wrong_with_a_file_is_found_before_the_model_is_loaded(
    tweets: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[TweetscoreError],
) -> None:
    """A missing column or directory is reported before the model is loaded."""
    monkeypatch.chdir(tweets.parent)
    (outcome,) = pipeline.run(RunOptions.of((tweets,), **options), model=handle_of(NeverModel()))
    assert isinstance(outcome.error, error)


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("late.csv", {}, 66),
        ("tweets.csv", {"text_column": "tweet"}, 65),
        ("tweets.csv", {"encoding": "utf-16"}, 65),
        ("tweets.csv", {"format": "parquet"}, 65),
        ("tweets.csv", {"label_column": "id"}, 2),
    ],
)
def test_what_is_wrong_before_any_work_leaves_nothing(
    tweets: Path, name: str, options: dict[str, Any], code: int
) -> None:
    """Its line and its exit code suffice; the report of an earlier failure stays."""
    failed = f".tweetscore/{name[:-4]}.scored.csv.run.failed.json"
    with_directory(tweets.parent / failed).write_text("{}")
    wanted = RunOptions.of((tweets.with_name(name),), **options)
    try:
        (outcome,) = pipeline.run(wanted, model=handle_of(NeverModel()))
        error = outcome.error
    except UsageError as caught:
        error = caught
    assert exit_code(error or KeyboardInterrupt()) == code
    assert names(tweets.parent) == {"tweets.csv", failed}
    assert (tweets.parent / failed).read_text() == "{}"


def test_a_model_that_does_not_load_is_reported(stub: Any, tweets: Path) -> None:
    """The error comes out, and stands in the report of each file that waited for the model."""
    model = FailingModel(stub.bundle, DeviceUnavailable("no CUDA device"))
    with pytest.raises(DeviceUnavailable):
        list(pipeline.run(RunOptions.of((tweets,)), model=handle_of(model)))
    assert report_of(tweets.parent / "tweets.scored.csv", "run.failed")["exit_code"] == 69


def test_what_was_wrong_before_the_model_failed_is_reported(stub: Any, tweets: Path) -> None:
    """A model that does not load hides no file's own failure, and has the code of all such."""
    model = FailingModel(stub.bundle, PermissionError(errno.EACCES, "Permission denied"))
    late = tweets.parent / "late.csv"
    outcomes = pipeline.run(RunOptions.of((tweets, late)), model=handle_of(model))
    outcome = next(outcomes)
    assert outcome.input == late
    assert isinstance(outcome.error, InputMissing)
    with pytest.raises(PermissionError) as caught:
        next(outcomes)
    report = report_of(tweets.parent / "tweets.scored.csv", "run.failed")
    assert report["exit_code"] == exit_code(caught.value) == 74


def test_a_failure_that_cannot_be_reported_is_still_that_failure(stub: Any, tweets: Path) -> None:
    """Whatever goes wrong with the report, the error is the first one."""
    stub.canary = Figures(256, float("nan"), 0.0, 0.0)  # no number for JSON

    def fail() -> None:
        raise GateFailed("answers differ")

    stub.before_scoring = fail
    with pytest.raises(GateFailed):
        run_one(stub, tweets)
    assert names(tweets.parent) == {"tweets.csv", LOCK}


def test_no_report_has_nan(stub: Any, tweets: Path) -> None:
    """What would make the report unreadable for others stops the run before it publishes."""
    stub.canary = Figures(256, float("nan"), 0.0, 0.0)
    with pytest.raises(ValueError, match="JSON"):
        run_one(stub, tweets)
    assert names(tweets.parent) == {"tweets.csv", LOCK, STATE}


def test_a_name_that_is_not_utf8_can_be_reported(stub: Any, tweets: Path) -> None:
    """File names are bytes; reports of success and of failure name them all the same."""
    path = tweets.rename(Path(os.fsdecode(os.fsencode(tweets.parent) + b"/caf\xe9.csv")))
    output = path.with_name(path.name.replace(".csv", ".scored.csv"))
    run_one(stub, path)
    assert report_of(output)["input"]["path"] == str(path)
    path.write_text("text\na,b\n")
    with pytest.raises(DataError):
        run_one(stub, path)
    assert report_of(output, "run.failed")["exit_code"] == 65


def test_each_file_has_its_own_time(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several inputs, a total is one file's; loading the model stands apart, in the first."""
    now = [0.0]
    monkeypatch.setattr(run_report, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def spend(seconds: float) -> None:
        now[0] += seconds

    def load() -> Any:
        spend(1000)
        return stub

    stub.load = load
    stub.before_scoring = lambda: spend(10)
    later = tweets.parent / "later.csv"
    later.write_text(CSV, "utf-8")
    outcomes = list(pipeline.run(RunOptions.of((tweets, later)), model=handle_of(stub)))
    seconds = [report_json(outcome)["seconds"] for outcome in outcomes]
    assert [each["total"] for each in seconds] == [10, 10]
    assert [each["load"] for each in seconds] == [1000, 0]
    assert [report_json(outcome)["tweets_per_second"] for outcome in outcomes] == [0.5, 0.5]


def test_a_column_that_the_encoding_cannot_hold_costs_no_scoring(stub: Any, tweets: Path) -> None:
    """What cannot be written is found before the first row is scored."""
    with pytest.raises(UsageError, match="cannot be written in the encoding"):
        run_one(stub, tweets, encoding="latin-1", label_names=("☹", "-", "☺"))
    assert stub.windows == []
    assert names(tweets.parent) == {"tweets.csv"}


def test_our_own_products_are_no_inputs(stub: Any, tweets: Path) -> None:
    """A pattern that matches last night's outputs scores this night's tweets alone."""
    (tweets.parent / "later.csv").write_text(CSV, "utf-8")
    run(stub, tweets, tweets.parent / "later.csv")
    found = sorted(tweets.parent.glob("*.csv"))
    options = RunOptions.of(tuple(found))
    outcomes = list(pipeline.run(options, model=handle_of(stub)))
    assert [outcome.input.name for outcome in outcomes] == ["later.csv", "tweets.csv"]
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [path.name for path in pipeline.discover(options).ours] == [
        "later.scored.csv", "tweets.scored.csv",
    ]  # fmt: skip


def test_our_own_output_is_replaced_and_no_other(stub: Any, tweets: Path) -> None:
    """Last night's output needs no flag; a file of another program does."""
    output = tweets.parent / "tweets.scored.csv"
    run_one(stub, tweets)
    run_one(stub, tweets)
    output.write_text("somebody's work")
    with pytest.raises(OutputRefused):
        run_one(stub, tweets)
    assert output.read_text() == "somebody's work"
    run_one(stub, tweets, overwrite=True)
    assert output.read_text("utf-8").startswith("id,text,label,score\n")


BROKEN = CSV + "6,too,many\n7,fine+\n8\n"


def test_rejects_fail_the_run_and_name_the_first(stub: Any, tweets: Path) -> None:
    """By default one bad record fails the run; the message says which, a file lists them all."""
    tweets.write_text(BROKEN, "utf-8")
    with pytest.raises(DataError) as caught:
        run_one(stub, tweets)
    assert "2 records so far" in str(caught.value)
    assert "reading stopped there" in str(caught.value)
    assert "line 8" in str(caught.value)
    assert "tweets.scored.csv.rejects.ndjson" in str(caught.value)
    listed = (
        (tweets.parent / ".tweetscore/tweets.scored.csv.rejects.ndjson").read_text().splitlines()
    )
    assert [json.loads(line)["line"] for line in listed] == [8, 10]
    assert not (tweets.parent / "tweets.scored.csv").exists()


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_allowed_rejects_are_counted_and_listed(stub: Any, tweets: Path, rows: int) -> None:
    """As many rejects as allowed are left out of the output and counted."""
    tweets.write_text(BROKEN, "utf-8")
    counters = run_one(stub, tweets, max_rejects=2, chunk_rows=rows)["counters"]
    assert (counters["read"], counters["rows"], counters["rejected"]) == (8, 6, 2)
    assert counters["read"] == counters["scored"] + counters["blank"] + counters["rejected"]
    scored = (tweets.parent / "tweets.scored.csv").read_text("utf-8")
    assert scored.endswith('5,"two\nlines+",positive,0.8\n7,fine+,positive,0.8\n')


def test_a_failed_publish_leaves_the_good_rejects_alone(stub: Any, tweets: Path) -> None:
    """The list of rejects beside an output is that output's, whatever fails after the reading."""
    tweets.write_text(BROKEN, "utf-8")
    run_one(stub, tweets, max_rejects=2)
    listed = tweets.parent / ".tweetscore/tweets.scored.csv.rejects.ndjson"
    good = listed.read_bytes()
    tweets.write_text(BROKEN + "9\n", "utf-8")
    stub.before_scoring = lambda: tweets.write_text(BROKEN.replace("meh", "moo") + "9\n", "utf-8")
    with pytest.raises(DataError, match="changed while it was scored"):
        run_one(stub, tweets, max_rejects=3)
    assert listed.read_bytes() == good


def test_one_bad_file_does_not_stop_the_others(stub: Any, tweets: Path) -> None:
    """With several inputs each has its own fate, in the order in which they were named."""
    bad = tweets.parent / "bad.csv"
    bad.write_text("no,such,column\n")
    later = tweets.parent / "later.tsv"
    later.write_text("text\nmeh\n")
    outcomes = run(stub, bad, tweets, later, output=tweets.parent / "night")
    assert [outcome.input for outcome in outcomes] == [bad, tweets, later]
    assert [type(outcome.error) for outcome in outcomes] == [DataError, type(None), type(None)]
    assert (tweets.parent / "night" / "tweets.scored.csv").exists()
    assert (tweets.parent / "night" / "later.scored.tsv").exists()


@pytest.mark.parametrize("occupied", ["run.json", "rejects.ndjson", "run.failed.json"])
def test_after_the_rename_nothing_is_an_error(stub: Any, tweets: Path, occupied: str) -> None:
    """What belongs to the output and cannot be written is a warning, mended the next night."""
    output = tweets.parent / "tweets.scored.csv"
    in_the_way = with_directory(output.parent / f".tweetscore/{output.name}.{occupied}")
    in_the_way.mkdir()
    tweets.write_text(BROKEN, "utf-8")
    (outcome,) = run(stub, tweets, max_rejects=2)
    assert outcome.error is None
    (warning,) = outcome.warnings
    assert f"{output} is complete, but not all is tidy ({in_the_way} cannot be " in warning
    in_the_way.rmdir()
    (again,) = run(stub, tweets, max_rejects=2)
    assert again.up_to_date
    assert names(tweets.parent) == {
        "tweets.csv", output.name, LOCK,
        f".tweetscore/{output.name}.run.json", f".tweetscore/{output.name}.rejects.ndjson",
    }  # fmt: skip
    assert report_of(output) == report_json(outcome) == report_json(again)


def replace_then(ending: BaseException) -> Callable[[Path, Path], None]:
    """Rename as os.replace does, and raise: a signal that comes right after the commit."""
    real = os.replace

    def replace(source: Path, target: Path) -> None:
        real(source, target)
        if target.suffix == ".csv":
            raise ending

    return replace


@pytest.mark.parametrize("ending", [KeyboardInterrupt(), Terminated(), OSError(errno.EIO, "I/O")])
def test_what_comes_after_the_commit_fails_nothing(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch, ending: BaseException
) -> None:
    """The output is there and complete: the run says so, and the next one tidies up."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace_then(ending))
        (outcome,) = run(stub, tweets)
    assert outcome.error is None
    assert "is complete, but not all is tidy" in outcome.warnings[0]
    stub.windows.clear()
    (again,) = run(stub, tweets)
    assert again.up_to_date
    assert stub.windows == []
    assert names(tweets.parent) == {
        "tweets.csv", "tweets.scored.csv", ".tweetscore/tweets.scored.csv.run.json", LOCK,
    }  # fmt: skip


def test_a_rename_that_fails_is_no_commit(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Declared, but not done: the run fails, and the next one needs no model call."""
    real = os.replace

    def fail(source: Path, target: Path) -> None:
        if target.name == "tweets.scored.csv":
            raise OSError(errno.EIO, "Input/output error")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(StorageError, match="input/output error"):
            run_one(stub, tweets)
    assert not (tweets.parent / "tweets.scored.csv").exists()
    stub.windows.clear()
    assert run_one(stub, tweets)["resumed"]["rows"] == 5
    assert stub.windows == []


def test_an_interrupt_after_one_commit_ends_the_run_before_the_next_file(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file that was published counts; those that wait are not scored."""
    later = tweets.parent / "later.csv"
    later.write_text(CSV, "utf-8")
    monkeypatch.setattr(os, "replace", replace_then(Terminated()))
    outcomes = pipeline.run(RunOptions.of((tweets, later)), model=handle_of(stub))
    assert next(outcomes).error is None
    with pytest.raises(Terminated):
        next(outcomes)
    assert not (tweets.parent / "later.scored.csv").exists()


def test_an_output_that_is_up_to_date_is_left_alone(stub: Any, tweets: Path) -> None:
    """No model is loaded, nothing is written, and the outcome says why."""
    (first,) = run(stub, tweets)
    files = {path: path.stat() for path in tweets.parent.rglob("*")}
    (second,) = run(stub, tweets)
    assert second.up_to_date
    assert not first.up_to_date
    assert second.report == first.report
    assert stub.loads == 1
    after = {path: path.stat() for path in tweets.parent.rglob("*")}
    for path, status in files.items():
        assert after[path].st_mtime_ns == status.st_mtime_ns
        assert after[path].st_ino == status.st_ino
    assert after.keys() == files.keys()


def _touched(tweets: Path) -> dict[str, Any]:
    os.utime(tweets, (1, 1))
    return {}


def _grown(tweets: Path) -> dict[str, Any]:
    tweets.write_text(CSV + "6,more+\n", "utf-8")
    return {}


def _other_options(tweets: Path) -> dict[str, Any]:
    return {"scores": "all"}


@pytest.mark.parametrize("change", [_touched, _grown, _other_options])
def test_what_is_not_up_to_date_is_scored(
    stub: Any, tweets: Path, change: Callable[[Path], dict[str, Any]]
) -> None:
    """Another input or another wish makes another output."""
    run_one(stub, tweets)
    (outcome,) = run(stub, tweets, **change(tweets))
    assert not outcome.up_to_date
    assert stub.loads == 2


def test_up_to_date_means_no_more_rejects_than_allowed(stub: Any, tweets: Path) -> None:
    """An output that was allowed two rejects does not satisfy a run that allows none."""
    tweets.write_text(BROKEN, "utf-8")
    run_one(stub, tweets, max_rejects=2)
    assert run(stub, tweets, max_rejects=5)[0].up_to_date
    (strict,) = run(stub, tweets)
    assert isinstance(strict.error, DataError)


def test_a_failure_that_is_over_leaves_no_report(stub: Any, tweets: Path) -> None:
    """An up-to-date output has no report of a failure beside it."""
    run_one(stub, tweets)
    failed = tweets.parent / ".tweetscore/tweets.scored.csv.run.failed.json"
    failed.write_text("{}")
    assert run(stub, tweets)[0].up_to_date
    assert not failed.exists()


def kill_at(stub: Any, window: int) -> None:
    """Let the stub be interrupted when it has scored so many windows."""

    def end() -> None:
        if len(stub.windows) == window:
            raise KeyboardInterrupt

    stub.before_scoring = end


@pytest.mark.parametrize("killed_at", [1, 2, 3, 4])
def test_an_interrupted_run_goes_on_where_it_was(stub: Any, tweets: Path, killed_at: int) -> None:
    """Each window is scored once; the output is the same, and the report adds up."""
    tweets.write_text(BROKEN, "utf-8")
    options: dict[str, Any] = {"chunk_rows": 1, "max_rejects": 2}
    whole = run_one(stub, tweets, output=tweets.parent / "whole.csv", **options)
    stub.windows.clear()
    kill_at(stub, killed_at)
    with pytest.raises(KeyboardInterrupt):
        run_one(stub, tweets, **options)
    stub.before_scoring = lambda: None
    report = run_one(stub, tweets, **options)
    assert sum(stub.windows) == whole["counters"]["rows"] == 6
    assert report["resumed"]["windows"] == killed_at
    assert report["resumed"]["rows"] == killed_at
    for name in ("counters", "labels"):
        assert report[name] == whole[name]
    scored = tweets.parent / "tweets.scored.csv"
    rejects = rejects_path(scored)
    assert scored.read_bytes() == (tweets.parent / "whole.csv").read_bytes()
    whole_rejects = tweets.parent / ".tweetscore/whole.csv.rejects.ndjson"
    assert rejects.read_bytes() == whole_rejects.read_bytes()


def test_an_interrupted_publish_needs_no_model_call(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the output is written, the next run writes it from what was stored."""

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("scorer.run.one_file.write_commit_record", kill)
        with pytest.raises(KeyboardInterrupt):
            run_one(stub, tweets)
    stub.windows.clear()
    assert run_one(stub, tweets)["resumed"]["rows"] == 5
    assert stub.windows == []


def test_what_another_provider_scored_is_not_used(stub: Any, tweets: Path) -> None:
    """The device is gone between kill and rerun: one line says so, and all is scored here."""
    stub.runtime = replace(stub.runtime, provider="CUDAExecutionProvider", device="cuda")
    kill_at(stub, 3)
    with pytest.raises(KeyboardInterrupt):
        run_one(stub, tweets, chunk_rows=1)
    stub.before_scoring = lambda: None
    stub.windows.clear()
    stub.runtime = replace(stub.runtime, provider="CPUExecutionProvider", device="builtin")
    (outcome,) = run(stub, tweets, chunk_rows=1)
    assert outcome.error is None
    assert sum(stub.windows) == 5
    assert report_json(outcome)["resumed"] is None
    (warning,) = outcome.warnings
    assert "runtime.provider, runtime.device changed since" in warning


def test_require_leaves_what_does_not_fit(stub: Any, tweets: Path) -> None:
    """With --resume require, another plan fails, and the first can still be resumed."""
    kill_at(stub, 3)
    with pytest.raises(KeyboardInterrupt):
        run_one(stub, tweets, chunk_rows=1)
    stub.before_scoring = lambda: None
    with pytest.raises(NotResumable):
        run_one(stub, tweets, chunk_rows=2, resume="require")
    assert run_one(stub, tweets, chunk_rows=1, resume="require")["resumed"]["windows"] == 3


def test_a_second_run_of_an_output_is_turned_away(stub: Any, tweets: Path) -> None:
    """While one run writes, another fails at once, before the model, and disturbs nothing."""
    inner: list[Outcome] = []
    other = type(stub)()
    stub.before_scoring = lambda: inner.extend(run(other, tweets))
    outcome = run(stub, tweets)[0]
    assert outcome.error is None
    assert isinstance(inner[0].error, OutputLocked)
    assert other.loads == 0
    assert not (tweets.parent / ".tweetscore/tweets.scored.csv.run.failed.json").exists()


def test_without_its_lock_a_run_publishes_nothing(stub: Any, tweets: Path) -> None:
    """Without its lock file two runs may be writing: this one ends."""
    stub.before_scoring = (tweets.parent / LOCK).unlink
    with pytest.raises(OutputLocked, match="was deleted while this run held it"):
        run_one(stub, tweets)
    assert not (tweets.parent / "tweets.scored.csv").exists()
    stub.before_scoring = lambda: None
    assert run_one(stub, tweets)["resumed"]["rows"] == 5


def test_a_file_that_appears_while_we_score_is_not_replaced(stub: Any, tweets: Path) -> None:
    """A file of another program that appears during the run is not replaced."""
    output = tweets.parent / "tweets.scored.csv"
    stub.before_scoring = lambda: output.write_text("somebody's work")
    with pytest.raises(OutputRefused):
        run_one(stub, tweets)
    assert output.read_text() == "somebody's work"


def test_a_change_outside_the_texts_is_seen(stub: Any, tweets: Path) -> None:
    """Rows of two versions of the input are never mixed, though the texts are the same."""
    stub.before_scoring = lambda: tweets.write_text(CSV.replace("4,meh", "9,meh"), "utf-8")
    with pytest.raises(DataError, match="changed while it was scored"):
        run_one(stub, tweets)


def test_an_input_that_looks_damaged_because_it_changes_is_said_to_change(
    stub: Any, tweets: Path
) -> None:
    """The message does not suggest to write a file again that another program is writing."""
    stub.before_scoring = lambda: tweets.write_text("no,such,column\n" + CSV)
    with pytest.raises(DataError, match="changed while it was scored; run again when nobody"):
        run_one(stub, tweets, chunk_rows=1)


def test_after_a_deleted_lock_the_state_is_left_to_others(
    stub: Any, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Published, but without the lock: what lies there now may be another run's."""
    real = os.replace

    def publish(source: Path, target: Path) -> None:
        real(source, target)
        if target.name == "tweets.scored.csv":
            (tweets.parent / LOCK).unlink()

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", publish)
        (outcome,) = run(stub, tweets)
    assert outcome.error is None
    assert "was deleted while this run held it" in outcome.warnings[0]
    assert STATE in names(tweets.parent)
    assert run(stub, tweets)[0].up_to_date
    assert STATE not in names(tweets.parent)


def test_a_link_as_output_stays_a_link(stub: Any, tweets: Path) -> None:
    """The file that it points to is replaced, and what belongs to it lies beside it."""
    (tweets.parent / "far").mkdir()
    link = tweets.parent / "link.csv"
    link.symlink_to("far/real.csv")
    run_one(stub, tweets, output=link)
    assert link.is_symlink()
    assert names(tweets.parent / "far") == {
        "real.csv", ".tweetscore/real.csv.run.json", ".tweetscore/real.csv.lock",
    }  # fmt: skip
    assert run(stub, tweets, output=link)[0].up_to_date


def test_a_disk_error_names_its_remedy(stub: Any, tweets: Path) -> None:
    """A full disk is an error of ours with exit code 74, not a traceback."""

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    stub.before_scoring = full
    with pytest.raises(StorageError, match="free some space"):
        run_one(stub, tweets)


def test_rows_with_nan_are_counted_once_whoever_reads_them(stub: Any, tmp_path: Path) -> None:
    """A run that goes on where another ended counts as if nothing had happened."""
    path = tmp_path / "tweets.ndjson"
    lines = [f'{{"text":"a{i}+","x":{"NaN" if i % 2 else i}}}' for i in range(6)]
    path.write_text("\n".join(lines))
    calls = 0

    def die_in_the_third() -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt

    stub.before_scoring = die_in_the_third
    with pytest.raises(KeyboardInterrupt):
        run(stub, path, chunk_rows=2)
    stub.before_scoring = lambda: None
    report = run_one(stub, path, chunk_rows=2)
    assert report["resumed"]["rows"] == 4
    assert (report["counters"]["rows"], report["counters"]["not_finite"]) == (6, 3)
