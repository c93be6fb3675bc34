import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scorer.installation import install
from tests.monitor.prom_helpers import samples, value

Invoke = Callable[..., Result]
CPU = {"TWEETSCORE_DEVICE": "builtin"}


@pytest.fixture
def prom(tmp_path: Path) -> Path:
    return tmp_path / "nightly.prom"


def test_a_run_leaves_its_metrics(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, prom: Path
) -> None:
    """The rows of each label, and what ran."""
    call = ("run", tweets, "--model", tiny_bert_bundle, "--metrics-file", prom)
    assert invoke(*call, env=CPU).exit_code == 0
    assert sum(samples(prom)["tweetscore_run_rows"].values()) == 2
    assert value(prom, "run_success") == 1
    (info,) = samples(prom)["tweetscore_run_info"]
    assert {"CPUExecutionProvider", "fp32", tiny_bert_bundle.name} <= set(info)
    assert invoke(*call, env=CPU).exit_code == 0
    assert value(prom, "run_files", "up_to_date") == 1
    assert "tweetscore_run_rows" not in samples(prom)


def test_a_drift_that_exits_3_is_counted(
    invoke: Invoke, unlike: Path, baseline_bundle: Path, prom: Path
) -> None:
    """The outputs are complete; that one of them drifted is another figure."""
    call = ("run", unlike, "--model", baseline_bundle, "--metrics-file", prom)
    assert invoke(*call, "--fail-on-drift", "0.25", env=CPU).exit_code == 3
    assert value(prom, "run_success") == 1
    assert value(prom, "run_exit_code") == 3
    assert value(prom, "run_drifted_files") == 1
    assert value(prom, "run_drift_psi", "labels") > 0.25


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [("missing.csv", (), 66), ("tweets.csv", ("--text-column", "body"), 65),
     ("tweets.csv", ("--label-column", "id"), 2), ("tweets.csv", ("--model", "nowhere"), 78)],
)  # fmt: skip
def test_a_run_that_fails_leaves_metrics_too(
    invoke: Invoke, tweets: Path, prom: Path, name: str, words: tuple[str, ...], code: int
) -> None:
    """Whether a file failed, or the run before its first one."""
    result = invoke("run", tweets.with_name(name), *words, "--metrics-file", prom)
    assert result.exit_code == code
    assert value(prom, "run_success") == 0
    assert value(prom, "run_exit_code") == code


def test_an_interrupted_run_leaves_metrics_too(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, prom: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Ctrl-C in the middle: 130, and no success."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scorer.run.one_file.write_commit_record", interrupt)
    call = ("run", tweets, "--model", tiny_bert_bundle, "--metrics-file", prom)
    assert invoke(*call, env=CPU).exit_code == 130
    assert value(prom, "run_exit_code") == 130


def test_a_missing_library_is_one_line_before_any_work(
    invoke: Invoke, tweets: Path, prom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """78, and the pip line."""
    real: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        "scorer.monitor.metrics.find_spec",
        lambda name: None if name == "prometheus_client" else real(name),
    )
    result = invoke("run", tweets, "--metrics-file", prom)
    assert result.exit_code == 78
    assert result.stderr == (
        "tweetscore: --metrics-file needs the library prometheus-client, which is not installed; "
        f"try: {install('metrics')}\n"
    )
    assert [file.name for file in tweets.parent.iterdir()] == ["tweets.csv"]


def test_a_name_that_the_collector_does_not_read_is_refused(invoke: Invoke, tweets: Path) -> None:
    """Nor can it be the input, or an output."""
    result = invoke("run", tweets, "--metrics-file", tweets)
    assert result.exit_code == 2
    assert "let it end in .prom" in result.stderr
    assert tweets.read_text("utf-8").startswith("id,text\n")


def test_a_directory_that_is_missing_is_an_error_before_any_work(
    invoke: Invoke, tweets: Path
) -> None:
    result = invoke("run", tweets, "--metrics-file", tweets.parent / "no" / "x.prom")
    assert result.exit_code == 73
    assert "is no directory to write in; create it" in result.stderr
    assert [file.name for file in tweets.parent.iterdir()] == ["tweets.csv"]


def test_metrics_that_cannot_be_written_are_a_warning(
    invoke: Invoke, tweets: Path, tiny_bert_bundle: Path, prom: Path
) -> None:
    """The output is complete: metrics that cannot be written do not change that."""
    prom.mkdir()
    result = invoke(
        "run", "-q", tweets, "--model", tiny_bert_bundle, "--metrics-file", prom, env=CPU
    )
    assert result.exit_code == 0
    assert result.stderr.startswith(f"tweetscore: warning: {prom} is not written: ")
    assert tweets.with_name("tweets.scored.csv").exists()
    assert list(prom.iterdir()) == []
