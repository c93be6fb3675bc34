"""The bar, on a terminal of the test's own."""

import fcntl
import os
import pty
import re
import shutil
import struct
import termios
from pathlib import Path

import pytest

from scorer.cli.meter import Meter
from scorer.cli.progress import _line
from scorer.records import Progress

TWEETS = Path(__file__).parents[3] / "shared/data/test.csv"


def on_a_terminal(
    programs: Path, *words: str | Path, code: int = 0, size: tuple[int, int] = (40, 100)
) -> str:
    """Run the program on a terminal of so many lines and columns; return all that it shows."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        os.execv(programs / "tweetscore", ["tweetscore", *map(str, words)])  # noqa: S606 - the child becomes it
    shown = b""
    try:
        while data := os.read(terminal, 1 << 16):
            shown += data
    except OSError:  # so Linux says that nobody is at the other end any more
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code, shown
    return shown.decode()


def test_the_bar_knows_from_the_start_how_many_rows_there_are(
    programs: Path, tmp_path: Path
) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\n" + "I like it\n" * 30)
    shown = on_a_terminal(
        programs, "run", tmp_path / "a.csv", tmp_path / "b.csv", "--chunk-rows=10"
    )
    assert set(re.findall(r"\d of (\d+) rows", shown)) == {"60"}
    assert "60 of 60 rows" in shown


def test_what_is_up_to_date_is_not_waited_for(programs: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\n" + "I like it\n" * 30)
    words = ("run", tmp_path / "a.csv", tmp_path / "b.csv", "--chunk-rows=10")
    on_a_terminal(programs, *words)
    (tmp_path / "b.csv").write_text("text\n" + "I like it\n" * 40)
    totals = re.findall(r"\d of (\d+) rows", on_a_terminal(programs, *words))
    assert (totals[0], totals[-1]) == ("70", "40")


def test_of_many_files_the_files_are_counted(programs: Path, tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / f"{number}.csv").write_text("text\nI like it\n")
    shown = on_a_terminal(programs, "run", tmp_path)
    assert "file 1 of 11" in shown
    assert "11 rows, file 11 of 11" in shown
    assert "tweetscore: 11 files scored (11 rows), 0 up to date, 0 failed" in shown


def test_the_steps_before_the_first_row_have_their_words(programs: Path, tmp_path: Path) -> None:
    """Loading and checking the model take seconds, in which a bar alone would stand still."""
    (tmp_path / "a.csv").write_text("text\n" + "I like it\n" * 30)
    shown = on_a_terminal(programs, "run", tmp_path / "a.csv")
    words = re.findall(r"[-\\|/] (loading the model|reading|checking the model) ", shown)
    assert list(dict.fromkeys(words)) == ["loading the model", "reading", "checking the model"]


def test_a_terminal_without_a_size_has_the_bar(programs: Path, tmp_path: Path) -> None:
    """So the terminals of containers begin, and those that `script` makes for a job."""
    (tmp_path / "a.csv").write_text("text\n" + "I like it\n" * 30)
    shown = on_a_terminal(programs, "run", tmp_path / "a.csv", size=(0, 0))
    assert "30 of 30 rows" in shown
    assert "100%|" in shown
    assert max(len(line) for line in re.split(r"[\r\n]", shown.partition("tweetscore:")[0])) == 79


def test_a_narrow_terminal_keeps_the_remaining_time() -> None:
    """A line that is cut off, or goes on in the next one, tells less than a short one."""
    now = [0.0]
    meter = Meter(lambda _: 0, 1, {Path("a"): 5000.0}, in_rows=True, clock=lambda: now[0])
    for rows, now[0] in ((500, 1.0), (500, 2.0), (500, 3.0)):
        meter.add(Progress(Path("a"), "score", rows))
    shown = {width: _line("", meter.share, meter, width) for width in (79, 50, 39, 9)}
    assert shown == {
        79: " 30%|{bar}| 1,500 of 5,000 rows, 500 rows/s, 0:07 left",
        50: " 30% 1,500 of 5,000 rows, 500 rows/s, 0:07 left",
        39: " 30% 1,500 of 5,000 rows, 0:07 left",
        9: " 30% 1,50",
    }
    assert _line("- reading ", None, meter, 39) == "- reading 1,500 of 5,000 rows, 0:07 left"[:39]


@pytest.mark.ci
def test_a_run_of_3534_tweets_is_seen_to_move(programs: Path, tmp_path: Path) -> None:
    """A recorded terminal: at least 20 different counts of rows, a rate and a time beside them."""
    shutil.copy(TWEETS, tmp_path)
    shown = on_a_terminal(programs, "run", tmp_path / "test.csv")
    counts = re.findall(r"(\d[\d,]*) of 3,534 rows", shown)
    assert len(set(counts)) >= 20
    assert re.search(r" of 3,534 rows, [\d,]+ rows/s, \d+:\d\d left", shown)
    assert counts[-1] == "3,534"


def test_a_quiet_run_shows_nothing(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nI like it\n")
    assert on_a_terminal(programs, "run", tmp_path / "a.csv", "-q") == ""


def test_colours_are_for_terminals_and_never_with_no_color(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word warning, and the first word of an error; nothing else of a line."""
    (tmp_path / "a.txt").write_text("I like it")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    words = ("text", tmp_path / "a.txt")
    shown = on_a_terminal(programs, *words)
    assert f"tweetscore: \x1b[33mwarning:\x1b[0m {tmp_path / 'a.txt'} is scored" in shown
    shown = on_a_terminal(programs, "text", code=2)
    assert shown.startswith("\x1b[31m\x1b[1mtweetscore:\x1b[0m there are no texts; ")
    for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert "\x1b[3" not in on_a_terminal(programs, *words)
