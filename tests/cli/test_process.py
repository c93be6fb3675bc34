"""The real program in the environments that cron and service managers give it."""

import os
import pty
import signal
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from scorer.threads import available_cpus
from tests.places import names

Shell = Callable[[str], subprocess.CompletedProcess[str]]

ENVIRONMENTS = {
    "stdin closed": "{} <&-",
    "stderr closed": "{} 2>&-",
    "stdout closed": "{} >&-",
    "all closed": "{} <&- >&- 2>&-",
    "C locale": "LC_ALL=C {}",
    "home unset, read-only directory": "cd / && {}",
}


@pytest.mark.parametrize("form", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_it_runs_where_cron_runs_it(
    shell: Shell, tweets: Path, tiny_bert_bundle: Path, form: str
) -> None:
    """Whatever stream or variable is missing, the output is the same."""
    tweets.write_text("text\nstuck 😀 again\nmañana\n", "utf-8")
    command = f"$T run {tweets} -q --device builtin --model {tiny_bert_bundle}"
    done = shell(form.format(command))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    scored = pl.read_csv(tweets.parent / "tweets.scored.csv")
    assert scored["text"].to_list() == ["stuck 😀 again", "mañana"]


def test_a_terminal_gets_a_bar(program: Path, tweets: Path, tiny_bert_bundle: Path) -> None:
    """On a terminal a bar moves while rows are scored, and the summary stays."""
    terminal, stderr = pty.openpty()
    termios.tcsetwinsize(stderr, (25, 200))
    command = [program, "run", tweets, "--device", "builtin", "--model", tiny_bert_bundle]
    subprocess.run([str(word) for word in command], stderr=stderr, timeout=120, check=True)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(stderr)
    os.close(terminal)
    assert " of 3 rows" in shown
    assert shown.rstrip().rpartition("\r")[2].startswith(f"tweetscore: {tweets.parent}")


def test_an_error_needs_no_stderr(shell: Shell) -> None:
    """With stderr closed the exit code is still the right one."""
    assert shell("$T run missing.csv 2>&-").returncode == 66


@pytest.mark.parametrize("words", ["--version", "--help", "run --help", "model --help"])
def test_a_full_disk_under_stdout_is_one_line(shell: Shell, words: str) -> None:
    """An answer that cannot be written is an I/O error without a traceback."""
    done = shell(f"$T {words} >/dev/full")
    assert done.returncode == 74
    assert done.stderr == "tweetscore: ENOSPC: No space left on device\n"


def test_an_error_needs_no_space_on_stderr(shell: Shell) -> None:
    """With stderr on a full disk the exit code is still the right one."""
    assert shell("$T run missing.csv 2>/dev/full").returncode == 66


def test_a_usage_error_that_cannot_be_printed_is_an_io_error(shell: Shell) -> None:
    """A usage message on a full disk fails outside of any command."""
    assert shell("$T --colour 2>/dev/full").returncode == 74


def test_a_reader_that_goes_away_is_no_news(shell: Shell, tiny_bert_bundle: Path) -> None:
    """`tweetscore text ... | true` prints no traceback."""
    line = f"{{ $T text hi --device builtin --model {tiny_bert_bundle}; echo $? >&2; }} | sleep 0"
    assert shell(line).stderr == "141\n"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
@pytest.mark.parametrize("threads", [1, 4 * available_cpus()], ids=["one thread", "the most"])
def test_an_interrupted_run_can_be_taken_up(
    program: Path,
    tmp_path: Path,
    tiny_bert_bundle: Path,
    number: signal.Signals,
    code: int,
    threads: int,
) -> None:
    """A run that is stopped half-way says so, and leaves what it has scored and its report.

    With any number of threads: and no process of it is left.
    """
    path = tmp_path / "long.csv"
    path.write_text("text\n" + "".join(f"song number {n} again\n" for n in range(300_000)))
    small = ["--chunk-rows", "500", "--device", "builtin", "--model", str(tiny_bert_bundle)]
    process = subprocess.Popen(
        [program, "run", path, *small, "--threads", str(threads)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        state = tmp_path / ".tweetscore/long.scored.csv.state"
        # The first line counts when the disk has it, which is sure when the second is there.
        while not any(path.read_bytes().count(b"\n") > 1 for path in state.glob("journal")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert stderr == (
        "tweetscore: interrupted; nothing is half-written, run the same command again\n"
    )
    assert names(tmp_path) == {
        "long.csv", ".tweetscore/long.scored.csv.run.failed.json",
        ".tweetscore/long.scored.csv.state", ".tweetscore/long.scored.csv.lock",
    }  # fmt: skip
    assert {each.name for each in state.iterdir()} >= {"plan.json", "journal"}
