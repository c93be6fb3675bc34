import json
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from scorer.inference.session import RuntimeInfo
from scorer.options import CsvOptions, InputSpec, ModelSpec, OutputSpec, RunOptions
from scorer.run import cache_keys

SOURCE = {"path": "/in.csv", "size": 9, "mtime_ns": 1, "ends_sha256": "ab", "format": "csv"}
BUNDLE: Any = SimpleNamespace(digest="d" * 64)
LABELS: dict[str, Any] = {"label_names": ("a", "b")}
OPTIONS = RunOptions.of((Path("in.csv"),), **LABELS)
RUNTIME = RuntimeInfo("CPUExecutionProvider", "builtin", "fp32", "avx2", 2, "why")
RESULT = cache_keys.result_key(SOURCE, BUNDLE, OPTIONS)


def result(**options: Any) -> dict[str, Any]:
    return cache_keys.result_key(
        SOURCE, BUNDLE, RunOptions.of((Path("in.csv"),), **LABELS | options)
    )


def resume(runtime: RuntimeInfo = RUNTIME, polars: str = "2.1", rows: int = 9) -> dict[str, Any]:
    return cache_keys.resume_key(RESULT, runtime, {"polars": polars}, rows)


@pytest.mark.parametrize(
    "option",
    [
        {"text_column": "body"},
        {"limit": 3},
        {"encoding": "latin-1"},
        {"delimiter": ";"},
        {"quote": "none"},
        {"escape": "backslash"},
        {"columns": ("id", "text")},
        {"scores": "all"},
        {"label_names": ("x", "y")},
        {"label_column": "l"},
        {"score_column": "s"},
        {"labels_column": "ls"},
        {"threshold": 0.3},
        {"precision": "fp32"},
    ],
)
def test_what_changes_rows_changes_the_result_key(option: dict[str, Any]) -> None:
    """Another column, other names, other precision: another output."""
    assert result(**option) != RESULT


def test_options_that_came_later_leave_earlier_outputs_up_to_date() -> None:
    """At their defaults the key is the one that reports have from before there were dialects."""
    before = "d80c0aaeceedc2de21ed728af8ac507caca1e73549e8732f0e2854abe883370e"
    assert cache_keys.digest(RESULT) == before


@pytest.mark.parametrize("fact", ["size", "mtime_ns", "ends_sha256", "format"])
def test_another_input_or_model_changes_the_result_key(fact: str) -> None:
    """Size, time, both ends and format of the input, and the bundle."""
    assert cache_keys.result_key({**SOURCE, fact: "other"}, BUNDLE, OPTIONS) != RESULT
    other: Any = SimpleNamespace(digest="e")
    assert cache_keys.result_key(SOURCE, other, OPTIONS) != RESULT


@pytest.mark.parametrize(
    "option",
    [
        {"threads": 7},
        {"chunk_rows": 5},
        {"overwrite": True},
        {"max_rejects": 9},
        {"resume": "require"},
        {"lock_wait": 3.0},
        {"model": Path("elsewhere")},
        {"device": "cpu"},
        {"options_from": {"limit": "environment"}},
    ],
)
def test_what_changes_no_row_leaves_the_result_key(option: dict[str, Any]) -> None:
    """How fast, how patient, and where the same bundle lies."""
    assert result(**option) == RESULT
    assert cache_keys.result_key({**SOURCE, "path": "/moved.csv"}, BUNDLE, OPTIONS) == RESULT


@pytest.mark.parametrize("fact", ["provider", "device", "precision", "instruction_set"])
def test_another_way_to_compute_changes_the_resume_key(fact: str) -> None:
    """One output is never made by two providers, or by two kinds of CPU."""
    other: dict[str, Any] = {fact: "other"}
    assert resume(replace(RUNTIME, **other)) != resume()


def test_versions_and_windows_change_the_resume_key() -> None:
    """An upgraded library, or parts that are cut elsewhere; threads and reasons do not."""
    assert resume(polars="2.2") != resume()
    assert resume(rows=10) != resume()
    assert resume(replace(RUNTIME, threads=64, reason="other")) == resume()


def test_keys_are_plain_json() -> None:
    """What was written and read again compares equal."""
    assert json.loads(json.dumps(resume())) == resume()
    assert cache_keys.digest(RESULT) == cache_keys.digest(dict(reversed(RESULT.items())))
    assert len(cache_keys.digest(RESULT)) == 64


def test_the_report_has_every_option_in_the_order_of_before() -> None:
    """An option is recorded whichever spec it belongs to; where a file lies is none of them."""
    recorded = OPTIONS.as_json()
    specs = (ModelSpec, InputSpec, CsvOptions, OutputSpec, RunOptions)
    names = {field.name for spec in specs for field in fields(spec)}
    elsewhere = {"inputs", "output", "options_from", "names", "csv"}
    assert set(recorded) == {name for name in names - elsewhere if not name.endswith("_spec")}
    assert list(recorded)[:3] == ["text_column", "id_column", "scores"]
    assert list(recorded)[-2:] == ["lock_wait", "fail_on_drift"]
