"""Many inputs in one run: what is new is scored, what fails fails alone, nothing is quadratic."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.dataset
import pytest

from scorer.errors import InputMissing, OutputRefused, UsageError
from scorer.monitor.report_types import Outcome
from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.run.dry_run import preview
from scorer.run.one_file import FileRun
from scorer.store.commit import inodes
from tests.handles import handle_of

CSV = "id,text\n1,good+\n2,bad-\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory of six files in two partitions."""
    for number in range(6):
        path = tmp_path / "in" / f"day={number % 2}" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CSV)
    return tmp_path / "in"


def run(stub: Any, *inputs: Path, **options: Any) -> list[Outcome]:
    return list(pipeline.run(RunOptions.of(inputs, **options), model=handle_of(stub)))


def scored(outcomes: list[Outcome]) -> list[str]:
    return [each.input.name for each in outcomes if not each.up_to_date and not each.error]


def test_the_second_night_scores_what_is_new_or_changed(stub: Any, folder: Path) -> None:
    """All at first, nothing then; one touched and one added are exactly two."""
    assert len(scored(run(stub, folder))) == 6
    assert scored(run(stub, folder)) == []
    assert stub.loads == 1
    os.utime(folder / "day=0/2.csv", (1, 1))
    (folder / "day=1/7.csv").write_text(CSV)
    assert scored(run(stub, folder)) == ["2.csv", "7.csv"]


@pytest.mark.parametrize("output", [None, "out"])
def test_everything_is_scored_again_on_demand(
    stub: Any, folder: Path, tmp_path: Path, output: str | None
) -> None:
    """Without incremental an output that is up to date is written again, byte for byte."""
    where = output and tmp_path / output
    first = run(stub, folder, output=where)
    before = {each.output: (each.output.read_bytes(), each.output.stat().st_ino) for each in first}
    assert len(scored(run(stub, folder, output=where, incremental=False))) == 6
    for path, (content, inode) in before.items():
        assert path.read_bytes() == content
        assert path.stat().st_ino != inode


def test_a_file_that_fails_does_not_keep_the_others_from_their_turn(
    stub: Any, folder: Path
) -> None:
    """Not even one that does not fit the call: it is named, and the others are scored."""
    (folder / "day=0/0.csv").write_text("text,label\nx,y\n")
    (folder / "day=1/1.csv").unlink()
    (folder / "day=1/1.csv").symlink_to("nowhere.csv")
    outcomes = run(stub, folder)
    first, second = (each.error for each in outcomes if each.error)
    assert str(first).startswith(f"{folder / 'day=0/0.csv'}: the column 'label' exists already; ")
    assert isinstance(first, UsageError)
    assert isinstance(second, InputMissing)
    assert len(scored(outcomes)) == 4


def test_a_closed_place_for_the_mirror_is_one_line(stub: Any, folder: Path) -> None:
    """It names the directory and -o, for the run and the dry run, not each file."""
    real = os.access

    def access(path: Any, mode: int) -> bool:
        return Path(path) != folder.parent and real(path, mode)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "access", access)
        errors = {str(each.error) for each in run(stub, folder)}
        found = preview(RunOptions.of((folder,)), model=handle_of(stub))
    words = f"{folder}.scored/day=0 cannot be made: {folder.parent} is closed"
    assert errors == {str(each.error) for each in found.files}
    (error,) = errors
    assert words.replace("/day=0", "") in error
    assert error.endswith("name another place with -o")
    assert list(folder.parent.iterdir()) == [folder]


def test_a_file_that_vanishes_after_it_was_found_fails_alone(stub: Any, folder: Path) -> None:
    """Between the first look and its turn."""
    stub.before_scoring = lambda: (folder / "day=1/3.csv").unlink(missing_ok=True)
    outcomes = run(stub, folder)
    (failed,) = (each for each in outcomes if each.error)
    assert failed.input == folder / "day=1/3.csv"
    assert isinstance(failed.error, InputMissing)
    assert len(scored(outcomes)) == 5


def test_what_could_not_be_searched_is_the_first_failure(stub: Any, folder: Path) -> None:
    """The exit code is that of the directory; what was found is scored."""
    first, *others = run(stub, folder / "none" / "*.csv", folder)
    assert (first.input, first.output) == (folder / "none", folder / "none")
    assert isinstance(first.error, InputMissing)
    assert len(scored(others)) == 6


def test_a_partition_column_is_a_column_that_exists(stub: Any, folder: Path) -> None:
    """Whoever reads the output as a table would find two columns of one name."""
    outcomes = run(stub, folder, label_column="day")
    assert all("the column 'day' exists already" in str(each.error) for each in outcomes)
    with pytest.raises(UsageError, match="the column 'day' exists already"):
        run(stub, folder / "day=0/0.csv", score_column="day")


def test_a_partitioned_table_is_one_again(stub: Any, tmp_path: Path) -> None:
    """Its column is in the paths of the output, so that readers of such tables find it there."""
    frame = pl.DataFrame({"text": ["a+", "b-", "c", "d"], "n": [1, 2, 3, 4]})
    for year, month in ((2025, 12), (2026, 1), (2026, 2)):
        path = tmp_path / f"lake/year={year}/month={month}/part-0.parquet"
        path.parent.mkdir(parents=True)
        frame.write_parquet(path)
    (tmp_path / "lake/_SUCCESS").touch()
    run(stub, tmp_path / "lake", output=tmp_path / "out")
    pattern = tmp_path / "out/**/*.parquet"
    table = pl.scan_parquet(pattern, hive_partitioning=True).collect()
    assert table.columns == ["text", "n", "label", "score", "year", "month"]
    assert table.select("year", "month").unique(maintain_order=True).rows() == [
        (2025, 12), (2026, 1), (2026, 2),
    ]  # fmt: skip
    arrow = pyarrow.dataset.dataset(
        tmp_path / "out", partitioning="hive", exclude_invalid_files=True, format="parquet"
    )
    assert arrow.count_rows(filter=pyarrow.dataset.field("year") == 2026) == 8


def test_an_output_that_is_another_input_by_a_link_is_refused(
    stub: Any, folder: Path, tmp_path: Path
) -> None:
    """Also if it becomes one while the run is on its way; that file stays as it is."""
    out = tmp_path / "out"
    victim = folder / "day=1/5.csv"

    def link() -> None:
        target = out / "day=1/1.scored.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(victim)

    stub.before_scoring = link
    outcomes = run(stub, folder, output=out)
    failed = next(each for each in outcomes if each.input.name == "1.csv")
    assert isinstance(failed.error, UsageError | OutputRefused)
    assert victim.read_text() == CSV


def test_looking_for_inputs_among_outputs_is_linear(
    stub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice the files are twice the calls, not four times."""
    calls = {}
    real = os.stat
    for count in (20, 40):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.csv").write_text(CSV)
        run(stub, folder)
        seen: list[Any] = []

        def stat(path: Any, *args: Any, seen: list[Any] = seen, **options: Any) -> os.stat_result:
            seen.append(path)
            return real(path, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "stat", stat)
            run(stub, folder)
        calls[count] = len(seen)
    assert calls[40] <= 2 * calls[20]


def test_a_night_without_news_loads_no_model(tmp_path: Path) -> None:
    """Neither ONNX Runtime nor a tokenizer is imported where all is up to date."""
    (tmp_path / "in").mkdir()
    for number in range(3):
        (tmp_path / f"in/{number}.csv").write_text(CSV)
    program = (
        "import atexit, sys; from scorer.cli import main\n"
        "sys.argv = ['tweetscore', 'run', 'in', '--device', 'builtin']\n"
        "atexit.register(lambda: print({'onnxruntime', 'tokenizers'} & set(sys.modules)))\n"
        "main()"
    )
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip())
    assert "onnxruntime" in said[0]
    assert said[1] == "set()"


def test_one_file_is_scored_by_its_run_alone(stub: Any, tmp_path: Path) -> None:
    """What an engine's actor does: a valid input is scored without a step before that."""
    path, output = tmp_path / "a.csv", tmp_path / "out.csv"
    path.write_text(CSV)
    taken, one = inodes([path]), FileRun(path, output, RunOptions.of((path,)))
    with one.attempt():
        one.score(one.validate(taken), handle_of(stub), taken, lambda _: None)
    report = one.outcome().complete
    assert [label.rows for label in report.labels] == [1, 0, 1]
    assert report.model.name == stub.bundle.name
