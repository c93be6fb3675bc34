import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import GateFailed, InvalidBundle
from scorer.monitor.report_types import Outcome
from scorer.monitor.run_report import contradictions
from scorer.options import RunOptions
from scorer.run import cache_keys, pipeline
from scorer.store.checkpoints import VERSION
from scorer.store.paths import report_path, state_directory
from tests.handles import handle_of
from tests.reports import complete, malformed, report_json
from tests.stub_metadata import stub_metadata
from tests.stubs import StubClassifier

ALIKE = ("a+", "b-", "c")  # a third of each label, as in the stub's baseline
BOUND = 0.25


def run(stub: StubClassifier, *inputs: Path, **options: Any) -> list[Outcome]:
    return list(pipeline.run(RunOptions.of(inputs, **options), model=handle_of(stub)))


def run_one(stub: StubClassifier, path: Path, **options: Any) -> Outcome:
    (outcome,) = run(stub, path, **options)
    return outcome


def written(folder: Path, texts: list[str], name: str = "in.csv") -> Path:
    path = folder / name
    path.write_text("text\n" + "".join(f"{text}\n" for text in texts))
    return path


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    return written(tmp_path, [*ALIKE] * 200)


@pytest.fixture
def unlike(tmp_path: Path) -> Path:
    return written(tmp_path, ["a+"] * 600)


def without_baseline(stub: StubClassifier) -> StubClassifier:
    stub.bundle = replace(stub.bundle, metadata=stub_metadata())
    return stub


def report_at(output: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report_path(output).read_text())
    return found


def test_the_report_compares_rows_with_the_baseline(stub: StubClassifier, alike: Path) -> None:
    """All four subjects, in a report that is as published and adds up."""
    outcome = run_one(stub, alike, fail_on_drift=BOUND)
    report = report_at(outcome.output)
    assert {name: s["psi"] < 0.01 for name, s in report["drift"]["subjects"].items()} == {
        "labels": True, "scores": True, "lengths": True, "unknown_tokens": True,
    }  # fmt: skip
    assert (report["exit_code"], outcome.outside) == (0, {})
    assert malformed(report) == ""
    assert list(contradictions(complete(report))) == []


def test_equal_texts_count_by_rows(stub: StubClassifier, unlike: Path) -> None:
    """Six hundred times the same text is six hundred rows of one label."""
    labels = report_json(run_one(stub, unlike))["drift"]["subjects"]["labels"]
    assert (labels["bins"], labels["now"]) == (["negative", "neutral", "positive"], [0, 0, 600])


def test_a_file_that_drifted_too_far_is_published_and_said_to_be_outside(
    stub: StubClassifier, unlike: Path
) -> None:
    """The output is complete, its report says 3, and no error keeps it from being up to date."""
    outcome = run_one(stub, unlike, fail_on_drift=BOUND)
    assert outcome.error is None
    assert list(outcome.outside) == ["labels"]
    report = report_at(outcome.output)
    assert (report["exit_code"], report["error"], report["output"]["rows"]) == (3, None, 600)
    assert malformed(report) == ""
    assert list(contradictions(complete(report))) == []
    assert len(outcome.output.read_text().splitlines()) == 601


def test_without_a_bound_nothing_is_outside(stub: StubClassifier, unlike: Path) -> None:
    outcome = run_one(stub, unlike)
    assert (report_json(outcome)["exit_code"], outcome.outside) == (0, {})
    assert report_json(outcome)["drift"]["subjects"]["labels"]["psi"] > BOUND


def test_few_rows_never_fail(stub: StubClassifier, tmp_path: Path) -> None:
    """Of 499 rows the drift is reported, and not judged."""
    outcome = run_one(stub, written(tmp_path, ["a+"] * 499), fail_on_drift=BOUND)
    assert (report_json(outcome)["exit_code"], outcome.outside) == (0, {})
    assert report_json(outcome)["drift"]["judged"] is False
    assert report_json(outcome)["drift"]["subjects"]["labels"]["psi"] > BOUND


@pytest.mark.parametrize("fails_in", [2, 3, 7])
def test_a_resumed_run_reports_the_drift_of_an_uninterrupted_one(
    tmp_path: Path, fails_in: int
) -> None:
    """What earlier windows were like is stored with their results."""
    texts = [*ALIKE, "", "d+", "d+"] * 100
    whole = run_one(StubClassifier(), written(tmp_path, texts, "whole.csv"), chunk_rows=90)
    killed = StubClassifier()

    def stop() -> None:
        if len(killed.windows) == fails_in - 1:
            raise GateFailed("killed")

    killed.before_scoring = stop
    path = written(tmp_path, texts)
    assert run_one(killed, path, chunk_rows=90).error is not None
    resumed = run_one(StubClassifier(), path, chunk_rows=90, resume="require")
    assert report_json(resumed)["resumed"]["windows"] == fails_in - 1
    assert report_json(resumed)["drift"] == report_json(whole)["drift"]
    assert report_json(resumed)["counters"] == report_json(whole)["counters"]


def test_a_failed_run_reports_no_drift(stub: StubClassifier, tmp_path: Path) -> None:
    """Of half the rows it would be another one."""
    outcome = run_one(stub, written(tmp_path, ["a+", "b,c"]), fail_on_drift=BOUND)
    assert (report_json(outcome)["exit_code"], report_json(outcome)["drift"]) == (65, None)
    assert outcome.outside == {}


def test_what_is_up_to_date_is_judged_again(stub: StubClassifier, unlike: Path) -> None:
    """By the bound of this call, without scoring; an output without the figures is scored."""
    assert run_one(stub, unlike).outside == {}
    again = run_one(stub, unlike, fail_on_drift=BOUND)
    assert (again.up_to_date, list(again.outside)) == (True, ["labels"])
    assert run_one(stub, unlike, fail_on_drift=50).outside == {}
    assert len(stub.windows) == 1
    report = report_at(again.output)
    del report["drift"]
    report_path(again.output).write_text(json.dumps(report))
    assert run_one(stub, unlike).up_to_date
    old = run_one(stub, unlike, fail_on_drift=BOUND)
    assert (old.up_to_date, list(old.outside)) == (False, ["labels"])
    assert len(stub.windows) == 2


def test_a_bundle_without_a_baseline_is_reported(stub: StubClassifier, unlike: Path) -> None:
    """The report says why nothing was compared; it is as published."""
    report = report_json(run_one(without_baseline(stub), unlike))
    assert report["drift"]["reason"] == "the model has no baseline"
    assert report["drift"]["subjects"] == {}
    assert malformed(json.loads(json.dumps(report))) == ""
    assert list(contradictions(complete(report))) == []


def test_a_bound_without_a_baseline_is_an_error_before_any_work(
    stub: StubClassifier, unlike: Path
) -> None:
    """What was asked for cannot be done: nothing is scored, and no output appears."""
    with pytest.raises(InvalidBundle, match="the model stub has no baseline; leave out --fail-"):
        run(without_baseline(stub), unlike, fail_on_drift=BOUND)
    assert stub.loads == 0
    assert not (unlike.parent / "in.scored.csv").exists()
    assert not state_directory(unlike.with_name("in.scored.csv")).exists()


def test_parts_of_an_older_version_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They lack what drift needs; one line says that the work was thrown away."""
    killed = StubClassifier()

    def stop() -> None:
        if killed.windows:
            raise GateFailed("killed")

    killed.before_scoring = stop
    path = written(tmp_path, ["a+"] * 4)
    older: Callable[..., dict[str, Any]] = cache_keys.resume_key
    with monkeypatch.context() as patch:
        patch.setattr(cache_keys, "resume_key", lambda *a: {**older(*a), "parts": VERSION - 1})
        assert run_one(killed, path, chunk_rows=2).error is not None
    outcome = run_one(StubClassifier(), path, chunk_rows=2)
    (warning,) = outcome.warnings
    assert warning.endswith("is not taken up: parts changed since")
    assert report_json(outcome)["resumed"] is None
