import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from scorer.cli.summary import _moved, rows_by_label
from scorer.monitor.report_types import ReportedComparison
from scorer.store.paths import report_path

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}
UNLIKE = "is complete, but these texts look unlike the model's own: 100 % are "
LANGUAGE = "). Is it another language, or another kind of text? To see more: tweetscore report "


def test_a_large_drift_is_one_warning(
    invoke: Invoke, unlike: Path, baseline_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved and how far; the run is a success, and silent where it is to be."""
    call = ("run", unlike, "--model", baseline_bundle, "--no-incremental")
    result = invoke(*call, env=CPU)
    _, warning = result.stderr.splitlines()
    assert warning.startswith(f"tweetscore: warning: {unlike.with_name('unlike.scored.csv')} ")
    assert UNLIKE in warning
    assert ", the texts are shorter (drift as PSI: labels " in warning
    assert ", lengths " in warning
    scored = unlike.with_name("unlike.scored.csv")
    assert warning.endswith(f"{LANGUAGE}{scored} -o page.html")
    assert result.exit_code == 0
    monkeypatch.chdir(unlike.parent)
    _, _, pasted = warning.partition("To see more: tweetscore ")
    assert invoke(*shlex.split(pasted)).exit_code == 0
    assert Path("page.html").exists()
    quiet = invoke(*call, "-q", env=CPU)
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_what_drifted_further_than_was_allowed_exits_3(
    invoke: Invoke, unlike: Path, baseline_bundle: Path
) -> None:
    """Also with -q, after publishing, and again where nothing is left to do."""
    call = ("run", "-q", unlike, "--model", baseline_bundle, "--fail-on-drift", "0.25")
    for _ in range(2):
        result = invoke(*call, env=CPU)
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"tweetscore: {unlike.with_name('unlike.scored.csv')} {UNLIKE}")
        assert f", outside --fail-on-drift{LANGUAGE}" in line
        assert result.exit_code == 3
    scored = unlike.with_name("unlike.scored.csv")
    assert len(scored.read_text().splitlines()) == 601
    assert json.loads(report_path(scored).read_text())["exit_code"] == 3
    verified = invoke("verify", scored, "--model", baseline_bundle)
    assert verified.exit_code == 0, verified.output


def test_a_drift_does_not_hide_a_failure(
    invoke: Invoke, unlike: Path, baseline_bundle: Path
) -> None:
    """Whichever file comes first, the exit code is the failed one's."""
    broken = unlike.with_name("broken.csv")
    broken.write_text("words\nhi\n")
    for names in ((unlike, broken), (broken, unlike)):
        result = invoke(
            "run", *names, "--model", baseline_bundle, "--fail-on-drift", "0.25", env=CPU
        )
        assert result.exit_code == 65
        assert UNLIKE in result.stderr


def test_of_many_files_those_that_drifted_are_counted(
    invoke: Invoke, unlike: Path, baseline_bundle: Path
) -> None:
    """A line for each only where it fails the run."""
    many = unlike.with_name("many")
    many.mkdir()
    for number in range(11):
        shutil.copy(unlike, many / f"{number:02}.csv")
    call = ("run", many, "--model", baseline_bundle)
    (total,) = invoke(*call, env=CPU).stderr.splitlines()
    assert "11 files scored (6,600 rows), 0 up to date, 0 failed, 11 drifted; 6,600 " in total
    result = invoke(*call, "--fail-on-drift", "0.25", env=CPU)
    *each, total = result.stderr.splitlines()
    assert len(each) == 11
    assert total.endswith("0 files scored (0 rows), 11 up to date, 0 failed, 11 drifted")
    assert result.exit_code == 3


def test_the_json_log_has_the_indices(invoke: Invoke, unlike: Path, baseline_bundle: Path) -> None:
    """A warning, or an error with the exit code; the file's own line has that code too."""
    call = ("run", unlike, "--model", baseline_bundle, "--log-format", "json")
    file, drift, total = map(json.loads, invoke(*call, env=CPU).stderr.splitlines())
    assert (drift["level"], drift["event"], file["exit_code"]) == ("warning", "drift", 0)
    assert drift["drift"]["labels"] > 0.25
    assert (total["drifted"], total["exit_code"]) == (1, 0)
    again = invoke(*call, "--fail-on-drift", "0.25", env=CPU)
    file, drift, total = map(json.loads, again.stderr.splitlines())
    assert (drift["level"], drift["exit_code"], file["exit_code"]) == ("error", 3, 3)
    assert (total["drifted"], total["exit_code"]) == (1, 3)


def test_a_bound_without_a_baseline_is_one_line(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path
) -> None:
    """The model is not usable for what was asked: 78, and no output."""
    result = invoke("run", tweets, "--model", tiny_bert_bundle, "--fail-on-drift", "0.25", env=CPU)
    assert result.exit_code == 78
    (line,) = result.stderr.splitlines()
    assert line.startswith("tweetscore: drift cannot be measured: the model tiny-bert")
    assert not tweets.with_name("tweets.scored.csv").exists()


def test_a_bound_is_a_number_above_0(invoke: Invoke, tweets: Path) -> None:
    for bound in ("0", "-1", "much", "nan", "inf"):
        assert invoke("run", tweets, "--fail-on-drift", bound).exit_code == 2


def test_of_the_embedded_model_the_language_is_named(programs: Path, tmp_path: Path) -> None:
    """Spanish in, and the warning says what the model reads and how its answers differ."""
    rows = [f"la película de hoy fue una maravilla número {n} de este año" for n in range(500)]
    (tmp_path / "es.csv").write_text("text\n" + "\n".join(rows) + "\n", "utf-8")
    command = [str(programs / "tweetscore"), "run", str(tmp_path / "es.csv")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (_, warning) = done.stderr.splitlines()
    assert "the texts are longer" in warning
    assert "Is it another language, or another kind of text? The model reads English." in warning


def test_what_has_moved_is_said_before_and_now() -> None:
    """Words that the model does not know as a share; scores and lengths are higher or lower."""

    def words(name: str, before: list[int], now: list[int]) -> str:
        return _moved(name, ReportedComparison(1.0, [], before, now))

    assert words("unknown_tokens", [99, 1], [88, 12]) == (
        "12.0 % of the words are unknown to the model instead of 1.0 %"
    )
    assert words("scores", [1, 9], [9, 1]) == "the model is less sure of its answers"
    assert words("scores", [9, 1], [1, 9]) == "the model is more sure of its answers"
    assert words("lengths", [1, 9], [9, 1]) == "the texts are shorter"


def test_a_label_that_begins_with_a_digit_is_quoted() -> None:
    """Its number would be read with it."""
    assert rows_by_label([("1 star", 3), ("good", 1)]) == ['3 "1 star" (75.0 %)', "1 good (25.0 %)"]
