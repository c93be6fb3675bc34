"""A Delta table is scored by its log: the live files of its latest version, and no others."""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from scorer.errors import DataError, InputMissing, MissingExtra, TweetscoreError
from scorer.monitor.report_types import CompleteReport, Outcome
from scorer.options import RunOptions
from scorer.run import pipeline
from scorer.run.dry_run import preview
from scorer.run.prune import finish
from scorer.store.inputs import find_inputs
from scorer.store.local_tables import kind_at
from scorer.store.paths import report_path, table_manifest_path
from tests.handles import handle_of
from tests.lake.delta_logs import DELETED, by_hand, put_file, write, write_days


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def night(
    stub: Any, *inputs: str, output: str | None = None, prune: bool = False
) -> tuple[list[Outcome], list[str]]:
    """Return the outcomes of a run, and the outputs that it removed."""
    options = RunOptions.of(tuple(map(Path, inputs)), None if output is None else Path(output))
    found = pipeline.discover(options)
    outcomes = list(pipeline.run(options, found, model=handle_of(stub)))
    assert [each.error for each in outcomes if each.error] == []
    return outcomes, [str(each) for each in finish(options, found, prune=prune)]


def texts(directory: str) -> list[str]:
    """Return the texts of all outputs, as whoever opens the directory reads them."""
    frame = pl.read_parquet(f"{directory}/**/*.parquet", hive_partitioning=True)
    assert {"label", "score"} <= set(frame.columns)
    return sorted(frame["text"].to_list())


def errors(*inputs: str) -> list[TweetscoreError]:
    return [
        error for _, error in pipeline.discover(RunOptions.of(tuple(map(Path, inputs)))).unreadable
    ]


def test_the_live_rows_are_scored_once_each(stub: Any) -> None:
    """After appends, a delete and an optimize, though the files of all versions lie there."""
    write(Path("lake"), ["I love this", "to go", "so so"])
    write(Path("lake"), ["new row"])
    DeltaTable("lake").delete("text = 'to go'")
    DeltaTable("lake").optimize.compact()
    assert len(list(Path("lake").glob("*.parquet"))) == 4
    outcomes, _ = night(stub, "lake")
    assert len(outcomes) == 1
    assert texts("lake.scored") == ["I love this", "new row", "so so"]
    assert outcomes[0].complete.input.table_version == 3
    night(stub, "lake", output="out")
    assert texts("out") == ["I love this", "new row", "so so"]


def test_the_outputs_follow_the_table(stub: Any) -> None:
    """What is new is scored, what was scored is left, and the output of a file that left goes."""
    write(Path("lake"), ["one"])
    write(Path("lake"), ["two", "three"])
    assert night(stub, "lake")[1] == []
    manifest = json.loads(table_manifest_path(Path("lake.scored")).read_bytes())
    assert manifest["table"] == {
        "format": "delta",
        "path": str(Path("lake").absolute()),
        "version": 1,
    }
    DeltaTable("lake").delete("text = 'two'")
    write(Path("lake"), ["four"])
    outcomes, removed = night(stub, "lake")
    assert [each.up_to_date for each in outcomes].count(False) == 2
    assert len(removed) == 1
    assert texts("lake.scored") == ["four", "one", "three"]
    manifest = json.loads(table_manifest_path(Path("lake.scored")).read_bytes())
    assert manifest["table"]["version"] == 3
    named = sorted(each["output"] for each in manifest["files"])
    assert named == sorted(path.name for path in Path("lake.scored").glob("*.parquet"))
    assert all(Path("lake", each["input"]).exists() for each in manifest["files"])
    before = table_manifest_path(Path("lake.scored")).stat().st_mtime_ns
    assert night(stub, "lake")[1] == []
    assert table_manifest_path(Path("lake.scored")).stat().st_mtime_ns == before


def test_a_table_that_is_emptied_leaves_no_output(stub: Any) -> None:
    """It is no error: the table says that there is nothing."""
    write(Path("lake"), ["one"])
    night(stub, "lake")
    DeltaTable("lake").delete()
    outcomes, removed = night(stub, "lake")
    assert (outcomes, len(removed)) == ([], 1)
    assert not list(Path("lake.scored").glob("*.parquet"))


def test_partitions_are_mirrored_as_the_log_spells_them(stub: Any) -> None:
    """Delta encodes the names of directories, and the log encodes these once more."""
    days = {"x y": ["a"], "50%": ["b"], "ü/1": ["c"]}
    write_days(Path("lake"), days)
    night(stub, "lake")
    assert texts("lake.scored") == ["a", "b", "c"]
    frame = pl.read_parquet("lake.scored/**/*.parquet", hive_partitioning=True)
    assert set(frame["day"]) == set(days)


def test_a_partition_is_that_of_the_table(stub: Any) -> None:
    """Not the files of its directory; outputs of other partitions stay, like the manifest."""
    write_days(Path("lake"), {"1": ["a", "gone"], "2": ["b"]})
    night(stub, "lake")
    DeltaTable("lake").delete("text = 'gone' or text = 'b'")
    Path("link").symlink_to("lake/day=1")
    outcomes, removed = night(stub, "lake/day=1")
    assert len(outcomes) == len(removed) == 1
    assert texts("lake.scored") == ["a", "b"]
    assert not table_manifest_path(Path("lake.scored/day=1")).exists()
    assert [str(each.output) for each in night(stub, "link", output="by-link")[0]] == [
        f"by-link/{outcomes[0].input.name.removesuffix('.parquet')}.scored.parquet"
    ]


def test_a_pattern_means_live_files_only(stub: Any) -> None:
    """A dead file matches in vain; a file that is named is scored, with a warning."""
    write(Path("lake"), ["a", "gone"])
    dead = next(Path("lake").glob("*.parquet"))
    DeltaTable("lake").delete("text = 'gone'")
    write_days(Path("days"), {"1": ["b"], "2": ["c"]})
    for pattern in ("lake/*.parquet", "lake/**", "l*"):
        found = pipeline.discover(RunOptions.of((Path(pattern),)))
        (path,) = found.files
        assert path != dead
    found = pipeline.discover(RunOptions.of((Path("days/day=1/*.parquet"), Path("days/*=2/*"))))
    assert [path.parent.name for path in found.files] == ["day=1", "day=2"]
    assert found.tables[0].whole is False
    named = pipeline.discover(RunOptions.of((dead, dead.with_name("other.parquet"))))
    assert named.files == (dead, dead.with_name("other.parquet"))
    (warning,) = named.warnings
    assert warning.endswith(f"for its live rows try: tweetscore run {Path('lake').absolute()}")


def test_a_table_among_other_files(stub: Any) -> None:
    """Is read by its log, the files beside it as they lie there; each leaves by its own rule."""
    put_file(Path("top/plain.parquet"), "plain")
    put_file(Path("top/other.parquet"), "other")
    write(Path("top/lake"), ["a"])
    write(Path("top/lake"), ["gone"])
    night(stub, "top")
    assert texts("top.scored") == ["a", "gone", "other", "plain"]
    assert table_manifest_path(Path("top.scored/lake")).exists()
    DeltaTable("top/lake").delete("text = 'gone'")
    Path("top/other.parquet").unlink()
    assert len(night(stub, "top")[1]) == 1
    assert texts("top.scored") == ["a", "other", "plain"]
    assert night(stub, "top", prune=True)[1] == ["top.scored/other.scored.parquet"]


def test_another_format_passes_a_table_over() -> None:
    """As it passes over files with the extension of another format; its log is not read."""
    by_hand(Path("top/lake"), "../leads/elsewhere.parquet")
    touch("top/a.txt")
    found = find_inputs([Path("top")], "csv")
    assert (found.files, found.unreadable) == ((Path("top/a.txt"),), ())
    assert found.passed_over == (("of another format", 1),)
    assert len(find_inputs([Path("top")], "parquet").unreadable) == 1


def test_outputs_never_lie_in_a_table(stub: Any) -> None:
    """Not even where version 0.1 wrote them: engines remove what the log does not name."""
    write(Path("lake"), ["a"])
    (path,) = Path("lake").glob("*.parquet")
    night(stub, str(path))
    assert list(Path("lake").glob("*.scored.parquet"))
    outcomes, _ = night(stub, "lake")
    assert outcomes[0].output.parent == Path("lake.scored")
    assert pipeline.discover(RunOptions.of((Path("lake"),))).warnings == ()


def test_the_version_is_that_of_the_discovery(stub: Any) -> None:
    """What is written meanwhile is for the next run."""
    write(Path("lake"), ["a"])
    options = RunOptions.of((Path("lake"),))
    found = pipeline.discover(options)
    write(Path("lake"), ["b"])
    (outcome,) = pipeline.run(options, found, model=handle_of(stub))
    assert isinstance(outcome.report, CompleteReport)
    assert outcome.report.input.table_version == 0
    assert list(finish(options, found, prune=False)) == []
    assert len(night(stub, "lake")[0]) == 2
    report = json.loads(report_path(outcome.output).read_bytes())
    assert report["input"]["table_version"] == 0  # the output is up to date, and so is its report


def test_a_dry_run_says_version_and_count(stub: Any) -> None:
    """And which outputs would go, without being asked to."""
    write(Path("lake"), ["a"])
    night(stub, "lake")
    DeltaTable("lake").delete()
    found = preview(RunOptions.of((Path("lake"),)), model=handle_of(stub))
    assert [(each.version, len(each.live)) for each in found.tables] == [(1, 0)]
    assert len(found.departed) == 1
    assert len(list(Path("lake.scored").glob("*.parquet"))) == 1


def test_checkpoints_are_read(stub: Any) -> None:
    """A log whose first versions are in a checkpoint alone."""
    write(Path("lake"), ["a"])
    write(Path("lake"), ["b"])
    DeltaTable("lake").create_checkpoint()
    write(Path("lake"), ["c"])
    for number in (0, 1):
        Path(f"lake/_delta_log/{number:020}.json").unlink()
    night(stub, "lake")
    assert texts("lake.scored") == ["a", "b", "c"]


def test_deleted_rows_are_refused_with_the_command_that_removes_them() -> None:
    """Only where a live file has some: the feature alone says nothing."""
    table = by_hand(Path("lake"), "a.parquet", features=["deletionVectors"], deletionVector=DELETED)
    (error,) = errors("lake")
    assert isinstance(error, DataError)
    assert "lake is a Delta table with deletion vectors" in str(error)
    assert str(error).endswith(f"in Spark: REORG TABLE delta.`{table.absolute()}` APPLY (PURGE)")
    put_file(by_hand(Path("clean"), "a.parquet", features=["deletionVectors"]) / "a.parquet")
    assert errors("clean") == []


def test_mapped_columns_are_refused_with_the_command_that_copies_them() -> None:
    """Whether deltalake opens the table or not."""
    mode = {"delta.columnMapping.mode": "name"}
    by_hand(Path("lake"), "a.parquet", features=["columnMapping"], configuration=mode)
    (error,) = errors("lake")
    assert isinstance(error, DataError)
    assert "column mapping: its files have other names for columns; copy it in Spark" in str(error)
    assert f"_plain` USING delta AS TABLE delta.`{Path('lake').absolute()}`" in str(error)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../other/a.parquet", "%2E%2E/a.parquet", "file:///x/a.parquet",
     "s3://bucket/a.parquet", "a%00.parquet", ""],
)  # fmt: skip
def test_a_log_leads_nowhere_outside_its_table(path: str) -> None:
    """A shallow clone names files of another table; whoever writes a log may name any."""
    put_file(Path("other/a.parquet"))
    by_hand(Path("lake"), path)
    (error,) = errors("lake")
    assert isinstance(error, DataError)
    assert "the Delta table lake names a file outside its directory" in str(error)


def test_a_partition_that_the_path_does_not_show_is_refused() -> None:
    """Its column is not in the file, and would be lost."""
    put_file(by_hand(Path("lake"), "xy/a.parquet", partitions=["day"]) / "xy/a.parquet")
    (error,) = errors("lake")
    assert "has the partition of a file in its log only, and not in its path: xy/a" in str(error)


def test_a_file_that_is_missing_is_named_and_the_others_are_scored(stub: Any) -> None:
    put_file(by_hand(Path("lake"), "a.parquet", "b.parquet") / "a.parquet")
    found = pipeline.discover(RunOptions.of((Path("lake"),)))
    ((path, error),) = found.unreadable
    assert (path, found.files) == (Path("lake/b.parquet"), (Path("lake/a.parquet"),))
    assert isinstance(error, InputMissing)
    assert "lake/b.parquet is gone, but version 0 of the Delta table lake has it" in str(error)


@pytest.mark.parametrize("content", [None, "{nonsense", '{"protocol": {"minReaderVersion": 9}}'])
def test_a_broken_log_is_one_line(content: str | None) -> None:
    log = Path("lake/_delta_log/00000000000000000000.json")
    log.parent.mkdir(parents=True)
    if content is not None:
        log.write_text(content)
    (error,) = errors("lake")
    assert isinstance(error, DataError)
    assert "lake is a Delta table whose log cannot be read: " in str(error)


def test_a_log_with_a_gap_is_a_short_line() -> None:
    """The library shows its own structures, in 1,000 characters."""
    for text in "abc":
        write(Path("lake"), [text])
    Path("lake/_delta_log/00000000000000000001.json").unlink()
    (error,) = errors("lake")
    assert isinstance(error, DataError)
    assert "found gap" in str(error)
    assert len(str(error)) < 400


@pytest.mark.parametrize("name", ["a%20b", "a\\b"])
def test_a_path_that_the_library_reads_otherwise_is_refused(name: str) -> None:
    """It would read the log of another table."""
    write(Path("a b"), ["a"])
    write(Path("a/b"), ["a"])
    Path("a b").rename(name)
    write(Path("a b"), ["another"])
    (error,) = errors(name)
    assert isinstance(error, DataError)
    assert f"{name} is a Delta table with a path that deltalake cannot read" in str(error)


@pytest.mark.parametrize("name", ["100%", "a#b", "a?b", "ü b"])
def test_a_path_may_hold_any_other_mark(name: str) -> None:
    write(Path("lake"), ["a"])
    Path("lake").rename(name)
    found = pipeline.discover(RunOptions.of((Path(name),)))
    assert (len(found.files), found.unreadable) == (1, ())


def test_without_the_extra_the_line_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    write(Path("lake"), ["a"])
    monkeypatch.setitem(sys.modules, "deltalake", None)
    (error,) = errors("lake")
    assert isinstance(error, MissingExtra)
    assert "lake is a Delta table, whose log needs the library deltalake" in str(error)
    assert "pip install" in str(error)
    assert "[lake]" in str(error)


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


@pytest.mark.parametrize(
    "hint",
    [
        "version-hint.text",
        "v3.metadata.json",
        "00001-9c12d441-03fe-4693-9a96-a0705ddf69c1.gz.metadata.json",
    ],
)
def test_iceberg_is_refused_with_a_command_that_writes_its_live_rows(hint: str) -> None:
    """Its root and its data; a directory `metadata` of something else is none."""
    touch(f"top/ice/metadata/{hint}", "top/ice/data/a.parquet", "top/b.csv")
    for named in ("top", "top/ice", "top/ice/data"):
        (error,) = errors(named)
        assert isinstance(error, DataError)
        assert "top/ice is an Iceberg table" in str(error)
        assert 'duckdb -c "' in str(error) or "duckdb -c '" in str(error)
    touch("plain/metadata/dataset.metadata.json", "plain/a.csv")
    assert errors("plain") == []


def test_what_cannot_be_listed_makes_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("plain/metadata/v1.metadata.json", "plain/a.csv")

    def iterdir(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert kind_at(Path("plain")) is None


def test_hudi_is_refused() -> None:
    touch("hudi/.hoodie/hoodie.properties", "hudi/day=1/a.parquet")
    for named in ("hudi", "hudi/day=1"):
        (error,) = errors(named)
        assert isinstance(error, DataError)
        assert "hudi is a Hudi table" in str(error)
        assert 'spark.read.format("hudi").load(' in str(error)
