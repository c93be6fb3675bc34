"""`--prune`: outputs of ours go when their input is gone from its directory, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from scorer.errors import OutputLocked, UsageError
from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.run.dry_run import preview
from scorer.run.prune import check_searched, departed, finish, gone_from
from scorer.store.lock import locked
from scorer.store.paths import lock_path, report_path
from tests.handles import handle_of

CSV = "id,text\n1,good+\n"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of three files, and make its parent the current directory."""
    for name in ("day=1/a.csv", "day=1/b.csv", "day=2/c.csv"):
        path = tmp_path / "lake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(CSV)
    monkeypatch.chdir(tmp_path)
    return Path("lake")


def run(stub: Any, *inputs: Path, output: Path | None = None) -> None:
    options = RunOptions.of(inputs, output)
    assert all(each.error is None for each in pipeline.run(options, model=handle_of(stub)))


def pruned(*inputs: Path, output: Path | None = None) -> list[str]:
    options = RunOptions.of(inputs, output)
    return [str(each) for each in finish(options, pipeline.discover(options), prune=True)]


def files(directory: str) -> list[str]:
    found = (path for path in Path(directory).rglob("*.csv") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in found)


@pytest.mark.parametrize("output", [None, Path("out")])
def test_an_output_goes_with_its_input(stub: Any, lake: Path, output: Path | None) -> None:
    """With its report; the others stay, and the second time there is nothing to remove."""
    run(stub, lake, output=output)
    where = str(output or "lake.scored")
    (lake / "day=1/a.csv").unlink()
    assert pruned(lake, output=output) == [f"{where}/day=1/a.scored.csv"]
    assert files(where) == ["day=1/b.scored.csv", "day=2/c.scored.csv"]
    assert not report_path(Path(where, "day=1/a.scored.csv")).exists()
    assert pruned(lake, output=output) == []


def test_a_pattern_removes_beside_what_it_matches(stub: Any, lake: Path) -> None:
    """Its outputs lie beside their inputs; one whose input it does not match has that input."""
    run(stub, lake / "*/*.csv")
    (lake / "day=1/a.csv").unlink()
    assert pruned(lake / "*/c.csv") == ["lake/day=1/a.scored.csv"]
    assert files("lake") == [
        "day=1/b.csv", "day=1/b.scored.csv", "day=2/c.csv", "day=2/c.scored.csv",
    ]  # fmt: skip


def test_what_is_not_ours_or_not_of_these_directories_stays(
    stub: Any, lake: Path, tmp_path: Path
) -> None:
    """A foreign file, an output that was changed, the copy of a report, another directory's."""
    other = tmp_path / "other/z.csv"
    other.parent.mkdir()
    other.write_text(CSV)
    out = Path("out")
    run(stub, lake, output=out)
    run(stub, other, output=out)
    (out / "day=1/foreign.scored.csv").write_text(CSV)
    (out / "copies").mkdir()
    report = report_path(out / "day=1/a.scored.csv")
    copy = report_path(out / "copies/renamed.scored.csv")
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(report.read_bytes())
    (out / "day=2/c.scored.csv").write_text("mended by hand")
    for path in (lake / "day=1/a.csv", lake / "day=2/c.csv", other):
        path.unlink()
    (lake / "day=2/c.csv").symlink_to("nowhere")  # is there, whatever it leads to
    assert pruned(lake / "**", output=out) == ["out/day=1/a.scored.csv"]
    (lake / "day=2/c.csv").unlink()
    assert pruned(lake, output=out) == []  # the one that was changed is not ours any more
    assert copy.exists()
    assert files("out") == [
        "day=1/b.scored.csv", "day=1/foreign.scored.csv", "day=2/c.scored.csv", "z.scored.csv",
    ]  # fmt: skip


def test_an_input_that_is_there_again_keeps_its_output(stub: Any, lake: Path) -> None:
    """It is asked for once more under the lock of the output."""
    run(stub, lake)
    gone = lake / "day=1/a.csv"
    gone.unlink()
    options = RunOptions.of((lake,))
    found = pipeline.discover(options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scorer.run.prune.recover", lambda _: gone.write_text(CSV))
        assert list(finish(options, found, prune=True)) == []
    assert len(files("lake.scored")) == 3


def test_a_name_that_is_no_path_is_not_gone(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the current directory is one of those that were searched."""
    monkeypatch.chdir(lake)
    found = pipeline.discover(RunOptions.of((Path(),)))
    is_gone = gone_from(found, prune=True)
    assert not is_gone("s3://bucket/a.csv")
    assert not is_gone("standard input")
    assert is_gone(str(Path("day=1/z.csv").absolute()))


def test_a_file_that_cannot_be_seen_is_not_gone(stub: Any, lake: Path) -> None:
    run(stub, lake)
    options = RunOptions.of((lake / "day=1",))
    found = pipeline.discover(options)

    def lstat(path: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.lstat", lstat)
        assert list(departed(options, found, prune=True)) == []


def test_a_run_that_writes_an_output_keeps_it(stub: Any, lake: Path) -> None:
    """Its lock is respected, and the lock file stays."""
    run(stub, lake)
    (lake / "day=1/a.csv").unlink()
    output = Path("lake.scored/day=1/a.scored.csv")
    with locked(output), pytest.raises(OutputLocked):
        pruned(lake)
    assert output.exists()
    assert pruned(lake) == [str(output)]
    assert lock_path(output).exists()


def test_a_removal_that_is_interrupted_anywhere_is_finished(
    stub: Any, lake: Path, tmp_path: Path
) -> None:
    """The output goes first, so that no output is left without the report that makes it ours."""
    (lake / "day=1/a.csv").write_text("id,text\n1\n")
    options = RunOptions.of((lake,), max_rejects=1)
    output = Path("lake.scored/day=1/a.scored.csv")
    real = Path.unlink
    for step in range(1, 12):
        (lake / "day=1/a.csv").write_text("id,text\n1\n2,good+\n")
        list(pipeline.run(options, model=handle_of(stub)))
        before = set(output.parent.rglob("*")) - {lock_path(output)}
        (lake / "day=1/a.csv").unlink()
        left = step

        def unlink(path: Path, missing_ok: bool = False) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
            real(path, missing_ok)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Path, "unlink", unlink)
            try:
                pruned(lake)
            except KeyboardInterrupt:
                assert report_path(output).exists() or not output.exists()
        pruned(lake)
        gone = before - set(output.parent.rglob("*"))
        assert not [path for path in before - gone if output.name in path.name]
        if left > 0:  # there were fewer steps
            return
    raise AssertionError("the removal has more steps than were tried")


def test_without_a_directory_there_is_nothing_to_look_at(lake: Path) -> None:
    found = pipeline.discover(RunOptions.of((lake / "day=1/a.csv",)))
    with pytest.raises(UsageError, match="name a directory, or leave --prune out"):
        check_searched(found.searched)


def test_a_dry_run_names_what_would_go(stub: Any, lake: Path) -> None:
    """Unless something would fail: then a run removes nothing."""
    run(stub, lake)
    (lake / "day=1/a.csv").unlink()
    options = RunOptions.of((lake,))
    found = preview(options, model=handle_of(stub), prune=True)
    assert [str(each) for each in found.departed] == ["lake.scored/day=1/a.scored.csv"]
    assert len(files("lake.scored")) == 3
    (lake / "broken.csv").write_text("no,such,column\n1,2,3\n")
    assert preview(options, model=handle_of(stub), prune=True).departed == ()
