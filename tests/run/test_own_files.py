"""Files that lie where a run writes: their owners, modes and links."""

import os
import resource
import stat
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import OutputRefused
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.run import pipeline, preflight
from scorer.store.paths import (
    failed_report_path,
    rejects_path,
    report_path,
    state_directory,
    temporary_sibling,
)
from tests.handles import handle_of
from tests.places import with_directory
from tests.reports import report_json
from tests.stubs import StubClassifier


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (path := tmp_path / "in.csv").write_text("id,text\n1,good+\n2,bad-\n")
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def run(source: Path, output: Path, **options: Any) -> Outcome:
    wanted = RunOptions.of((source,), output=output, **options)
    (outcome,) = pipeline.run(wanted, model=handle_of(StubClassifier()))
    return outcome


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_replaced_keeps_its_mode(source: Path, output: Path) -> None:
    """The output, its report and its list of rejects, each its own."""
    source.write_text("id,text\n1,good+\n2,a,b\n")
    run(source, output, max_rejects=9)
    assert mode_of(rejects_path(output)) == 0o600
    modes = {output: 0o600, report_path(output): 0o640, rejects_path(output): 0o440}
    for path, mode in modes.items():
        path.chmod(mode)
    source.write_text("id,text\n1,good+\n2,a,b\n3,new\n")
    assert run(source, output, max_rejects=9).warnings == ()
    assert output.read_text().count("\n") == 3
    assert {path: mode_of(path) for path in modes} == modes


def test_the_report_of_a_failure_is_no_wider_than_the_output(source: Path, output: Path) -> None:
    """Nor is a report that is new beside an output which is not."""
    run(source, output)
    output.chmod(0o600)
    source.write_text("id,text\n1\n")
    assert run(source, output).error
    assert mode_of(failed_report_path(output)) == 0o600
    report_path(output).unlink()
    source.write_text("id,text\n1,good+\n")
    run(source, output, overwrite=True)
    assert mode_of(report_path(output)) == 0o600


def test_a_link_in_the_place_of_a_temporary_file_is_not_followed(
    source: Path, output: Path
) -> None:
    """What it leads to stays as it is."""
    (victim := output.with_name("victim.txt")).write_text("precious")
    with_directory(temporary_sibling(failed_report_path(output))).symlink_to(victim)
    source.write_text("id,text\n1\n")
    assert run(source, output).error
    assert failed_report_path(output).read_text().startswith("{")
    assert victim.read_text() == "precious"


def test_an_owner_that_cannot_be_kept_is_in_the_report(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is a warning with the command that gives the file back."""
    run(source, output)
    source.write_text("id,text\n1,good+\n")
    monkeypatch.setattr("scorer.run.one_file.keep_attributes", lambda *_: ("sudo chown 1:1",))
    outcome = run(source, output)
    assert outcome.error is None
    assert outcome.warnings == ("sudo chown 1:1",)
    assert report_json(outcome)["warnings"] == ["sudo chown 1:1"]


def test_a_pipe_is_no_report(source: Path, output: Path) -> None:
    """It is not waited for: it makes no output ours, and gives way to a report."""
    os.mkfifo(with_directory(report_path(output)))
    assert run(source, output).error is None
    assert report_path(output).is_file()
    report_path(output).unlink()
    os.mkfifo(report_path(output))
    assert isinstance(run(source, output).error, OutputRefused)


def test_a_report_of_gigabytes_is_not_read(source: Path, output: Path) -> None:
    """The memory of the run shows it."""
    run(source, output.with_name("warm.csv"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with report_path(output).open("wb") as file:
        file.truncate(2 << 30)
    assert run(source, output).error is None
    assert report_path(output).stat().st_size < 1 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # KiB


@pytest.mark.parametrize("name", ["plan.json", "report.json", "journal", "rejects"])
@pytest.mark.parametrize("size", [None, 2 << 30], ids=["pipe", "gigabytes"])
def test_whatever_lies_in_the_state_does_not_stop_the_night(
    source: Path, output: Path, name: str, size: int | None
) -> None:
    """Nothing is waited for and nothing large is read; the output is complete."""
    with_directory(state_directory(output)).mkdir(mode=0o700)
    path = state_directory(output) / name
    if size is None:
        os.mkfifo(path)
    else:
        with path.open("wb") as file:
            file.truncate(size)
    outcome = run(source, output)
    assert outcome.error is None
    assert output.read_text().startswith("id,text,label,score\n1,good+,positive,")
    assert not state_directory(output).exists()
    assert len(outcome.warnings) == (name == "plan.json")


def test_an_output_that_cannot_be_replaced_is_refused_before_the_model_works(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """73, and what is there stays."""
    mounted = with_directory(report_path(output))
    mounted.touch()
    monkeypatch.setattr(preflight, "_attributes", lambda path: 0x2000 * (path == mounted))
    stub = StubClassifier()
    (outcome,) = pipeline.run(RunOptions.of((source,), output=output), model=handle_of(stub))
    assert isinstance(outcome.error, OutputRefused)
    assert stub.loads == 0
    assert not output.exists()


def test_litter_does_not_make_an_output_out_of_date(source: Path, output: Path) -> None:
    """A report of a failure that cannot be removed is left where it is."""
    run(source, output)
    failed_report_path(output).mkdir()
    outcome = run(source, output)
    assert (outcome.error, outcome.up_to_date) == (None, True)
