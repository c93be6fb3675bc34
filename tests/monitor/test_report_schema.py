"""The published schema of run reports beside the types; run as a program it writes that.

Its structure is that of the types. Its descriptions are written in the file itself, and kept.
"""

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, get_args, get_type_hints

import pytest
from jsonschema import Draft202012Validator
from msgspec import UNSET, Struct, ValidationError, convert
from msgspec.json import schema_components
from msgspec.structs import fields

import scorer.monitor
from scorer.errors import GateFailed, TweetscoreError
from scorer.monitor.report_types import (
    CompleteReport,
    FailedReport,
    ReportedOptions,
    RunReport,
    Subject,
    decoded,
    strictly_decoded,
)
from scorer.monitor.run_report import contradictions
from scorer.options import RunOptions
from scorer.run import pipeline
from tests.handles import handle_of
from tests.reports import complete, malformed
from tests.stubs import StubClassifier

PUBLISHED = Path(scorer.monitor.__file__).with_name("run_report.schema.json")
PROPERTY = 4  # how deep the schema of one field lies, which is one line of the file

ADDED = {
    ("input", "delimiter"),
    ("output", "copied_bytes"),
    ("output", "schema_keys"),
    ("input", "table_version"),
    ("counters", "not_finite"),
    *(("options", name) for name in ("quote", "escape", "columns", "labels_column", "threshold")),
}

# What reports of the first versions that knew their key do not have.
LATER = {
    *((name,) for name in ("options_from", "remembered", "taken_over", "drift")),
    ("runtime", "devices"),
    ("counters", "unknown"),
    *(("options", name) for name in ("id_column", "format", "incremental", "fail_on_drift")),
}

Change = Callable[[dict[str, Any]], object]


# What the types cannot say of objects whose names are no fields; `strictly_decoded` checks it.
NAMES: dict[str, dict[str, Any]] = {
    "options_from": {"propertyNames": {"enum": [*ReportedOptions.__struct_fields__]}},
    "seconds": {"required": ["total"]},
    "libraries": {"required": ["python"]},
    "subjects": {"anyOf": [{"required": [*get_args(Subject)]}, {"maxProperties": 0}]},
}


def described(part: dict[str, Any], published: dict[str, Any] | None) -> dict[str, Any]:
    """Return a part of a schema with the published words, and without the default of the type."""
    words = {k: v for k, v in (published or {}).items() if k in ("title", "description")}
    return words | {k: v for k, v in part.items() if k not in (*words, "default", "description")}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of what this version writes, with the words of the published one."""
    published = json.loads(PUBLISHED.read_text("utf-8"))
    kinds: dict[str, type[Struct]] = {}
    remaining: list[Any] = [CompleteReport, FailedReport]
    while remaining:
        kind = remaining.pop()
        if isinstance(kind, type) and issubclass(kind, Struct) and kind.__name__ not in kinds:
            kinds[kind.__name__] = kind
            remaining += get_type_hints(kind).values()
        remaining += get_args(kind)
    references, parts = schema_components(
        (CompleteReport, FailedReport), ref_template="#/$defs/{name}"
    )
    for title, part in parts.items():
        words = published["$defs"].get(title, {"properties": {}})
        properties = {
            name: described(each, words["properties"].get(name)) | NAMES.get(name, {})
            for name, each in part["properties"].items()
        }
        lacking = kinds[title].__struct_config__.omit_defaults
        written = [
            each.encode_name
            for each in fields(kinds[title])
            if each.default is not UNSET and (each.required or not lacking)
        ]
        changed = part | {"properties": properties, "required": written}
        parts[title] = described(changed, words)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Run report of tweetscore",
        "description": " ".join((RunReport.__doc__ or "").split()),
        "anyOf": [*references],
        "$defs": parts,
    }


def text_of(part: Any, depth: int = 0) -> str:
    """Return a schema as JSON with a line for each field."""
    if not isinstance(part, dict) or depth == PROPERTY:
        return json.dumps(part)
    rows = (f"{' ' * depth} {json.dumps(k)}: {text_of(v, depth + 1)}" for k, v in part.items())
    return "{\n" + ",\n".join(rows) + f"\n{' ' * depth}}}"


def report_of(path: Path, stub: StubClassifier, **options: Any) -> dict[str, Any]:
    """Run, and return the report that was written, of a success or of a failure."""
    try:
        outcomes = list(pipeline.run(RunOptions.of((path,), **options), model=handle_of(stub)))
        failed = outcomes[0].error
    except TweetscoreError as error:
        failed = error
    kind = "run.failed" if failed else "run"
    written = path.parent / f".tweetscore/{path.stem}.scored.csv.{kind}.json"
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
    """Tell whether a report is decoded, and whether readers of the schema say the same."""
    content = json.loads(json.dumps(report))
    found = not malformed(content)
    assert Draft202012Validator(schema()).is_valid(content) == found
    return found


def test_the_schema_is_one() -> None:
    """The published file is valid JSON Schema, draft 2020-12, and what the types say."""
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert PUBLISHED.read_text("utf-8") == text_of(schema()) + "\n"


def test_every_property_is_described_and_every_object_closed() -> None:
    """A reader of the schema needs no other page, and a misspelt field is no report."""
    for kind, part in schema()["$defs"].items():
        assert part["description"].endswith("."), kind
        assert part["additionalProperties"] is False, kind
        for name, field in part["properties"].items():
            words = field.get("description", "")
            # What is a described part, or null, needs no words of its own.
            assert (
                words.endswith(".")
                or not {"$ref", "anyOf"}.isdisjoint(field)
                or (field == {"type": "null"})
            ), (kind, name)
            if field.get("type") == "object":
                assert field["propertyNames"]["enum"], (kind, name)


def test_reports_of_earlier_versions_are_decoded(good: dict[str, Any]) -> None:
    """Fields that came later have a value that says that nothing is known."""
    for way in LATER:
        changed = copy.deepcopy(good)
        del at(changed, way[:-1])[way[-1]]
        assert f"missing required field `{way[-1]}`" in malformed(changed)
        found = decoded(changed)
        assert found is not None
        assert found.counters.rows == good["counters"]["rows"]
    assert decoded({"output": good["output"]}) is None
    assert decoded(None) is None


def test_only_a_complete_output_has_a_complete_report(failed: dict[str, Any]) -> None:
    """A report of a failure is one, and tells of no output."""
    report = strictly_decoded(failed)
    assert decoded(failed) is None
    assert isinstance(report, FailedReport)
    assert report.output is None


def test_reports_of_runs_are_as_published(good: dict[str, Any], failed: dict[str, Any]) -> None:
    """A success and a failure, as they were written, are what the schema says."""
    assert good["exit_code"] == 0
    assert failed["exit_code"] == 65
    assert is_as_published(failed)
    assert is_as_published(good)
    assert list(contradictions(complete(good))) == []


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
    assert list(contradictions(complete(report))) == []


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
        (lambda r: r["labels"][0].update(mean_value=0.5), "'negative' has a mean value"),
        (lambda r: r.update(taken_over={"rows": 3, "why_none": None}), "taken over are 3"),
        (lambda r: r["output"].update(rows=4), "the output has 4 rows"),
        (lambda r: r.update(resumed={"started": "", "windows": 1, "rows": 4}), "resumed are 4"),
        (
            lambda r: r.update(finished="2000-01-01T00:00:00.000+00:00"),
            "it finished before it started",
        ),
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
    assert any(line.startswith(words) for line in contradictions(complete(good)))


def test_a_report_of_an_empty_table_is_as_published(tmp_path: Path) -> None:
    """Without rows the means are null, and that adds up too."""
    path = tmp_path / "none.csv"
    path.write_text("id,text" + os.linesep)
    report = report_of(path, StubClassifier())
    assert is_as_published(report)
    assert list(contradictions(complete(report))) == []


def test_names_that_are_no_fields_are_checked_too(good: dict[str, Any]) -> None:
    """Of options, stages, libraries and what drift was measured of."""
    changes: list[tuple[Change, str]] = [
        (lambda r: r["options_from"].update(surprise="call"), "`surprise` - at `$.options_from`"),
        (lambda r: r["seconds"].pop("total"), "`total` - at `$.seconds`"),
        (lambda r: r["seconds"].update(surprise=1.0), "'surprise'"),
        (lambda r: r["libraries"].pop("python"), "`python` - at `$.libraries`"),
        (lambda r: r["libraries"].update(surprise="1"), "'surprise'"),
        (lambda r: r["drift"]["subjects"].pop("scores"), "at `$.drift.subjects`"),
    ]
    for change, words in changes:
        changed = copy.deepcopy(good)
        change(changed)
        assert words in malformed(changed)
        assert not is_as_published(changed), words


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("counters", "rows"), -1),
        (("counters", "rows"), 3.5),
        (("counters", "rows"), True),
        (("canary", "label_agreement"), 1.5),
        (("canary", "label_agreement"), float("nan")),
        (("seconds", "total"), float("nan")),
        (("peak_memory_bytes",), "1"),
        (("output", "sha256"), "g" * 64),
        (("output", "sha256"), "0" * 64 + "\n"),
        (("result_key",), "0" * 63),
        (("started",), "yesterday"),
        (("schema_version",), 2),
        (("tool", "name"), "another"),
        (("exit_code",), 65),
        (("error",), {"kind": "DataError", "message": "x"}),
        (("input", "format"), "xlsx"),
        (("runtime", "device"), "tpu"),
        (("options", "fail_on_drift"), 0),
        (("labels",), []),
        (("drift",), None),
    ],
)
def test_what_we_never_write_is_refused(
    good: dict[str, Any], way: tuple[Any, ...], value: object
) -> None:
    """Numbers out of range or of another type, and words that have no meaning."""
    at(good, way[:-1])[way[-1]] = value
    words = malformed(good)
    assert f"`$.{way[0]}" in words
    assert "\n" not in words
    with pytest.raises(ValidationError):
        convert(good, CompleteReport)


if __name__ == "__main__":
    PUBLISHED.write_text(text_of(schema()) + "\n", "utf-8")
