import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from jsonschema import Draft202012Validator

from scorer.errors import GateFailed, TweetscoreError
from scorer.monitor.report_check import contradictions, malformed, schema
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.stubs import StubClassifier

ADDED = {
    ("input", "delimiter"),
    ("counters", "not_finite"),
    *(("options", name) for name in ("quote", "escape", "columns")),
}

Change = Callable[[dict[str, Any]], object]


def report_of(path: Path, stub: StubClassifier, **options: Any) -> dict[str, Any]:
    """Run, and return the report that was written, of a success or of a failure."""
    try:
        outcomes = list(pipeline.run(RunOptions.of((path,), **options), model=handle_of(stub)))
        failed = outcomes[0].error
    except TweetscoreError as error:
        failed = error
    kind = "run.failed" if failed else "run"
    written = path.with_name(f"{path.stem}.scored.csv.{kind}.json")
    found: dict[str, Any] = json.loads(written.read_text())
    return found


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text("id,text\n1,a+\n2,b-\n3,\nbroken\n")
    return path


@pytest.fixture
def good(tweets: Path) -> dict[str, Any]:
    return report_of(tweets, StubClassifier(), max_rejects=1)


@pytest.fixture
def failed(tweets: Path) -> dict[str, Any]:
    return report_of(tweets, StubClassifier())


def is_as_published(report: dict[str, Any]) -> bool:
    return not malformed(json.loads(json.dumps(report)))


def test_the_schema_is_one() -> None:
    """The published file is valid JSON Schema, draft 2020-12."""
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def parts(node: dict[str, Any], name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for key, child in node.get("properties", {}).items():
        yield f"{name}.{key}", child
        yield from parts(child, f"{name}.{key}")
    if "$ref" in node:
        yield from parts(schema()["$defs"][Path(node["$ref"]).name], name)
    if "items" in node:
        yield from parts(node["items"], f"{name}[]")


def test_every_property_is_described_and_every_object_closed() -> None:
    """A reader of the schema needs no other page, and a misspelt field is no report."""
    root = schema()
    for name, found in parts(root):
        part = root["$defs"][Path(found["$ref"]).name] if "$ref" in found else found
        assert part["description"].endswith("."), name
        if "object" in part.get("type", ()):
            assert part["additionalProperties"] is False, name
    assert root["additionalProperties"] is False


def test_reports_of_runs_are_as_published(good: dict[str, Any], failed: dict[str, Any]) -> None:
    """A success and a failure, as they were written, are what the schema says."""
    assert good["exit_code"] == 0
    assert failed["exit_code"] == 65
    for report in (good, failed):
        assert is_as_published(report)
        assert list(contradictions(report)) == []


def test_a_failure_of_the_model_is_as_published(tweets: Path) -> None:
    """A report that was written before the model was there is one too."""

    class Broken(StubClassifier):
        """A stub that does not load."""

        def load(self) -> NoReturn:
            raise GateFailed("answers differ")

    report = report_of(tweets, Broken(), max_rejects=1)
    assert (report["exit_code"], report["runtime"]) == (76, None)
    assert is_as_published(report)


def test_a_resumed_run_says_what_it_resumed(tweets: Path) -> None:
    """Rows of the killed run are reported, and are not part of this run's speed."""
    killed = StubClassifier()

    def stop() -> None:
        if killed.windows:
            raise GateFailed("killed in the second window")

    killed.before_scoring = stop
    assert report_of(tweets, killed, chunk_rows=2, max_rejects=1)["exit_code"] == 76
    report = report_of(tweets, StubClassifier(), chunk_rows=2, max_rejects=1)
    assert report["resumed"]["rows"] == 2
    assert report["resumed"]["windows"] == 1
    assert report["resumed"]["started"] <= report["started"]
    assert report["tweets_per_second"] == pytest.approx(1 / report["seconds"]["total"], rel=0.1)
    assert is_as_published(report)
    assert list(contradictions(report)) == []


def drift_of(report: dict[str, Any], subject: str) -> dict[str, Any]:
    found: dict[str, Any] = report["drift"]["subjects"][subject]
    return found


def leaves(node: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node)
    for key, child in children:
        yield (*way, key)
        if isinstance(child, dict | list):
            yield from leaves(child, (*way, key))


def at(report: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        report = report[key]
    return report


def test_what_is_wrong_is_said_in_one_line(good: dict[str, Any]) -> None:
    """Where it is and what is wrong with it, however much of the report that would quote."""
    assert malformed(good) == ""
    for way in (("counters", "rows"), ("runtime", "provider"), ("labels",), ("output",)):
        changed = copy.deepcopy(good)
        at(changed, way[:-1])[way[-1]] = {"x": "y" * 10_000}
        words = malformed(changed)
        assert way[0] in words
        assert len(words) < 300


def test_no_field_may_be_missing_or_added(good: dict[str, Any]) -> None:
    """But for stages that did not happen, libraries, and what earlier reports do not have."""
    for way in list(leaves(good)):
        *above, key = way
        holder = at(good, tuple(above))
        optional = above[:1] in (["seconds"], ["libraries"]) or way in ADDED
        if isinstance(holder, dict) and not optional:
            changed = copy.deepcopy(good)
            del at(changed, tuple(above))[key]
            assert not is_as_published(changed), way
        if isinstance(holder, dict):
            changed = copy.deepcopy(good)
            at(changed, tuple(above))["surprise"] = 1
            assert not is_as_published(changed), way


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["counters"].update(read=9), "read is 9"),
        (lambda r: r["counters"].update(blank=2), "rows is 3"),
        (lambda r: r["counters"].update(equal=3), "equal is 3"),
        (lambda r: r["counters"].update(truncated=3), "truncated is 3"),
        (lambda r: r.update(remembered=3), "remembered are 3"),
        (lambda r: r["labels"][0].update(rows=2), "the labels have 3 rows together"),
        (
            lambda r: r["labels"][0].update(mean_probability=0.3),
            "the mean probability of 'negative'",
        ),
        (
            lambda r: r["labels"][0].update(mean_probability=None),
            "'negative' has a mean probability",
        ),
        (lambda r: r["labels"][1].update(mean_probability=0.5), "'neutral' has a mean probability"),
        (lambda r: r.update(taken_over={"rows": 3, "why_none": None}), "taken over are 3"),
        (lambda r: r["output"].update(rows=4), "the output has 4 rows"),
        (lambda r: r.update(resumed={"started": "", "windows": 1, "rows": 4}), "resumed are 4"),
        (lambda r: r.update(finished="2000"), "it finished before it started"),
        (lambda r: r["counters"].update(unknown=7), "unknown is 7, more than the 6 tokens"),
        (lambda r: drift_of(r, "lengths").update(psi=0.5), "the drift of lengths is not 0.5"),
        (lambda r: drift_of(r, "labels").update(now=[9, 1, 1]), "the drift of labels is of 11"),
        (lambda r: drift_of(r, "labels")["bins"].pop(), "the drift of labels has sides"),
        (lambda r: drift_of(r, "unknown_tokens").update(now=[1, 1]), "the drift of unknown_tokens"),
        (lambda r: r.update(exit_code=3), "the exit code is 3, which the drift contradicts"),
    ],
)
def test_numbers_that_do_not_add_up_are_named(
    good: dict[str, Any], change: Change, words: str
) -> None:
    """What a schema cannot say."""
    change(good)
    assert any(line.startswith(words) for line in contradictions(good))


def test_a_report_of_an_empty_table_is_as_published(tmp_path: Path) -> None:
    """Without rows the means are null, and that adds up too."""
    path = tmp_path / "none.csv"
    path.write_text("id,text" + os.linesep)
    report = report_of(path, StubClassifier())
    assert is_as_published(report)
    assert list(contradictions(report)) == []
