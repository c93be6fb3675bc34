from pathlib import Path

import pytest

from scorer.errors import UsageError
from scorer.files.discover import (
    default_output,
    own_products,
    plan_outputs,
    rejects_path,
    resolved,
    state_directory,
)


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
    assert rejects_path(Path("d/o.csv")) == Path("d/o.csv.rejects.ndjson")
    assert state_directory(Path("d/o.csv")) == Path("d/.o.csv.tweetscore")


def test_one_input_has_the_output_that_is_named(tmp_path: Path) -> None:
    """A file's name, or a directory for a file of the default name."""
    source = tmp_path / "x.csv"
    touch(source)
    assert plan_outputs([source]) == [(source, tmp_path / "x.scored.csv")]
    assert plan_outputs([source], tmp_path / "y.csv") == [(source, tmp_path / "y.csv")]
    (tmp_path / "out").mkdir()
    expected = [(source, tmp_path / "out" / "x.scored.csv")]
    assert plan_outputs([source], tmp_path / "out") == expected


def test_paths_are_mirrored_below_the_common_parent(tmp_path: Path) -> None:
    """Equal names in different directories stay apart."""
    one, two, out = tmp_path / "in/a/x.csv", tmp_path / "in/b/x.csv", tmp_path / "out"
    touch(one, two)
    assert plan_outputs([one, two], out) == [
        (one, out / "a/x.scored.csv"),
        (two, out / "b/x.scored.csv"),
    ]


def test_our_own_products_among_several_inputs_are_passed_over(tmp_path: Path) -> None:
    """A shell's *.csv on the second night names last night's outputs too; alone they count."""
    x, scored = tmp_path / "x.csv", tmp_path / "x.scored.csv"
    touch(x, scored)
    assert own_products([x, scored]) == [scored]
    assert [path for path, _ in plan_outputs([x, scored])] == [x]
    assert own_products([scored]) == []
    assert [path for path, _ in plan_outputs([scored])] == [scored]


def test_collisions_are_found_before_any_work(tmp_path: Path) -> None:
    """Two inputs with one output, an output that is an input, another format."""
    x = tmp_path / "x.csv"
    touch(x)
    with pytest.raises(UsageError, match="would both be written"):
        plan_outputs([x, x])
    with pytest.raises(UsageError, match="is an input too"):
        plan_outputs([x], x)
    with pytest.raises(UsageError, match=r"give it the extension \.csv"):
        plan_outputs([x], tmp_path / "y.csv.gz")
