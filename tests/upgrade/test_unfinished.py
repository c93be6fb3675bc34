"""What a killed run of the version before has left is resumed, or discarded with one line."""

import os
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.upgrade.cases import UNFINISHED, WINDOW, Unfinished
from tests.upgrade.conftest import Box, adapt, change_json, computing, read_json

Boxes = Callable[..., Box]
NOT_TAKEN_UP = " is not taken up: "
ROWS = 12

every_state = pytest.mark.parametrize("left", UNFINISHED, ids=lambda left: left.name)
unpublished = pytest.mark.parametrize(
    "left", [left for left in UNFINISHED if left.moment != "published"], ids=lambda left: left.name
)


def undisturbed(box: Boxes, left: Unfinished, here: dict[str, Any] | None = None) -> Box:
    """Return the result of an undisturbed run of this version over the same input."""
    expected = box(left.name, "undisturbed")
    if here:
        adapt(expected, here)
    for path in expected.directory.glob(".*.tweetscore"):
        shutil.rmtree(path)
    for path in expected.directory.glob("out.*"):
        if not left.options:
            path.unlink()
    expected.run(*left.command)
    return expected


def plan_of(night: Box, left: Unfinished) -> dict[str, Any]:
    plan: dict[str, Any] = read_json(night.directory / left.state / "plan.json")["plan"]
    return plan


def check_complete(night: Box, expected: Box, left: Unfinished) -> None:
    """Hold a box against the undisturbed one: equal bytes, equal figures, nothing left over."""
    assert night.bytes_of(left.output) == expected.bytes_of(left.output)
    assert night.names() == expected.names()
    assert not (night.directory / left.state).exists()
    for name in ("counters", "labels", "model", "result_key"):
        assert night.report(left.output)[name] == expected.report(left.output)[name]


@every_state
def test_a_killed_run_of_before_comes_to_its_end(
    box: Boxes, left: Unfinished, here: dict[str, Any]
) -> None:
    """The output is an undisturbed run's, byte for byte; its lock file locks no run out."""
    night, expected = box(left.name), undisturbed(box, left)
    assert (night.directory / f".{left.output}.tweetscore.lock").exists()
    plan, now = plan_of(night, left), computing(here)
    said = night.run(*left.command)
    check_complete(night, expected, left)
    resumed = night.report(left.output)["resumed"]
    discarded = [line for line in said if NOT_TAKEN_UP in line]
    if left.moment == "published":
        assert discarded == []
        assert said == [f"tweetscore: {left.output} is up to date: {ROWS} rows"]
    elif {name: plan[name] for name in now} == now:
        assert discarded == []
        assert resumed["windows"] == left.windows
        complete = box(left.complete)
        if left.kind == "parquet":  # which that version wrote anew, and this one copies
            tables = [pq.read_table(each.directory / left.output) for each in (night, complete)]
            assert tables[0].equals(tables[1])
        else:
            assert night.bytes_of(left.output) == complete.bytes_of(left.output)
    else:
        assert len(discarded) == 1
        assert resumed is None


@unpublished
def test_it_is_taken_up_on_the_box_that_it_was_made_on(
    box: Boxes, left: Unfinished, here: dict[str, Any]
) -> None:
    """With this box's processor and libraries in its plan, its windows are not scored again."""
    night, expected = box(left.name), undisturbed(box, left, here)
    adapt(night, here)
    shown = night.call(*left.command, "--dry-run")
    assert "would go on where the run of 2" in shown.stdout
    (line,) = night.run(*left.command, "--resume", "require")
    assert f"; {WINDOW * left.windows} were done already" in line
    assert night.report(left.output)["resumed"]["windows"] == left.windows
    assert night.names() == expected.names()
    if left.kind in {"csv", "ndjson"}:  # the very answers that were stored, on whatever box
        stored = WINDOW * left.windows + (left.kind == "csv")
        before, now = (each.bytes_of(left.output) for each in (box(left.complete), night))
        assert now.splitlines()[:stored] == before.splitlines()[:stored]
    assert night.call("verify", left.output, "--rescore", "100").exit_code == 0


@unpublished
@pytest.mark.parametrize("change", ["libraries.polars", "runtime.instruction_set", "parts"])
def test_it_is_discarded_with_one_line(
    box: Boxes, left: Unfinished, here: dict[str, Any], change: str
) -> None:
    """On a box with other libraries or another processor: all is scored again, and why is said."""
    night, expected = box(left.name), undisturbed(box, left, here)
    adapt(night, here)

    def spoil(state: dict[str, Any]) -> None:
        *place, name = change.split(".")
        where = state["plan"][place[0]] if place else state["plan"]
        where[name] = "another"

    change_json(night.directory / left.state / "plan.json", spoil)
    said = night.run(*left.command)
    (line,) = (line for line in said if NOT_TAKEN_UP in line)
    assert line.endswith(f"{NOT_TAKEN_UP}{change} changed since")
    assert len(said) == 2
    check_complete(night, expected, left)
    assert night.report(left.output)["resumed"] is None


@every_state
def test_it_is_discarded_where_the_input_is_another(box: Boxes, left: Unfinished) -> None:
    """Tonight's input has come meanwhile: that is said in one line, and all is scored."""
    night = box(left.name)
    os.utime(night.directory / f"in.{left.kind}")
    said = night.run(*left.command)
    discarded = [line for line in said if NOT_TAKEN_UP in line]
    assert len(discarded) == (left.moment != "published")  # that run is complete, all the same
    assert all("input.mtime_ns" in line for line in discarded)
    assert len(said) == len(discarded) + 1
    report = night.report(left.output)
    assert report["resumed"] is None
    assert report["counters"]["rows"] == ROWS
    assert not (night.directory / left.state).exists()
    assert night.call("verify", left.output).exit_code == 0
