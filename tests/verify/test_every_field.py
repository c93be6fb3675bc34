"""Each field of a run report, changed to another plausible value: found, or not checked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.verify import verify
from tests.reports import report_json
from tests.verify.helpers import check, many, report_path, score

Path_ = tuple[str | int, ...]


def leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the place of each value that holds no others, of empty lists and objects too."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    found = False
    for name, each in inner:
        found = True
        yield from leaves(each, (*path, name))
    if not found:
        yield path


def others(value: Any, path: Path_) -> Iterator[Any]:
    """Yield plausible values that are not this one: a little more, a little less, another word."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
        yield value * 2 + 3
        if value:
            yield value - 1
    elif isinstance(value, float):
        yield round(value * 0.99 + 1e-4, 6)
        yield round(value * 1.01 + 1e-3, 6)
    elif isinstance(value, str):
        yield from _other_words(value, path)
    elif value is None:
        yield from (1, "other", 0.5, ["a", "b", "c"], {"kind": "DataError", "message": "x"})
        yield {"started": "2026-01-01T00:00:00.000+00:00", "windows": 1, "rows": 2}
        yield {"rows": 1, "why_none": None}
    elif value == []:
        yield ["a warning"]
    else:
        yield {"limit": "call"}


def _other_words(value: str, path: Path_) -> Iterator[str]:
    if len(value) == 64:
        yield "0" * 63 + "1"
    elif value[:4].isdecimal() and "T" in value:
        yield value.replace(value[:4], "2031", 1)
    elif path[-1] == "path":
        yield "/data/other.csv"
    else:
        yield from ("positive", "id", "parquet", "cuda", "int8", "all", "never", "other", "2.0")


def at(report: Any, path: Path_) -> Any:
    for name in path:
        report = report[name]
    return report


def put(report: Any, path: Path_, value: Any) -> None:
    *above, last = path
    at(report, tuple(above))[last] = value


def named(path: Path_) -> str:
    """Return a field as `Unchecked` names it: without the numbers of items."""
    return ".".join(name for name in path if isinstance(name, str))


def survivors(output: Path, rescore: int) -> list[str]:
    """Return the fields with a change that nothing was said of, but for those not checked."""
    good = report_path(output).read_text()
    report = json.loads(good)
    verdict = check(output, rescore=rescore)
    assert verdict.findings == ()
    unchecked = tuple(verdict.unchecked.fields())
    kept = []
    for path in leaves(report):
        field = named(path)
        if any(field == each or field.startswith(f"{each}.") for each in unchecked):
            continue
        for value in others(at(report, path), path):
            if value == at(report, path):
                continue
            changed = json.loads(good)
            put(changed, path, value)
            report_path(output).write_text(json.dumps(changed))
            if not _is_found(output, rescore):
                kept.append(f"{field}: {at(report, path)!r} -> {value!r}")
            report_path(output).write_text(good)
    return kept


def _is_found(output: Path, rescore: int) -> bool:
    """Tell whether verify says something: a finding, or that the report is none."""
    from scorer import TweetscoreError

    try:
        return bool(check(output, rescore=rescore).findings)
    except TweetscoreError:
        return True


@pytest.mark.parametrize(
    ("name", "rescore"),
    [("many.csv", 0), ("many.csv", 700), ("many.ndjson", 0), ("many.parquet", 0)],
)
def test_no_change_of_the_report_goes_unsaid(tmp_path: Path, name: str, rescore: int) -> None:
    """Each field is compared, or belongs to what one line says is not."""
    options: dict[str, Any] = {"chunk_rows": 100, "label_names": ("N", "0", "P")}
    output = score(many(tmp_path / name, 300), **options, fail_on_drift=9.0)
    assert survivors(output, rescore) == []


def test_rejects_are_of_the_report_too(tmp_path: Path) -> None:
    (path := tmp_path / "in.csv").write_bytes(b"id,text\n1,a+\nbroken\n2,b-\nbroken\n3,\n")
    output = score(path, max_rejects=5, scores="all", limit=9)
    assert survivors(output, 0) == []


def test_with_all_rows_scored_again_little_is_left(tmp_path: Path) -> None:
    """The counters of the model and the canary are then no longer among what is not checked."""
    output = score(many(tmp_path / "many.csv", 600))
    some, most = (set(check(output, rescore=n).unchecked.fields()) for n in (5, 600))
    assert some - most == {
        "counters.equal", "counters.truncated", "counters.tokens", "counters.unknown",
        "drift.subjects.lengths", "drift.subjects.unknown_tokens",
    }  # fmt: skip
    assert "canary" in set(check(output).unchecked.fields()) - some


def test_what_is_not_checked_is_one_line(tmp_path: Path) -> None:
    line = check(score(many(tmp_path / "many.csv", 600))).unchecked.line()
    assert "\n" not in line
    assert line.startswith("not checked: each row's answer and the canary (--rescore 100 scores a ")
    assert "; tokens and equal texts (--rescore 600 counts them); " in line
    assert line.endswith(", options that change no row")


def test_a_real_report_is_true(tmp_path: Path, tiny_bert_bundle: Path) -> None:
    """Scored again as a whole, a model's own counters, drift and canary are those of the report."""
    path = many(tmp_path / "many.csv", 300)
    text = path.read_text() + "300," + "many words and more of them again " * 9 + "\n"
    path.write_text(text + "301,so good \u6f22+\n", encoding="utf-8")
    options = RunOptions.of((path,), model=tiny_bert_bundle, device="builtin", chunk_rows=128)
    (outcome,) = pipeline.run(options)
    assert outcome.error is None
    verdict = verify(outcome.output, rescore=400)
    assert (verdict.findings, verdict.rescored) == ((), 302)
    for name in ("equal", "truncated", "tokens", "unknown"):
        assert report_json(outcome)["counters"][name] > 0
        good = report_path(outcome.output).read_text()
        report = json.loads(good)
        report["counters"][name] -= 1
        report_path(outcome.output).write_text(json.dumps(report))
        (line,) = verify(outcome.output, rescore=400).findings
        assert name in line
        report_path(outcome.output).write_text(good)
