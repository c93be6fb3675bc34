"""An error that a few options mend shows the whole command, and pasted it works."""

import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import Invoke

CONTENT = "id,Tweet Text\n1,I love it\n"


def pasted(stderr: str) -> list[str]:
    """Return the words after `tweetscore` of the command in an error's line."""
    (line,) = [line for line in stderr.splitlines() if "; try: " in line]
    program, *words = shlex.split(line.partition("; try: ")[2])
    assert program == "tweetscore"
    return words


@pytest.mark.parametrize("header", ["Tweet Text", " Tweet Text ", "\ufeffTweet Text", "it's text"])
def test_the_command_in_a_hint_scores_the_file(invoke: Invoke, tmp_path: Path, header: str) -> None:
    """Whatever a header's name holds."""
    path = tmp_path / "my tweets.csv"
    path.write_text(f"id,{header}\n1,I love it\n", "utf-8")
    first = invoke("run", path, "--device", "builtin", "--text-column=nosuch", "-q")
    assert first.exit_code == 65
    words = pasted(first.stderr)
    assert words[:2] == ["run", str(path)]
    assert words[2:5] == ["--device", "builtin", "-q"]
    assert invoke(*words).exit_code == 0
    assert (tmp_path / "my tweets.scored.csv").exists()


@pytest.mark.parametrize("name", [" text", "text ", "\ufefftext"])
def test_marks_that_nobody_sees_are_no_part_of_a_name(
    invoke: Invoke, tmp_path: Path, name: str
) -> None:
    """A second byte-order mark, blanks after the comma: the name is what is seen."""
    path = tmp_path / "tweets.csv"
    path.write_text(f"id,{name}\n1,I love it\n", "utf-8")
    result = invoke("run", path, "--device", "builtin", "-q")
    assert (result.exit_code, result.stderr) == (0, "")
    scored = (tmp_path / "tweets.scored.csv").read_text("utf-8")
    assert scored.startswith(f"id,{name},label,score\n1,I love it,positive,")


def test_the_exact_name_wins(invoke: Invoke, tmp_path: Path) -> None:
    """Of two names that look the same, the one that was typed."""
    path = tmp_path / "tweets.csv"
    path.write_text("text, text\nI hate it,I love it\n", "utf-8")
    result = invoke("run", path, "--device", "builtin", "-q", "--text-column", " text")
    assert result.exit_code == 0
    assert ",positive," in (tmp_path / "tweets.scored.csv").read_text("utf-8")


def test_of_several_files_the_command_is_for_the_one_that_failed(
    invoke: Invoke, tmp_path: Path
) -> None:
    """With the output that it would have had."""
    good, bad = tmp_path / "a.csv", tmp_path / "b.csv"
    good.write_text("text\nI love it\n", "utf-8")
    bad.write_text(CONTENT, "utf-8")
    out = tmp_path / "out"
    first = invoke("run", good, bad, "-o", out, "--device", "builtin", "-q")
    assert first.exit_code == 65
    words = pasted(first.stderr)
    assert words[:2] == ["run", str(bad)]
    assert invoke(*words).exit_code == 0
    assert sorted(path.name for path in out.glob("*.csv")) == ["a.scored.csv", "b.scored.csv"]


def test_of_a_directory_the_output_has_its_place_in_the_mirror(
    invoke: Invoke, tmp_path: Path
) -> None:
    """And what holds for directories only is left out; directories of outputs are made."""
    lake, mirror = tmp_path / "lake", tmp_path / "lake.scored"
    (lake / "below").mkdir(parents=True)
    (lake / "b.csv").write_text(CONTENT, "utf-8")
    call = ("run", lake, "--prune", "--device", "builtin", "-q")
    words = pasted(invoke(*call).stderr)
    assert words == [*map(str, call), "--text-column", "Tweet Text"]  # there is no other file
    (lake / "a.csv").write_text("text\nI love it\n", "utf-8")
    words = pasted(invoke(*call).stderr)
    assert words[:2] == ["run", str(lake / "b.csv")]
    assert "--prune" not in words
    assert invoke(*words).exit_code == 0
    assert sorted(path.name for path in mirror.glob("*.csv")) == ["a.scored.csv", "b.scored.csv"]
    (lake / "b.csv").rename(lake / "below" / "b.csv")
    line = invoke(*call).stderr
    made, _, command = line.partition("; try: ")[2].partition(" && ")
    assert shlex.split(made) == ["mkdir", "-p", str(mirror / "below")]
    (mirror / "below").mkdir()
    assert invoke(*shlex.split(command)[1:]).exit_code == 0
    assert (mirror / "below" / "b.scored.csv").exists()
    assert sorted(path.name for path in lake.iterdir()) == ["a.csv", "below"]


def test_a_stream_has_options_to_add(invoke: Invoke, tmp_path: Path) -> None:
    """The command before the pipe is not known."""
    path = tmp_path / "tweets.csv"
    path.write_text(CONTENT, "utf-8")
    result = invoke("run", "-", stdin=path.read_bytes())
    assert result.exit_code == 65
    assert result.stderr.rstrip().endswith("did you mean --text-column 'Tweet Text'?")
