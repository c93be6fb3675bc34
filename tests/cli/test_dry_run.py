"""`tweetscore run --dry-run`, through the real model."""

from pathlib import Path

from tests.cli.conftest import Invoke


def test_a_dry_run_says_all_and_leaves_nothing(
    invoke: Invoke, tweets: Path, tmp_path: Path
) -> None:
    result = invoke("run", tweets, "--dry-run", "--device", "builtin", "--precision", "fp32")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    scored = tmp_path / "tweets.scored.csv"
    assert lines[0] == f"{tweets} -> {scored}: 3 rows of id, text: would be scored"
    topics = [line.split(":")[0] for line in lines[1:]]
    assert topics == ["model", "appends", "runs on", "because", "probe", "time", "files"]
    assert lines[-1] == "files:   1 would be scored (3 rows), 0 up to date, 0 would fail"
    assert list(tmp_path.iterdir()) == [tweets]


def test_after_the_run_there_is_nothing_to_do(invoke: Invoke, tweets: Path) -> None:
    assert invoke("run", tweets, "-q").exit_code == 0
    result = invoke("run", tweets, "--dry-run")
    assert result.stdout.splitlines()[0].endswith(": 3 rows of id, text: is up to date")
    assert "probe" not in result.stdout.replace(str(tweets.parent), "")


def test_what_would_fail_has_the_runs_error_and_exit_code(
    invoke: Invoke, tweets: Path, tmp_path: Path
) -> None:
    result = invoke("run", tweets, "--dry-run", "--text-column", "body")
    assert result.exit_code == 65
    assert "has no column 'body'" in result.stderr
    (tmp_path / "tweets.scored.csv").write_text("somebody else's")
    result = invoke("run", tweets, "--dry-run")
    assert result.exit_code == 73
    assert "was not written by tweetscore" in result.stderr
    assert "0 would be scored (0 rows), 0 up to date, 1 would fail" in result.stdout


def test_standard_input_cannot_be_looked_at(invoke: Invoke) -> None:
    result = invoke("run", "-", "--dry-run")
    assert result.exit_code == 2
    assert "a stream cannot be looked at" in result.stderr
