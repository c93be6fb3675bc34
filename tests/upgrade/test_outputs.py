"""The first night after an upgrade: what the version before has scored is not scored again."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.cases import FIXTURES, MADE_IN, METRICS, OUTPUTS, Case
from tests.upgrade.conftest import Box, adapt, change_json, computing, moved

Boxes = Callable[..., Box]
every_case = pytest.mark.parametrize("case", OUTPUTS, ids=lambda case: case.name)


def case_of(name: str) -> Case:
    return next(case for case in OUTPUTS if case.name == name)


@every_case
@pytest.mark.parametrize("touched", [False, True], ids=["as it was", "restored from a backup"])
def test_an_output_of_before_is_up_to_date(box: Boxes, case: Case, touched: bool) -> None:
    """Neither it nor its report is written again, also where it has another time than it had."""
    night = box(case.name)
    if touched:
        for output in case.outputs:
            os.utime(night.directory / output)
    before = night.files()
    said = night.run(*case.command, "--verbose")
    found = [line for line in said if " is up to date: " in line]
    assert len(found) == len(case.outputs)
    assert said[len(found) :] in (
        [],
        ["tweetscore: 0 files scored (0 rows), 2 up to date, 0 failed"],
    )
    assert night.files() == moved(before)
    assert not [path for path in night.directory.rglob("*.lock") if path.name.startswith(".")]


@every_case
def test_a_dry_run_says_so_too(box: Boxes, case: Case) -> None:
    """And writes nothing."""
    night = box(case.name)
    before = night.files()
    shown = night.call(*case.command, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.count(": is up to date\n") == len(case.outputs)
    assert (
        f"0 would be scored (0 rows), {len(case.outputs)} up to date, 0 would fail" in shown.stdout
    )
    assert night.files() == before


@every_case
def test_verify_agrees_with_before(box: Boxes, case: Case) -> None:
    """Output, report and input agree, and each row gets the answer that it got."""
    night = box(case.name)
    for output in case.outputs:
        said = night.call("verify", output, "--rescore", "100")
        assert said.exit_code == 0, said.output


def test_an_output_that_was_moved_is_up_to_date(box: Boxes) -> None:
    """The paths in a report decide nothing."""
    night = box("csv")
    report = night.directory / "tweets.scored.csv.run.json"
    change_json(report, lambda old: old["input"].update(path="/elsewhere/tweets.csv"))
    change_json(report, lambda old: old["output"].update(path="/elsewhere/tweets.scored.csv"))
    before = night.files()
    (line,) = night.run(*case_of("csv").command)
    assert line == "tweetscore: tweets.scored.csv is up to date: 6 rows"
    assert night.files() == moved(before)


@every_case
def test_a_changed_input_is_scored_again(box: Boxes, case: Case) -> None:
    """Without a flag: the output of before is known as ours, and replaced."""
    night, fresh = box(case.name), box(case.name, "fresh")
    for each in (night, fresh):
        for output in case.outputs:
            report = each.report(output)
            change_input(each.directory / Path(report["input"]["path"]).relative_to(each.directory))
    for output in case.outputs:
        for path in (fresh.directory / output).parent.glob(f"{Path(output).name}*"):
            path.unlink()
    night.run(*case.command)
    fresh.run(*case.command)
    for output in case.outputs:
        assert night.bytes_of(output) == fresh.bytes_of(output)
        report = night.report(output)
        assert report["result_key"] == fresh.report(output)["result_key"]
        assert night.call("verify", output).exit_code == 0


def change_input(path: Path) -> None:
    """Let an input look as if it had been written anew."""
    os.utime(path, ns=(path.stat().st_mtime_ns + 1,) * 2)


@pytest.mark.parametrize("adapted", [False, True], ids=["of before", "of this box"])
def test_answers_of_before_are_reused(box: Boxes, here: dict[str, Any], adapted: bool) -> None:
    """By `--id-column`: where the box is the one it was; elsewhere a clause says why none is."""
    case = case_of("grown-ids")
    night = box(case.name)
    old = night.bytes_of("out.csv")
    same = computing(night.report("out.csv")) == computing(here)
    if adapted:
        adapt(night, here)
    with (night.directory / "in.csv").open("a", encoding="utf-8") as file:
        file.write("900,one more\n")
    (line,) = night.run(*case.command)
    if adapted or same:
        assert line.endswith("; 8 taken over")
        assert night.report("out.csv")["taken_over"] == {"rows": 8, "why_none": None}
        assert night.bytes_of("out.csv").startswith(old)
    else:
        assert re.search(r"; none taken over: \S.* changed since the earlier output$", line)
    assert night.call("verify", "out.csv", "--rescore", "100").exit_code == 0


@every_case
def test_the_report_of_before_makes_its_page(box: Boxes, case: Case) -> None:
    """`tweetscore report` draws it, with the figures of its report."""
    night = box(case.name)
    for output in case.outputs:
        made = night.call("report", output, "-o", "page.html")
        assert made.exit_code == 0, made.output
        page = night.bytes_of("page.html").decode()
        assert night.report(output)["input"]["path"].rpartition("/")[2] in page
        assert made.stderr.count("\n") <= 1, made.stderr


def test_the_page_compares_two_outputs_of_before(box: Boxes) -> None:
    """Paired by their ids."""
    old, new = box("label-names"), box("csv")
    earlier = old.directory / "out.csv"
    words = ("report", "tweets.scored.csv", "-o", "page.html", "--compare", earlier)
    made = new.call(*words, "--id-column", "id")
    assert made.exit_code == 0, made.output


def test_metrics_of_before_go_on(box: Boxes) -> None:
    """`--metrics-file` counts outputs of before as up to date, and remembers the last success."""
    night = box("directory")
    command = [*case_of("directory").command, "--metrics-file", METRICS]
    last = figure(night, "tweetscore_last_success_timestamp_seconds")
    failed = night.call(*command, "--model", "none")
    assert failed.exit_code == 78
    assert figure(night, "tweetscore_last_success_timestamp_seconds") == last
    night.run(*command)
    assert figure(night, "tweetscore_run_files", 'fate="up_to_date",') == 2.0
    assert figure(night, "tweetscore_run_success") == 1.0
    assert figure(night, "tweetscore_last_success_timestamp_seconds") > last


def figure(night: Box, name: str, labels: str = "") -> float:
    """Return a figure of the metrics file."""
    text = night.bytes_of(METRICS).decode()
    found = re.search(rf'^{name}{{{labels}run="nightly"}} (.+)$', text, re.MULTILINE)
    assert found, text
    return float(found[1])


def test_a_run_of_before_has_not_drifted(box: Boxes) -> None:
    """`--fail-on-drift` judges an output of before by the drift in its report."""
    night = box("embedded")
    before = night.files()
    night.run(*case_of("embedded").command, "--fail-on-drift", "0.01")
    assert night.files() == moved(before)


def test_the_fixtures_tell_of_no_other_place() -> None:
    """All paths in reports lie in the directory that the fixtures are made in."""
    for path in (p for p in FIXTURES.rglob("*.json") if p.parent.name != "bundle"):
        found = set(re.findall(r'"(/[^"]*)"', path.read_text("ascii")))
        assert all(each.startswith(f"{MADE_IN}/") for each in found), path
    size = sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file())
    assert size < 325_000
