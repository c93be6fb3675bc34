"""The preview of a run, which writes nothing."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import DataError, InvalidBundle, OutputRefused, UsageError
from scorer.formats.row_count import RowCount
from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.run.dry_run import Preview, Probe, expected_rows, preview
from scorer.store.paths import report_path
from tests.handles import handle_of
from tests.stub_metadata import stub_metadata

CSV = "id,text\n1,good+\n2,bad-\n3,\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "in"
    path.mkdir()
    for name in ("a.csv", "b.csv"):
        (path / name).write_text(CSV)
    return path


def preview_of(stub: Any, *inputs: Path, **options: Any) -> Preview:
    return preview(RunOptions.of(inputs, **options), model=handle_of(stub))


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_nothing_is_written_locked_or_made(stub: Any, folder: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    found = preview_of(stub, folder, output=tmp_path / "out")
    assert [each.action for each in found.files] == ["score", "score"]
    assert found.files[0].output == tmp_path / "out" / "a.scored.csv"
    assert everything(tmp_path) == before
    assert not (tmp_path / "out").exists()


def test_it_says_rows_columns_and_what_is_appended(stub: Any, folder: Path) -> None:
    found = preview_of(stub, folder, scores="all")
    assert found.files[0].columns == ("id", "text")
    assert found.rows == RowCount(6, exact=True)
    assert found.appended[2:] == ("score_negative", "score_neutral", "score_positive")


def test_the_probe_scores_rows_of_the_largest_file(stub: Any, folder: Path) -> None:
    (folder / "c.csv").write_text("text\n" + "good+\n" * 2_000)
    found = preview_of(stub, folder)
    assert stub.windows == [512]
    assert found.probe is not None
    assert found.probe.rows == 512


def test_an_estimate_is_loading_and_the_probes_rate(stub: Any) -> None:
    assert Probe(stub, load_seconds=2.0, rows=512, seconds=0.5).estimate(51_200) == 52.0
    assert Probe(stub, load_seconds=2.0, rows=0, seconds=0.0).estimate(0) == 2.0


def test_an_output_that_is_up_to_date_is_left_and_no_model_loaded(stub: Any, folder: Path) -> None:
    list(pipeline.run(RunOptions.of((folder,)), model=handle_of(stub)))
    assert stub.loads == 1
    found = preview_of(stub, folder)
    assert [each.action for each in found.files] == ["leave", "leave"]
    assert [each.rows.rows for each in found.files] == [3, 3]
    assert (found.probe, found.rows.rows, stub.loads) == (None, 0, 1)
    again = preview_of(stub, folder, incremental=False)
    assert [each.action for each in again.files] == ["score", "score"]


def test_a_bound_on_drift_needs_a_baseline(stub: Any, folder: Path) -> None:
    """A run would be refused, and so is the look; an output without drift would be scored again."""
    list(pipeline.run(RunOptions.of((folder,)), model=handle_of(stub)))
    path = report_path(folder.parent / "in.scored/a.scored.csv")
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"drift": None}))
    actions = [each.action for each in preview_of(stub, folder, fail_on_drift=0.25).files]
    assert actions == ["score", "leave"]
    stub.bundle = replace(stub.bundle, metadata=stub_metadata())
    with pytest.raises(InvalidBundle, match="has no baseline"):
        preview_of(stub, folder, fail_on_drift=0.25)


def test_an_interrupted_run_would_go_on(stub: Any, folder: Path) -> None:
    path = folder / "a.csv"
    options = RunOptions.of((path,), chunk_rows=1)

    def interrupt() -> None:
        if stub.windows:
            raise KeyboardInterrupt

    stub.before_scoring = interrupt
    with pytest.raises(KeyboardInterrupt):
        list(pipeline.run(options, model=handle_of(stub)))
    stub.before_scoring = lambda: None
    (file,) = preview_of(stub, path).files
    assert (file.action, file.since[:2]) == ("go on", "20")
    assert preview_of(stub, path, resume="never").files[0].action == "score"
    assert preview_of(stub, path, scores="all").files[0].action == "score"


def test_what_a_run_would_refuse_is_found(stub: Any, folder: Path) -> None:
    """A foreign output, broken records, a column that is taken, an unreadable input."""
    (folder.parent / "in.scored").mkdir()
    (folder.parent / "in.scored/a.scored.csv").write_text("not ours")
    (folder / "broken.csv").write_text("id,text\n1,one,too,many\n")
    (folder / "taken.csv").write_text("text,label\nx,y\n")
    (folder / "z.csv").symlink_to("nowhere.csv")
    found = preview_of(stub, folder)
    errors = {each.input.name: each.error for each in found.files if each.action == "fail"}
    assert list(errors) == ["a.csv", "broken.csv", "taken.csv", "z.csv"]
    assert isinstance(errors["a.csv"], OutputRefused)
    assert isinstance(errors["broken.csv"], DataError)
    assert "1 record is no row" in str(errors["broken.csv"])
    assert isinstance(errors["taken.csv"], UsageError)
    allowed = preview_of(stub, folder / "broken.csv", max_rejects=1)
    assert [each.action for each in allowed.files] == ["score"]


def test_a_directory_that_cannot_be_read_is_among_the_failures(stub: Any, folder: Path) -> None:
    (folder / "closed").mkdir()
    (folder / "closed" / "d.csv").write_text(CSV)
    real = os.scandir

    def scandir(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scandir)
        found = preview_of(stub, folder)
    assert (found.files[0].input.name, found.files[0].action) == ("closed", "fail")


def test_a_call_that_makes_no_sense_is_refused_as_a_run_refuses_it(stub: Any, folder: Path) -> None:
    with pytest.raises(UsageError, match="already"):
        preview_of(stub, folder / "a.csv", label_column="id")
    with pytest.raises(UsageError, match="label names"):
        preview_of(stub, folder / "a.csv", label_names=("one",))


def test_expected_rows_leave_out_what_cannot_be_read(folder: Path) -> None:
    (folder / "broken.csv").write_text("no text\n")
    options = RunOptions.of((folder,))
    counts = expected_rows(options, pipeline.discover(options).files)
    assert {path.name: rows for path, rows in counts.items()} == {"a.csv": 3, "b.csv": 3}
