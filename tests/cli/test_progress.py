"""The bar, on a terminal of the test's own."""

import fcntl
import os
import pty
import re
import struct
import termios
from pathlib import Path


def on_a_terminal(programs: Path, *words: str | Path) -> str:
    """Run the program on a terminal of a hundred columns, and return all that it shows."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        os.execv(programs / "tweetscore", ["tweetscore", *map(str, words)])  # noqa: S606 - the child becomes it
    shown = b""
    try:
        while data := os.read(terminal, 1 << 16):
            shown += data
    except OSError:  # so Linux says that nobody is at the other end any more
        pass
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, shown
    return shown.decode()


def test_the_bar_knows_from_the_start_how_many_rows_there_are(
    programs: Path, tmp_path: Path
) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\n" + "I like it\n" * 30)
    shown = on_a_terminal(
        programs, "run", tmp_path / "a.csv", tmp_path / "b.csv", "--chunk-rows=10"
    )
    assert set(re.findall(r"\d/(\d+)\.0 ", shown.replace(".0/", "/"))) == {"60"}


def test_what_is_up_to_date_is_not_waited_for(programs: Path, tmp_path: Path) -> None:
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("text\n" + "I like it\n" * 30)
    words = ("run", tmp_path / "a.csv", tmp_path / "b.csv", "--chunk-rows=10")
    on_a_terminal(programs, *words)
    (tmp_path / "b.csv").write_text("text\n" + "I like it\n" * 40)
    totals = re.findall(r"\d/(\d+)\.0 ", on_a_terminal(programs, *words).replace(".0/", "/"))
    assert (totals[0], totals[-1]) == ("70", "40")


def test_of_many_files_the_files_are_counted(programs: Path, tmp_path: Path) -> None:
    for number in range(11):
        (tmp_path / f"{number}.csv").write_text("text\nI like it\n")
    shown = on_a_terminal(programs, "run", tmp_path)
    assert re.search(r"\d+/11 \[", shown)
    assert "tweetscore: 11 files scored (11 rows), 0 up to date, 0 failed" in shown


def test_a_quiet_run_shows_nothing(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nI like it\n")
    assert on_a_terminal(programs, "run", tmp_path / "a.csv", "-q") == ""
