"""Paths that lead nowhere, to a directory, or to what we may not read."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.cli.common_options import FilePath
from tests.cli.test_numbers import all_commands

Invoke = Callable[..., Result]
TOO_LONG = "a" * 300 + ".csv"


@pytest.fixture
def run(invoke: Invoke, tiny_bert_bundle: Path) -> Invoke:
    """Run the command `run` with a small model."""
    return lambda *words, **how: invoke(
        "run", *words, "--model", tiny_bert_bundle, "--device", "builtin", **how
    )


@pytest.fixture
def folder(tweets: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current directory, which holds tweets.csv."""
    monkeypatch.chdir(tweets.parent)
    return tweets.parent


def test_every_path_of_every_command_may_not_be_empty(invoke: Invoke) -> None:
    """An empty variable in a script never means the current directory."""
    asked = 0
    for name, command in all_commands():
        for param in command.params:
            if not isinstance(param.type, FilePath):
                assert "Path" not in type(param.type).__name__ or param.type.exists  # type: ignore[attr-defined]
                continue
            option = [param.opts[0], ""] if param.opts[0].startswith("-") else [""]
            result = invoke(*name.split(), *option)
            (line,) = result.stderr.splitlines()
            assert (result.exit_code, "'' is no path;" in line) == (2, True), (name, option, line)
            asked += 1
    assert asked > 15


def test_an_empty_input_is_not_the_current_directory(folder: Path, run: Invoke) -> None:
    """`run "$FILE"` with no such variable scores nothing."""
    result = run("")
    assert result.exit_code == 2
    assert result.stderr == "tweetscore: INPUT...: '' is no path; leave it out, or name one\n"
    assert [path.name for path in folder.iterdir()] == ["tweets.csv"]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("missing.csv", "missing.csv does not exist; check the name"),
        ("missing/a.csv", "missing/a.csv does not exist; check the name"),
        ("tweets.csv/a.csv", "tweets.csv/a.csv does not exist; check the name"),
        ("dangling.csv", "dangling.csv does not exist; check the name"),
        ("loop.csv", "loop.csv cannot be found: too many levels of symbolic links; check the name"),
        (TOO_LONG, f"{TOO_LONG} cannot be found: file name too long; check the name"),
        ("a\nb.csv", "a\\nb.csv does not exist; check the name"),
        ("empty-directory", "no file to score in empty-directory; check the names"),
    ],
    ids=lambda text: text[:20],
)
def test_an_input_that_is_not_there_fails_alone(
    folder: Path, run: Invoke, named: str, says: str
) -> None:
    """It is 66 and one line; the others are scored, whatever is wrong with its place."""
    (folder / "dangling.csv").symlink_to("gone.csv")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "empty-directory").mkdir()
    alone = run(named)
    assert alone.exit_code == 66
    (line,) = alone.stderr.splitlines()
    assert line.startswith(f"tweetscore: {says}")
    if named != "empty-directory":  # among others, it is no fault of the call
        among = run("tweets.csv", named)
        assert among.exit_code == 66
        assert f"tweetscore: {says}" in among.stderr.splitlines()
    assert (folder / "tweets.scored.csv").exists() == (named != "empty-directory")


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs util-linux")
@pytest.mark.parametrize("closed", ["no.csv", "closed/no.csv"])
def test_an_input_that_may_not_be_read_fails_alone(
    folder: Path, program: Path, tiny_bert_bundle: Path, closed: str
) -> None:
    """It is 66, not a wrong call, and the others are scored."""
    (folder / "closed").mkdir()
    shutil.copy("tweets.csv", closed)
    Path("no.csv" if closed == "no.csv" else "closed").chmod(0)
    words = [str(program), "run", "tweets.csv", closed, "--model", str(tiny_bert_bundle)]
    without = "--bounding-set=-dac_override,-dac_read_search"  # what root may do with any file
    command = ["setpriv", without, *words] if os.geteuid() == 0 else words
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (folder / "closed").chmod(0o700)
    assert done.returncode == 66
    assert f"{closed} cannot be read: permission denied; check its permissions" in done.stderr
    assert (folder / "tweets.scored.csv").exists()


@pytest.mark.parametrize("named", [".", "/", "..", "sub", "missing", TOO_LONG, "tweets.csv/x"])
@pytest.mark.parametrize(
    "call",
    [
        ["report", None, "-o", "page.html"],
        ["report", "tweets.scored.csv", "--compare", None, "-o", "page.html"],
        ["verify", None],
    ],
    ids=["report", "compare", "verify"],
)
def test_an_output_that_is_none_is_missing(
    folder: Path, run: Invoke, invoke: Invoke, call: list[str | None], named: str
) -> None:
    """A directory, or nothing at all, in the place of an output is 66 and one line."""
    (folder / "sub").mkdir()
    assert run("tweets.csv").exit_code == 0
    result = invoke(*(named if word is None else word for word in call))
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 66
    assert line.startswith(f"tweetscore: {named} ")
    assert not (folder / "page.html").exists()


@pytest.mark.parametrize("named", [TOO_LONG, "missing/x.csv", "tweets.csv/x.csv"])
def test_an_output_that_cannot_be_is_refused(folder: Path, run: Invoke, named: str) -> None:
    """It is 73 and one line, and nothing is written anywhere."""
    result = run("tweets.csv", "-o", named)
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 73
    assert [path.name for path in folder.iterdir()] == ["tweets.csv"]
    assert line.startswith("tweetscore: ")


def test_a_missing_input_makes_no_directory_for_its_output(folder: Path, run: Invoke) -> None:
    """What would hold the outputs of several is created for one that is there."""
    assert run("gone.csv", "lost.csv", "-o", "out").exit_code == 66
    assert not (folder / "out").exists()


@pytest.mark.parametrize("named", [TOO_LONG, ".", "missing", "tweets.csv"])
def test_a_model_that_is_none_is_invalid(folder: Path, invoke: Invoke, named: str) -> None:
    """It is 78 and one line, for every command that loads it."""
    for command in (["run", "tweets.csv"], ["text", "hi"], ["doctor"]):
        result = invoke(*command, "--model", named)
        assert result.exit_code == 78, (command, result.stderr)
        assert len(result.stderr.splitlines()) == 1
    assert invoke("model", "info", named).exit_code == 78
    assert not (folder / "tweets.scored.csv").exists()


def test_a_name_with_a_line_break_stays_on_one_line(folder: Path, run: Invoke) -> None:
    """What is said of a file is a line, whatever its name is."""
    shutil.move("tweets.csv", "two\nlines.csv")
    result = run("two\nlines.csv")
    (line,) = result.stderr.splitlines()
    assert result.exit_code == 0
    assert line.startswith("tweetscore: two\\nlines.scored.csv: ")
    assert (folder / "two\nlines.scored.csv").exists()
