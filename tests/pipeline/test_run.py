import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from scorer import pipeline
from scorer.errors import (
    DataError,
    DeviceUnavailable,
    GateFailed,
    InputMissing,
    OutputRefused,
    StorageError,
    Terminated,
    TweetscoreError,
    UsageError,
    exit_code,
)
from scorer.inference.gate import Figures
from scorer.monitor import run_report
from scorer.run_options import Outcome, RunOptions

ROWS = ['1,"so, good+"', "2,bad-", "3,", "4,meh", '5,"two\nlines+"']
CSV = "id,text\n" + "\n".join(ROWS) + "\n"


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text(CSV, "utf-8")
    return path


def run(stub: Any, *inputs: Path, **options: Any) -> list[Outcome]:
    return list(pipeline.run(RunOptions(inputs, **options), classifier_for=lambda _: stub))


def run_one(stub: Any, path: Path, **options: Any) -> dict[str, Any]:
    """Run one input; return its report, raise its error."""
    (outcome,) = run(stub, path, **options)
    if outcome.error:
        raise outcome.error
    return outcome.report


def report_of(output: Path, kind: str = "run") -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path(f"{output}.{kind}.json").read_text("utf-8"))
    return content


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def never(_: RunOptions) -> Any:
    raise AssertionError("the model must not be loaded")


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
    assert report == outcome.report
    counters = report["counters"]
    assert counters["read"] == counters["scored"] + counters["blank"] + counters["rejected"] == 5
    assert [label["rows"] for label in report["labels"]] == [1, 1, 2]
    assert report["labels"][2]["mean_probability"] == pytest.approx((0.1 + 0.1 + 0.8 + 0.8) / 4)
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


def test_progress_hears_every_row(stub: Any, tweets: Path) -> None:
    """What draws the bar is told the rows of each window."""
    heard: list[int] = []
    options = RunOptions((tweets,), chunk_rows=2)
    list(pipeline.run(options, classifier_for=lambda _: stub, progress=heard.append))
    assert heard == [2, 2, 1]


def test_nothing_but_the_output_and_its_report_is_left(stub: Any, tweets: Path) -> None:
    """A good run leaves no temporary file and no report of an earlier failure."""
    (tweets.parent / "tweets.scored.csv.run.failed.json").write_text("{}")
    run_one(stub, tweets)
    assert names(tweets.parent) == {
        "tweets.csv", "tweets.scored.csv", "tweets.scored.csv.run.json",
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
    """Half-way, nothing is published, no state stays, and the failure has a report."""
    run_one(stub, tweets)
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
        "tweets.csv", output.name, f"{output.name}.run.json", f"{output.name}.run.failed.json",
    }  # fmt: skip
    failed = report_of(output, "run.failed")
    assert failed["exit_code"] == code
    assert failed["output"] is None
    assert failed["counters"]["scored"] == 3


def test_an_error_while_reading_ahead_comes_through(stub: Any, tweets: Path) -> None:
    """What the reading thread meets ends the run."""

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


def _a_directory(tweets: Path) -> dict[str, Any]:
    return {"inputs": (tweets.parent,)}


@pytest.mark.parametrize(
    "wrong",
    [_taken_name, _same_name_twice, _onto_itself, _onto_a_link, _onto_a_hard_link, _a_directory],
)
def test_a_call_that_cannot_work_costs_nothing(
    tweets: Path, wrong: Callable[[Path], dict[str, Any]]
) -> None:
    """A contradictory call is refused before the model is loaded, and touches no file."""
    options = {"inputs": (tweets,), **wrong(tweets)}
    before = names(tweets.parent)
    with pytest.raises(UsageError):
        list(pipeline.run(RunOptions(**options), classifier_for=never))
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
    """Nobody waits for a model to hear of a missing column or directory."""
    monkeypatch.chdir(tweets.parent)
    (outcome,) = pipeline.run(RunOptions((tweets,), **options), classifier_for=never)
    assert isinstance(outcome.error, error)


def test_a_missing_input_has_a_report(tmp_path: Path) -> None:
    """Whoever looks for the output finds out why there is none."""
    output = tmp_path / "out.csv"
    options = RunOptions((tmp_path / "late.csv",), output=output)
    (outcome,) = pipeline.run(options, classifier_for=never)
    assert isinstance(outcome.error, InputMissing)
    assert report_of(output, "run.failed")["exit_code"] == 66


def test_a_model_that_does_not_load_is_reported(tweets: Path) -> None:
    """The error comes out, and stands in the report of each file that waited for the model."""

    def unavailable(_: RunOptions) -> Any:
        raise DeviceUnavailable("no CUDA device")

    with pytest.raises(DeviceUnavailable):
        list(pipeline.run(RunOptions((tweets,)), classifier_for=unavailable))
    assert report_of(tweets.parent / "tweets.scored.csv", "run.failed")["exit_code"] == 69


def test_what_was_wrong_before_the_model_failed_is_told(tweets: Path) -> None:
    """A model that does not load hides no file's own failure, and has the code of all such."""

    def forbidden(_: RunOptions) -> Any:
        raise PermissionError(errno.EACCES, "Permission denied")

    late = tweets.parent / "late.csv"
    told = pipeline.run(RunOptions((tweets, late)), classifier_for=forbidden)
    outcome = next(told)
    assert outcome.input == late
    assert isinstance(outcome.error, InputMissing)
    with pytest.raises(PermissionError) as caught:
        next(told)
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
    assert names(tweets.parent) == {"tweets.csv"}


def test_no_report_has_nan(stub: Any, tweets: Path) -> None:
    """What would make the report unreadable for others stops the run before it publishes."""
    stub.canary = Figures(256, float("nan"), 0.0, 0.0)
    with pytest.raises(ValueError, match="JSON"):
        run_one(stub, tweets)
    assert names(tweets.parent) == {"tweets.csv"}


def test_a_name_that_is_not_utf8_can_be_reported(stub: Any, tweets: Path) -> None:
    """File names are bytes; reports of success and of failure tell them all the same."""
    path = tweets.rename(Path(os.fsdecode(os.fsencode(tweets.parent) + b"/caf\xe9.csv")))
    output = path.with_name(path.name.replace(".csv", ".scored.csv"))
    run_one(stub, path)
    assert report_of(output)["input"]["path"] == str(path)
    path.write_text("no,such,column\n")
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

    def load(_: RunOptions) -> Any:
        spend(1000)
        return stub

    stub.before_scoring = lambda: spend(10)
    later = tweets.parent / "later.csv"
    later.write_text(CSV, "utf-8")
    outcomes = list(pipeline.run(RunOptions((tweets, later)), classifier_for=load))
    seconds = [outcome.report["seconds"] for outcome in outcomes]
    assert [each["total"] for each in seconds] == [10, 10]
    assert [each.get("load") for each in seconds] == [1000, None]
    assert [outcome.report["tweets_per_second"] for outcome in outcomes] == [0.5, 0.5]


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
    options = RunOptions(tuple(found))
    outcomes = list(pipeline.run(options, classifier_for=lambda _: stub))
    assert [outcome.input.name for outcome in outcomes] == ["later.csv", "tweets.csv"]
    assert [outcome.error for outcome in outcomes] == [None, None]
    assert [path.name for path in pipeline.skipped(options)] == [
        "later.scored.csv", "tweets.scored.csv",
    ]  # fmt: skip


def test_our_own_output_is_replaced_and_no_other(stub: Any, tweets: Path) -> None:
    """Last night's output needs no flag; a file that somebody else wrote does."""
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
    listed = (tweets.parent / "tweets.scored.csv.rejects.ndjson").read_text().splitlines()
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
    listed = tweets.parent / "tweets.scored.csv.rejects.ndjson"
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


@pytest.mark.parametrize(
    ("occupied", "words"),
    [
        ("run.json", "not its report"),
        ("rejects.ndjson", "not its list of rejects"),
        ("run.failed.json", "the report of an earlier failure is still there"),
    ],
)
def test_after_the_rename_nothing_is_an_error(
    stub: Any, tweets: Path, occupied: str, words: str
) -> None:
    """When the output is in place and what belongs to it cannot be, that is a warning."""
    output = tweets.parent / "tweets.scored.csv"
    Path(f"{output}.{occupied}").mkdir()
    tweets.write_text(BROKEN, "utf-8")
    (outcome,) = run(stub, tweets, max_rejects=2)
    assert outcome.error is None
    (warning,) = outcome.warnings
    assert f"{output} is complete, but {words}: " in warning
    assert output.exists()
    assert not (tweets.parent / f".{output.name}.tweetscore").exists()
    left = [kind for kind in ("run.json", "rejects.ndjson") if Path(f"{output}.{kind}").is_file()]
    assert left == [kind for kind in ("run.json", "rejects.ndjson") if kind != occupied]


def test_a_disk_error_names_its_remedy(stub: Any, tweets: Path) -> None:
    """A full disk is an error of ours with exit code 74, not a traceback."""

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    stub.before_scoring = full
    with pytest.raises(StorageError, match="free some space"):
        run_one(stub, tweets)


def test_one_window_is_made_while_one_is_scored() -> None:
    """Reading runs exactly one window ahead, so memory does not grow with the input."""
    made: list[int] = []

    def items() -> Any:
        for number in range(50):
            made.append(number)
            yield number

    ahead = [len(made) - number for number in pipeline.one_ahead(items())]
    assert len(ahead) == 50
    assert max(ahead) <= 2  # the one in hand and the next
