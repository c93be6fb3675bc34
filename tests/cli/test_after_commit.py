"""A failure after the commit is a warning: the output is complete, and the exit code is 0."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.cli.meter import Meter
from scorer.cli.progress import Bar, closed_quietly
from scorer.records import Progress
from scorer.store.paths import report_path

Invoke = Callable[..., Result]
Shell = Callable[[str], subprocess.CompletedProcess[str]]
CPU = {"TWEETSCORE_DEVICE": "builtin"}
HEAD = "id,text,label,score\n"


@pytest.fixture
def line(tweets: Path, tiny_bert_bundle: Path) -> str:
    """Return a call for the shell; its output is not there yet."""
    return f"$T run {tweets.name} -o out.csv --device builtin --model {tiny_bert_bundle}"


def test_a_name_of_metrics_that_is_no_text_is_refused_before_any_work(
    shell: Shell, line: str, tmp_path: Path
) -> None:
    """It is a label in the file, which is UTF-8."""
    done = shell(f"{line} --metrics-file \"$(printf 'm\\377.prom')\"")
    assert done.returncode == 2
    assert done.stderr.endswith(
        ".prom is no name for --metrics-file: it is not UTF-8; choose another name\n"
    )
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("error", [ValueError("odd"), RuntimeError("odd"), OSError(28, "odd")])
def test_metrics_that_fail_in_any_way_are_a_warning(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:  # fmt: skip
    """Also where it is a bug of ours or of the library."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("scorer.monitor.metrics.replace_bytes", fail)
    prom = tweets.with_name("x.prom")
    words = ("run", tweets, "--model", tiny_bert_bundle, "--metrics-file", prom)
    result = invoke(*words, env=CPU)
    assert result.exit_code == 0
    assert f"tweetscore: warning: {prom} is not written: {error}\n" in result.stderr


def test_metrics_are_not_written_through_a_link(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """Under the name that they have until they are complete; what is replaced keeps its mode."""
    (victim := tweets.with_name("victim")).write_text("precious")
    (prom := tweets.with_name("x.prom")).touch(mode=0o600)
    tweets.with_name(".x.prom.tweetscore.tmp").symlink_to(victim)
    words = ("run", tweets, "--model", tiny_bert_bundle, "--metrics-file", prom)
    assert invoke(*words, env=CPU).exit_code == 0
    assert "tweetscore_run_success" in prom.read_text()
    assert prom.stat().st_mode & 0o777 == 0o600
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "2>&1 >/dev/null | true; exit 0"])
def test_what_cannot_be_said_is_no_failure(
    shell: Shell, line: str, tmp_path: Path, stderr: str
) -> None:
    """A log on a full disk, or on a closed pipe."""
    assert shell(f"{line} {stderr}").returncode == 0
    assert (tmp_path / "out.csv").read_text().startswith(HEAD)
    assert report_path(tmp_path / "out.csv").is_file()


def test_the_other_files_have_their_turn_where_nothing_can_be_said(
    shell: Shell, line: str, tmp_path: Path
) -> None:
    """A full log does not end a run between two files."""
    (tmp_path / "more.csv").write_text("id,text\n1,hello\n")
    several = line.replace("-o out.csv", "more.csv -o out")
    assert shell(f"{several} 2>/dev/full").returncode == 0
    assert {path.name for path in (tmp_path / "out").glob("*.scored.csv")} == {
        "more.scored.csv",
        "tweets.scored.csv",
    }


class GoneTerminal:
    """A bar on a terminal that was closed."""

    disable = False

    def fail(self, **_: object) -> None:
        """Write to it."""
        raise OSError(5, "Input/output error")

    refresh = clear = close = fail


def test_a_terminal_that_is_gone_ends_no_run() -> None:
    """What a bar has to show is nothing that a run needs."""
    bar = GoneTerminal()
    with closed_quietly(bar) as shown:
        drawn = Bar(Meter(lambda _: 3, 1, {}, in_rows=True), shown)
        drawn.take(Progress(Path("a.csv"), "score", 3))
        with drawn.finished(Path("a.csv")):
            pass


def gigabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (os.mkfifo, "is a pipe, not a regular file"),
        (gigabyte, "has 1,073,741,824 bytes"),
    ],
    ids=["pipe", "gigabyte"],
)
def test_a_configuration_is_a_file_of_sane_size(
    invoke: Invoke, tweets: Path, monkeypatch: pytest.MonkeyPatch,
    made: Callable[[Path], None], reason: str,
) -> None:  # fmt: skip
    """78, at once."""
    monkeypatch.chdir(tweets.parent)
    made(Path("tweetscore.toml"))
    result = invoke("run", tweets)
    assert result.exit_code == 78
    assert reason in result.stderr
    assert result.stderr.endswith("; name a file with --config, or none: --config /dev/null\n")
