from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from scorer.errors import UsageError
from scorer.store.directories import Searched, in_mirror, mirror_of
from scorer.store.found import Found, Input
from scorer.store.inputs import find_inputs
from scorer.store.output_plan import plan_outputs, with_warnings
from scorer.store.paths import default_output, rejects_path, resolved, state_directory


def test_an_output_behind_a_link_is_the_file_itself(tmp_path: Path) -> None:
    """Two links to one file are one output, also before it exists; other names stay as typed."""
    (tmp_path / "far").mkdir()
    (tmp_path / "a.csv").symlink_to("far/real.csv")
    (tmp_path / "b.csv").symlink_to("a.csv")
    assert resolved(tmp_path / "b.csv") == resolved(tmp_path / "a.csv") == tmp_path / "far/real.csv"
    assert resolved(Path("some/../out.csv")) == Path("some/../out.csv")


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("x.csv", "x.scored.csv"),
        ("x.csv.gz", "x.scored.csv.gz"),
        ("a.b.TSV.zst", "a.b.scored.TSV.zst"),
        ("x.parquet", "x.scored.parquet"),
        (".csv.csv", ".csv.scored.csv"),
    ],
)
def test_default_output_lies_beside_the_input(name: str, output: str) -> None:
    """NAME.scored.EXT, where EXT may have two parts."""
    assert default_output(Path("dir") / name) == Path("dir") / output


@pytest.mark.parametrize("name", ["x", "x.txt", "x.gz", "x.parquet.gz", "csv", "x.csv.bz2"])
def test_unknown_extensions_name_those_that_are_known(name: str) -> None:
    """The message is the documentation."""
    with pytest.raises(UsageError, match=r"supported are \.csv, .* and \.feather"):
        default_output(Path(name))


def test_what_belongs_to_an_output_lies_beside_it() -> None:
    """Rejects under its name, state hidden."""
    assert rejects_path(Path("d/o.csv")) == Path("d/.tweetscore/o.csv.rejects.ndjson")
    assert state_directory(Path("d/o.csv")) == Path("d/.tweetscore/o.csv.state")


def plan(*arguments: Path, output: Path | None = None) -> list[tuple[Path, Path]]:
    return plan_outputs(find_inputs(arguments), output)


def test_one_input_has_the_output_that_is_named(tmp_path: Path) -> None:
    """A file's name, or a directory for a file of the default name."""
    source = tmp_path / "x.csv"
    touch(source)
    assert plan(source) == [(source, tmp_path / "x.scored.csv")]
    assert plan(source, output=tmp_path / "y.csv") == [(source, tmp_path / "y.csv")]
    (tmp_path / "out").mkdir()
    expected = [(source, tmp_path / "out" / "x.scored.csv")]
    assert plan(source, output=tmp_path / "out") == expected


def test_paths_are_mirrored_below_the_common_parent(tmp_path: Path) -> None:
    """Equal names in different directories stay apart."""
    one, two, out = tmp_path / "in/a/x.csv", tmp_path / "in/b/x.csv", tmp_path / "out"
    touch(one, two)
    mirrored = [(one, out / "a/x.scored.csv"), (two, out / "b/x.scored.csv")]
    assert plan(one, two, output=out) == mirrored
    assert plan(tmp_path / "in", output=out) == mirrored
    assert plan(tmp_path / "in" / "*" / "x.csv", output=out) == mirrored
    assert plan(tmp_path / "in/a", tmp_path / "in/b", output=out) == mirrored


def test_a_directory_of_one_file_has_a_directory_as_output(tmp_path: Path) -> None:
    """What a directory holds tonight does not decide what -o means."""
    touch(tmp_path / "in/x.csv")
    expected = [(tmp_path / "in/x.csv", tmp_path / "y.csv/x.scored.csv")]
    assert plan(tmp_path / "in", output=tmp_path / "y.csv") == expected
    touch(tmp_path / "y.csv")
    with pytest.raises(UsageError, match="is a file; several inputs need a directory"):
        plan(tmp_path / "in", output=tmp_path / "y.csv")


def test_without_o_a_directory_is_mirrored_beside_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DIR gives DIR.scored, however it is named; a file and a pattern's stay where they are."""
    touch(tmp_path / "lake/sub/x.csv", tmp_path / "other/y.csv", tmp_path / "z.csv")
    (tmp_path / "link").symlink_to("lake")
    monkeypatch.chdir(tmp_path)
    lake = [(Path("lake/sub/x.csv"), Path("lake.scored/sub/x.scored.csv"))]
    other = [(Path("other/y.csv"), Path("other.scored/y.scored.csv"))]
    assert plan(Path("lake")) == plan(Path("lake/")) == lake
    assert plan(Path("lake"), Path("other"), Path("z.csv")) == [
        *lake, *other, (Path("z.csv"), Path("z.scored.csv")),
    ]  # fmt: skip
    linked = (Path("link/sub/x.csv"), Path("link.scored/sub/x.scored.csv"))
    assert plan(Path("link")) == [linked]
    beside = (Path("lake/sub/x.csv"), Path("lake/sub/x.scored.csv"))
    assert plan(Path("lake/*")) == plan(Path("lake/**/*.csv")) == [beside]
    absolute = [(tmp_path / "other/y.csv", tmp_path / "other.scored/y.scored.csv")]
    assert plan(tmp_path / "other") == absolute
    monkeypatch.chdir("link/sub")  # whose parent is that of the directory behind the link
    assert plan(Path()) == [(Path("x.csv"), Path("../sub.scored/x.scored.csv"))]
    parent = (Path("../sub/x.csv"), Path("../../lake.scored/sub/x.scored.csv"))
    assert plan(Path("..")) == [parent]


def test_a_partition_without_o_is_one_in_the_mirror_of_its_table(tmp_path: Path) -> None:
    """lake.scored/day=1 and not lake/day=1.scored, which would be another day."""
    path = tmp_path / "lake/year=2026/month=11/x.parquet"
    touch(path)
    scored = (path, tmp_path / "lake.scored/year=2026/month=11/x.scored.parquet")
    assert plan(tmp_path / "lake/year=2026/month=11") == plan(tmp_path / "lake") == [scored]


def test_a_mirror_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """The root has no name, a file may have the mirror's, and a file is not scored twice."""
    touch(tmp_path / "in/x.csv", tmp_path / "in.scored")
    with pytest.raises(UsageError, match=r"in\.scored is a file, .* with -o"):
        plan(tmp_path / "in")
    (tmp_path / "in.scored").unlink()
    with pytest.raises(UsageError, match=r"x\.csv is meant by two INPUTs"):
        plan(tmp_path / "in", tmp_path / "in" / "*.csv")
    nowhere = Found((Input(Path("/x.csv"), PurePosixPath("x.csv"), Path("/x.csv")),), several=True)
    root = replace(nowhere, searched=(Searched(Path("/"), mirror_of(Path("/"))),))
    assert in_mirror(Path("/x.csv"), root.searched[0]) == Path("/x.csv")
    with pytest.raises(UsageError, match=r"/ has no name, .* with -o"):
        plan_outputs(root)


def test_where_outputs_lie_beside_their_inputs_they_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of version 0.1, an unfinished one too, until the mirror is there; a warning says so."""
    monkeypatch.chdir(tmp_path)
    touch(Path("lake/a.csv"), Path("lake/b.csv"))
    touch(Path("lake/a.scored.csv"))  # of somebody else
    mirrored = [Path("lake.scored/a.scored.csv"), Path("lake.scored/b.scored.csv")]
    assert [output for _, output in plan(Path("lake"))] == mirrored
    state_directory(Path("lake/b.scored.csv")).mkdir(parents=True)
    found = with_warnings(find_inputs([Path("lake")]))
    assert found.warnings[0].endswith("try: tweetscore run lake -o lake.scored")
    beside = [Path("lake/a.scored.csv"), Path("lake/b.scored.csv")]
    assert [output for _, output in plan_outputs(found)] == beside
    Path("lake.scored").mkdir()
    assert [output for _, output in plan(Path("lake"))] == mirrored
    assert with_warnings(find_inputs([Path("lake")])).warnings == ()


def test_the_way_to_the_new_place_holds_for_a_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the words of the warning outputs go to where they go without -o from then on."""
    monkeypatch.chdir(tmp_path)
    touch(Path("lake/day=1/a.csv"))
    state_directory(Path("lake/day=1/a.scored.csv")).mkdir(parents=True)
    touch(Path("lake/day=1/a.scored.csv"))
    (warning,) = with_warnings(find_inputs([Path("lake/day=1")])).warnings
    assert warning.endswith("try: tweetscore run lake/day=1 -o lake.scored")
    ((_, output),) = plan(Path("lake/day=1"), output=Path("lake.scored"))
    assert output == Path("lake.scored/day=1/a.scored.csv")
    Path("lake.scored/day=1").mkdir(parents=True)
    assert [found for _, found in plan(Path("lake/day=1"))] == [output]


@pytest.mark.parametrize("named", ["lake", "lake/year=2026", "lake/year=2026/month=*"])
def test_partitions_are_mirrored_from_the_table_on(tmp_path: Path, named: str) -> None:
    """Whichever part of a table is named, its columns are in the output's path too."""
    path = tmp_path / "lake/year=2026/month=11/x.parquet"
    touch(path)
    scored = tmp_path / "out/year=2026/month=11/x.scored.parquet"
    assert plan(tmp_path / named, output=tmp_path / "out") == [(path, scored)]


def test_collisions_are_found_before_any_work(tmp_path: Path) -> None:
    """Two inputs, one output; one input twice; an output that is an input; another format; ours."""
    x, real = tmp_path / "x.csv", tmp_path / "real.csv"
    touch(x, real)
    with pytest.raises(UsageError, match=r"x\.csv is meant by two INPUTs"):
        plan(x, tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.scored.csv").symlink_to(real)
        touch(tmp_path / f"{name}.csv")
    with pytest.raises(UsageError, match="would both be written"):
        plan(tmp_path / "a.csv", tmp_path / "b.csv")
    with pytest.raises(UsageError, match="is an input too"):
        plan(x, output=x)
    with pytest.raises(UsageError, match=r"give it the extension \.csv"):
        plan(x, output=tmp_path / "y.csv.gz")
    with pytest.raises(UsageError, match="which holds what belongs to outputs"):
        plan(x, output=tmp_path / ".tweetscore" / "y.csv")
