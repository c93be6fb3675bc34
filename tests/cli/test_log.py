import json
import os
import pty
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scorer.cli.log import log_message
from scorer.run import pipeline

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}


def events(stderr: str) -> list[dict[str, Any]]:
    """Return what was logged; every line must be an object with the common members."""
    found = [json.loads(line) for line in stderr.splitlines()]
    for event in found:
        assert datetime.fromisoformat(event.pop("time")).utcoffset() == timedelta(0)
        assert event["level"] in {"info", "warning", "error"}
        assert event["message"]
    return found


@pytest.fixture
def logged(invoke: Invoke, tiny_bert_bundle: Path) -> Callable[..., list[dict[str, Any]]]:
    """Run `tweetscore run` with a log in JSON, and return its events and its exit code."""

    def run(*args: str | Path) -> list[dict[str, Any]]:
        call = ["run", "--log-format", "json", "--model", tiny_bert_bundle, *args]
        result = invoke(*call, env=CPU)
        assert result.stdout == ""
        return [*events(result.stderr), {"exit_code": result.exit_code}]

    return run


def test_a_file_is_an_object_with_its_figures(
    logged: Callable[..., list[dict[str, Any]]], tweets: Path
) -> None:
    """Input, output, rows, labels, seconds and device stand beside the line for people."""
    file, total, end = logged(tweets)
    out = str(tweets.parent / "tweets.scored.csv")
    labels = file["labels"]
    assert list(labels) == ["negative", "neutral", "positive"]
    assert sum(labels.values()) == 2
    assert file.pop("message").startswith(f"{out}: 3 rows: 2 negative (100.0 %), ")
    assert 0 < file.pop("seconds") < 600
    assert file == {
        "level": "info", "event": "file", "input": str(tweets), "output": out,
        "outcome": "scored", "rows": 3, "labels": labels, "blank": 1, "rejected": 0,
        "device": "builtin", "precision": "fp32", "exit_code": 0,
    }  # fmt: skip
    assert total == {
        "level": "info", "event": "total",
        "message": "1 file scored (3 rows), 0 up to date, 0 failed", "scored": 1, "rows": 3,
        "up_to_date": 0, "failed": 0, "removed": 0, "drifted": 0, "skipped": 0, "exit_code": 0,
    }  # fmt: skip
    assert end == {"exit_code": 0}
    again, *_ = logged(tweets)
    assert again.pop("message") == f"{out} is up to date: 3 rows"
    assert again == {
        "level": "info", "event": "file", "input": str(tweets), "output": out,
        "outcome": "up to date", "rows": 3, "labels": labels, "blank": 1, "rejected": 0,
        "exit_code": 0,
    }  # fmt: skip


def test_labels_that_are_written_alike_are_counted_together(
    logged: Callable[..., list[dict[str, Any]]], tweets: Path
) -> None:
    """No row is missing from the sum of the labels."""
    file, *_ = logged(tweets, "--label-names", "no,yes,yes", "--no-incremental")
    assert sum(file["labels"].values()) + file["blank"] == file["rows"] == 3
    assert set(file["labels"]) == {"no", "yes"}


def test_every_one_of_many_files_is_an_object(
    logged: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    """Programs count for themselves: no file is left out, and none for sharing an error."""
    for number in range(12):
        (tmp_path / f"{number:02}.csv").write_text("tweet\nhi\n" if number else "text\nhi\n")
    (tmp_path / "old.scored.csv").touch()
    warning, *files, total, end = logged(*sorted(tmp_path.glob("*.csv")))
    assert (warning["level"], warning["event"]) == ("warning", "warning")
    assert {file["event"] for file in files} == {"file"}
    assert [file["outcome"] for file in files].count("failed") == 11
    failed = next(file for file in files if file["input"] == str(tmp_path / "05.csv"))
    assert failed["message"].startswith(f"{tmp_path / '05.csv'} has no column 'text'")
    assert (failed["level"], failed["exit_code"]) == ("error", 65)
    assert failed["output"] == str(tmp_path / "05.scored.csv")
    assert (total["scored"], total["failed"], total["exit_code"]) == (1, 11, 65)
    assert end == {"exit_code": 65}
    shared = logged(tmp_path, "--encoding", "klingon")
    assert len([event for event in shared if event.get("event") == "file"]) == 12


def test_quiet_leaves_what_is_wrong(
    logged: Callable[..., list[dict[str, Any]]], tweets: Path
) -> None:
    """With -q a good run logs nothing, and a bad one its error."""
    assert logged(tweets, "-q") == [{"exit_code": 0}]
    error, end = logged(tweets, "-q", "--text-column", "body")
    assert error["event"] == "file"
    assert end["exit_code"] == error["exit_code"] == 65


class StubRun:
    """A pipeline that ends with an error at once."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __call__(self, *_: Any, **__: Any) -> None:
        """End."""
        raise self._error


def test_what_ends_the_run_is_an_object(
    invoke: Invoke, tweets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the whole run, a bug and an interrupt; the traceback is a member of it."""
    missing = invoke("run", tweets, "--model", tweets.parent, "--log-format", "json")
    *_, last = events(missing.stderr)
    assert (last["event"], last["level"], last["exit_code"]) == ("error", "error", 78)
    assert "tweetscore.json cannot be read" in last["message"]

    for crash, code in ((ValueError("oops"), 70), (KeyboardInterrupt(), 130)):
        monkeypatch.setattr(pipeline, "run", StubRun(crash))
        result = invoke("run", tweets, "--log-format", "json", "--debug")
        (event,) = events(result.stderr)
        assert result.exit_code == event["exit_code"] == code
        assert event["traceback"].startswith("Traceback (most recent call last):\n")


CALLS = {
    "flag": (["run", "--colour", "--log-format", "json"], {}),
    "flag with =": (["run", "--log-format=json", "--colour", "--config", "/dev/null"], {}),
    "no input": (["run", "--log-format", "json"], {}),
    "wrong value": (["run", "a.csv", "--limit", "0", "--log-format", "json"], {}),
    "environment": (["run", "--colour"], {"TWEETSCORE_LOG_FORMAT": "json"}),
}


@pytest.mark.parametrize(("call", "env"), CALLS.values(), ids=CALLS)
def test_a_wrong_call_is_an_object(invoke: Invoke, call: list[str], env: dict[str, str]) -> None:
    """Where the format can be made out, a usage error has it, whatever the order of the words."""
    result = invoke(*call, env=env)
    (event,) = events(result.stderr)
    assert (event["level"], event["event"]) == ("error", "usage")
    assert result.exit_code == event["exit_code"] == 2


def test_a_broken_configuration_is_an_object(invoke: Invoke, tmp_path: Path) -> None:
    """The format of the call holds though its other options cannot be found out."""
    path = tmp_path / "t.toml"
    path.write_text("[run]\nlog-format = 'xml'\n")
    result = invoke("run", "a.csv", "--config", path, "--log-format", "json")
    (event,) = events(result.stderr)
    assert result.exit_code == event["exit_code"] == 78
    path.write_text("[run]\nlog-format = 'json'\n")
    result = invoke("run", tmp_path / "missing.csv", "--config", path)
    assert events(result.stderr)[-1]["exit_code"] == 66
    result = invoke("run", "a.csv", "--config", path, "--limit", "0", "--log-format", "text")
    assert result.stderr.startswith("tweetscore: --limit: '0' is not ")


def test_text_is_the_format_of_all_that_is_not_a_run(invoke: Invoke) -> None:
    """A variable that is meant for the nightly run changes no other command."""
    env = {"TWEETSCORE_LOG_FORMAT": "json"}
    assert invoke("verify", "missing.csv", env=env).stderr.startswith("tweetscore: ")
    assert invoke("--colour", env=env).stderr.startswith("Usage: ")


def test_standard_streams_are_called_so(shell: Any, tiny_bert_bundle: Path) -> None:
    """No message names the temporary file that it is kept in."""
    done = shell(
        "printf 'text\\nhi\\n' | $T run - --log-format json --device builtin "
        f"--model {tiny_bert_bundle}"
    )
    file, _ = events(done.stderr)
    assert (file["input"], file["output"]) == ("standard input", "standard output")
    assert done.stdout.startswith("text,label,score\nhi,")


def test_a_name_that_is_no_utf8_is_escaped(
    logged: Callable[..., list[dict[str, Any]]], tweets: Path
) -> None:
    """Every line is valid Unicode, which strict readers ask for."""
    odd = tweets.rename(tweets.parent / os.fsdecode(b"\xff.csv"))
    file, *_ = logged(odd)
    assert file["input"] == str(tweets.parent / "\\udcff.csv")
    assert file["message"].startswith(str(tweets.parent / "\\udcff.scored.csv"))


def test_a_terminal_gets_no_bar_among_objects(
    program: Path, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """Every line is an object there too."""
    terminal, stderr = pty.openpty()
    options = ["--device", "builtin", "--model", tiny_bert_bundle, "--log-format", "json"]
    command = [str(word) for word in (program, "run", tweets, *options)]
    subprocess.run(command, stderr=stderr, timeout=120, check=True)
    shown = os.read(terminal, 1 << 16).decode()
    os.close(stderr)
    os.close(terminal)
    assert [event["event"] for event in events(shown)] == ["file", "total"]


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\nb", "a\u202eb"])
def test_a_name_ends_no_line_and_moves_no_cursor(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Whoever names a file or an object does not write on the terminal."""
    log_message("info", "file", f"{name}.csv: 1 row")
    line = capsys.readouterr().err
    assert line == f"tweetscore: {name.encode('unicode_escape').decode()}.csv: 1 row\n"
    assert line[:-1].isprintable()
