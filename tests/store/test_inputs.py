import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import InputMissing, StorageError
from scorer.store.directories import partition_keys
from scorer.store.found import Inputs
from scorer.store.inputs import find_inputs


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def find(*arguments: str) -> Inputs:
    return find_inputs([Path(argument) for argument in arguments])


def found(*arguments: str) -> list[str]:
    return [str(path) for path in find(*arguments).files]


def test_a_directory_stands_for_all_files_below_it(here: Path) -> None:
    """At any depth, each once, in the order of their names, whatever the order on the disk."""
    touch("in/b.csv", "in/a/z.parquet", "in/a/b/c/d.tsv.gz", "in/c.CSV")
    assert found("in") == ["in/a/b/c/d.tsv.gz", "in/a/z.parquet", "in/b.csv", "in/c.CSV"]
    assert found("in/a/../a/b") == ["in/a/../a/b/c/d.tsv.gz"]


def test_directories_may_lie_deeper_than_the_stack(here: Path) -> None:
    """A thousand levels are no reason to fail."""
    deep = Path("in")
    for _ in range(1200):
        deep.mkdir()
        deep /= "d"
    (path := deep.parent / "x.csv").touch()
    assert found("in") == [str(path)]
    path.unlink()
    while deep.parent != Path():  # whoever clears up behind the tests has only the stack
        deep = deep.parent
        deep.rmdir()


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("in/*.csv", ["in/a.csv", "in/b.csv"]),
        ("in/[!b].csv", ["in/a.csv"]),
        ("in/?.csv", ["in/a.csv", "in/b.csv"]),
        ("in/**/*.csv", ["in/a.csv", "in/b.csv", "in/sub/c.csv", "in/sub/sub/d.csv"]),
        ("in/**", ["in/a.csv", "in/b.csv", "in/sub/c.csv", "in/sub/sub/d.csv"]),
        ("**/sub/*.csv", ["in/sub/c.csv", "in/sub/sub/d.csv"]),
        ("in/**/**/sub/**/d.csv", ["in/sub/sub/d.csv"]),
        ("in/s*", ["in/sub/c.csv", "in/sub/sub/d.csv"]),  # a directory that matches, in full
        ("*/sub", ["in/sub/c.csv", "in/sub/sub/d.csv"]),
        ("i*/*/c.csv", ["in/sub/c.csv"]),
    ],
)
def test_patterns_are_expanded_by_us(here: Path, pattern: str, names: list[str]) -> None:
    """So that cron, which has no `**`, and a shell with a limit on arguments get the same files."""
    touch("in/a.csv", "in/b.csv", "in/sub/c.csv", "in/sub/sub/d.csv", "in/notes.txt")
    assert found(pattern) == names


def test_a_file_with_a_star_in_its_name_is_itself(here: Path) -> None:
    """A name that exists is no pattern."""
    touch("a*.csv", "ab.csv")
    assert found("a*.csv") == ["a*.csv"]
    Path("a*.csv").unlink()
    assert found("a*.csv") == ["ab.csv"]


def test_a_name_that_is_not_there_is_left_to_who_opens_it(here: Path) -> None:
    """It fails with the others' turn, not before them."""
    assert found("late.csv", "later.csv") == ["late.csv", "later.csv"]


def test_what_is_no_input_is_passed_over_and_counted(here: Path) -> None:
    """Ours, hidden and unknown ones; what is ours is there each night and is not worth a word."""
    touch("in/x.csv", "in/x.scored.csv", "in/x.scored.csv.run.json", "in/y.CSV.rejects.ndjson")
    touch("in/.x.scored.csv.tweetscore.lock", "in/.x.scored.csv.tweetscore/part.csv")
    touch("in/.hidden.csv", "in/.git/y.csv", "in/_SUCCESS", "in/_temporary/0/z.parquet")
    touch("in/notes.txt", "in/more/README", "in/_day=3/x.csv")
    inputs = find("in")
    assert [str(path) for path in inputs.files] == ["in/_day=3/x.csv", "in/x.csv"]
    assert dict(inputs.passed_over) == {"hidden": 4, "of unknown extension": 2}


@pytest.mark.parametrize(
    "name", ["in/.tweetscore", "in/.tweetscore/**", "in/.tweetscore/x.csv.state/part-1.arrow",
             "in/.x.csv.tweetscore"],
)  # fmt: skip
def test_what_lies_beside_outputs_is_no_input_by_any_name(here: Path, name: str) -> None:
    """Windows of a run, and lists of rejects, have extensions that are ours to read."""
    touch("in/x.csv", "in/.tweetscore/x.csv.state/part-1.arrow", "in/.tweetscore/y.csv")
    touch("in/.tweetscore/x.csv.rejects.ndjson", "in/.x.csv.tweetscore/part-1.arrow")
    assert found("in", "in/x.csv", name) == ["in/x.csv", "in/x.csv"]
    assert found("**/*", "in/**/*.arrow", "*/.*/*.csv") == ["in/x.csv"]
    with pytest.raises(InputMissing, match=r"no file to score in .* \(1 written by tweetscore\)"):
        find(name)


def test_a_hidden_name_that_is_asked_for_is_found(here: Path) -> None:
    """As in a shell: the pattern begins with the dot."""
    touch(".old/x.csv", "_raw/x.csv")
    assert found(".o*/x.csv", "_raw") == [".old/x.csv", "_raw/x.csv"]


def test_our_own_products_among_several_inputs_are_passed_over(here: Path) -> None:
    """A shell's *.csv on the second night names last night's outputs too; alone they count."""
    touch("x.csv", "x.scored.csv")
    inputs = find("x.csv", "x.scored.csv")
    assert inputs.files == (Path("x.csv"),)
    assert inputs.ours == (Path("x.scored.csv"),)
    assert find("x.scored.csv").ours == ()


def test_links_to_directories_are_followed_when_named_only(here: Path) -> None:
    """Nothing is found twice, and a loop is not endless."""
    touch("in/2026/x.csv")
    Path("in/latest").symlink_to("2026")
    Path("in/2026/loop").symlink_to("../..")
    Path("in/self").symlink_to("self")
    inputs = find("in")
    assert inputs.files == (Path("in/2026/x.csv"),)
    assert dict(inputs.passed_over) == {"behind a link": 2, "of unknown extension": 1}
    assert found("in/latest") == ["in/latest/x.csv"]
    assert found("in/latest/*.csv") == ["in/latest/x.csv"]


def test_a_link_to_a_file_is_a_file_though_it_leads_nowhere(here: Path) -> None:
    """Whoever opens it says what is wrong: it is not passed over in silence."""
    touch("far.csv")
    Path("in").mkdir()
    Path("in/near.csv").symlink_to("../far.csv")
    Path("in/loop.csv").symlink_to("loop.csv")
    assert found("in") == ["in/loop.csv", "in/near.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["empty"], "no file to score in empty; check the names; supported are .csv"),
        (["in"], "no file to score in in (1 .txt, 1 written by tweetscore); "),
        (["in/*.tsv"], "no file to score in in/*.tsv; "),
        (["in/x.scored.csv", "in/y.scored.csv"], "(2 written by tweetscore); check"),
        (["empty", "empty/*", "empty/?", "empty"], "in empty, empty/*, empty/? and others; "),
    ],
)
def test_no_file_at_all_is_an_error(here: Path, arguments: list[str], words: str) -> None:
    """A night without input is an error for cron, with what was skipped."""
    Path("empty").mkdir()
    touch("in/notes.txt", "in/x.scored.csv")
    with pytest.raises(InputMissing) as caught:
        find(*arguments)
    assert words in str(caught.value)


def test_a_directory_that_is_not_there_is_an_error_of_its_own(here: Path) -> None:
    """What can be found is found all the same."""
    touch("in/x.csv")
    inputs = find("none/*.csv", "in", "none/**")
    assert inputs.files == (Path("in/x.csv"),)
    ((directory, error),) = inputs.unreadable
    assert directory == Path("none")
    assert str(error) == "none does not exist; check the name"


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError(13, "Permission denied"), InputMissing, "cannot be read: permission"),
        (OSError(5, "Input/output error"), StorageError, "reading in/closed failed: input/output"),
    ],
)
def test_a_directory_that_cannot_be_read_is_told_and_the_others_are_searched(
    here: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, kind: type, words: str
) -> None:
    """Once, though it is looked into twice; as root, who may read all, only a stub can show it."""
    touch("in/closed/x.csv", "in/open/y.csv")
    real = os.scandir

    @contextmanager
    def scandir(path: Any) -> Iterator[Any]:
        if Path(path).name == "closed":
            raise error
        with real(path) as entries:
            yield entries

    monkeypatch.setattr(os, "scandir", scandir)
    inputs = find("in")
    assert inputs.files == (Path("in/open/y.csv"),)
    ((directory, failure),) = inputs.unreadable
    assert directory == Path("in/closed")
    assert type(failure) is kind
    assert words in str(failure)


def test_the_columns_of_a_path_are_those_of_its_last_directories() -> None:
    """key=value, one below the other; a directory further up says nothing about the rows."""
    path = Path("/a=b/lake/year=2026/month=11/x.parquet")
    assert partition_keys(path) == ("year", "month")
    assert partition_keys(Path("/lake/x.parquet")) == ()
