"""A training that is ended early goes on to the weights that it would have had."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result
from safetensors import SafetensorError
from transformers import BertForSequenceClassification

from export.train import callbacks
from export.train.unfinished import logs_of
from scorer.cli import tweetscore

TinyBase = Callable[[str], Path]
Call = Callable[..., tuple[str, ...]]


@pytest.fixture(scope="module")
def call(tiny_base: TinyBase, labelled_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """Return a function from an output, a model type and options to the arguments of a training."""
    data = tmp_path_factory.mktemp("data") / "train.csv"
    pl.read_csv(labelled_csv)[:60].write_csv(data)

    def arguments(output: Path, model_type: str, *options: str) -> tuple[str, ...]:
        return (
            *("model", "train", "-o", str(output), "--base", str(tiny_base(model_type))),
            *("--data", str(data), "--label-column", "sentiment", "--validation", "0.2"),
            *("--batch-size", "16", "--learning-rate", "1e-3", "--precision", "fp32"),
            *options,
        )

    return arguments


def invoke(arguments: tuple[str, ...]) -> Result:
    return CliRunner().invoke(tweetscore, arguments)


def weights(output: Path) -> bytes:
    return (output / "model.safetensors").read_bytes()


def killed_at(arguments: tuple[str, ...], stage: str, step: int) -> None:
    """Run a training in a process of its own, and kill it where it says that it is there."""
    command = [sys.executable, "-c", "from scorer.cli import main; main()", *arguments]
    with subprocess.Popen(
        [*command, "--log-format", "json"],
        stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            said = json.loads(line)
            if (said.get("stage"), said.get("step")) == (stage, step):
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL


@pytest.mark.ci
def test_killed_training_resumed_has_the_weights_of_one_that_was_not(
    call: Call, tmp_path: Path
) -> None:
    """SIGKILL in the middle of an epoch, after folds, with averaged weights and a refit to come."""
    options = (
        *("--epochs", "2", "--distill-folds", "2", "--average-last", "0.9", "--refit"),
        *("--label-smoothing", "0.1", "--checkpoint-steps", "1"),
    )
    whole, output = tmp_path / "whole", tmp_path / "deep" / "killed"
    assert invoke(call(whole, "gpt2", *options)).exit_code == 0
    arguments = call(output, "gpt2", *options)
    killed_at(arguments, "training", 4)
    assert [path.name for path in output.parent.iterdir()] == [".tweetscore"]
    (left,) = (output.parent / ".tweetscore").iterdir()
    assert len([*left.glob("training/checkpoint-*")]) <= 2  # however many there were
    refused = invoke(arguments)
    assert refused.exit_code == 73
    assert "an unfinished training of" in refused.stderr
    assert f"--no-resume discards it, --resume goes on with it; try: {words(arguments)}" in (
        refused.stderr
    )
    assert refused.stderr.endswith(" --resume\n")
    assert refused.stderr.count("\n") == 1
    resumed = invoke((*arguments, "--resume"))
    assert resumed.exit_code == 0, resumed.output
    assert "training: goes on after step" in resumed.stderr
    assert "fold 1 of 2" not in resumed.stderr
    assert weights(output) == weights(whole)
    assert [path.name for path in output.parent.iterdir()] == ["killed"]


def words(arguments: tuple[str, ...]) -> str:
    return " ".join(("tweetscore", *arguments[:4]))


def interrupted_after(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """Raise what Ctrl-C raises, after so many steps of all trainings together."""
    done = 0
    real = callbacks.Messages.on_step_end

    def on_step_end(self: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal done
        done += 1
        real(self, *args, **kwargs)
        if done == steps:
            raise KeyboardInterrupt

    monkeypatch.setattr(callbacks.Messages, "on_step_end", on_step_end)


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        pytest.param(("--epochs", "2"), 5, id="after-an-epoch"),
        pytest.param(
            (
                "--epochs",
                "1.5",
                "--accumulation",
                "2",
                "--batch-size",
                "5",
                "--checkpoint-steps",
                "1",
            ),
            4,
            id="accumulated",
            marks=pytest.mark.ci,
        ),
        pytest.param(
            ("--epochs", "2", "--no-group-by-length", "--checkpoint-steps", "2"),
            4,
            id="not-grouped",
            marks=pytest.mark.ci,
        ),
        pytest.param(
            ("--epochs", "9", "--early-stopping", "1", "--learning-rate", "0.03"),
            5,
            id="early-stopping",
        ),
        pytest.param(
            ("--epochs", "3", "--best-epoch", "--class-weights", "balanced"),
            8,
            id="best-epoch",
            marks=pytest.mark.ci,
        ),
        pytest.param(("--epochs", "2", "--lora", "4", "--checkpoint-steps", "1"), 4, id="lora"),
    ],
)
def test_interrupted_training_resumed_has_the_same_weights(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    steps: int,
) -> None:
    """Whatever decides the weights comes back: orders, the best epoch, how long it was worse."""
    whole, output = tmp_path / "whole", tmp_path / "ended"
    assert invoke(call(whole, "bert", *options)).exit_code == 0
    with monkeypatch.context() as patch:
        interrupted_after(patch, steps)
        ended = invoke(call(output, "bert", *options))
    assert ended.exit_code == 130
    assert "--resume goes on with it, --no-resume discards it" in ended.stderr
    resumed = invoke((*call(output, "bert", *options), "--resume"))
    assert resumed.exit_code == 0, resumed.output
    assert weights(output) == weights(whole)


def test_another_training_is_not_gone_on_with(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other settings are named; discarded, the training begins anew, as does one with nothing."""
    output = tmp_path / "a"
    with monkeypatch.context() as patch:
        interrupted_after(patch, 5)
        assert invoke(call(output, "bert", "--epochs", "2")).exit_code == 130
    other = invoke((*call(output, "bert", "--epochs", "3"), "--resume"))
    assert other.exit_code == 78
    assert "is another one: it has epochs 2.0, now 3.0; give the options" in other.stderr
    anew = invoke((*call(output, "bert", "--epochs", "3"), "--no-resume"))
    assert (anew.exit_code, "goes on after" in anew.stderr) == (0, False)
    again = invoke((*call(tmp_path / "b", "bert", "--epochs", "3"), "--resume"))
    assert "no training of" in again.stderr
    assert weights(output) == weights(tmp_path / "b")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_training_without_checkpoints_keeps_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has no room for them loses what was learnt, and is not asked about it."""
    interrupted_after(monkeypatch, 5)
    ended = invoke(call(tmp_path / "a", "bert", "--epochs", "2", "--checkpoint-steps", "0"))
    assert (ended.exit_code, "--resume" in ended.stderr) == (130, False)
    assert list(tmp_path.iterdir()) == []


def test_checkpoint_that_cannot_be_written_is_74_and_the_one_before_stays(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is said with what to do; the library's failure is a stub."""
    real, saved = BertForSequenceClassification.save_pretrained, 0

    def no_space(*args: Any, **kwargs: Any) -> None:
        nonlocal saved
        saved += 1
        if saved == 2:
            raise SafetensorError("I/O error: No space left on device")
        real(*args, **kwargs)

    options = ("--epochs", "2")
    with monkeypatch.context() as patch:
        patch.setattr(BertForSequenceClassification, "save_pretrained", no_space)
        failed = invoke(call(tmp_path / "a", "bert", *options))
    assert failed.exit_code == 74
    assert "No space left on device" in failed.stderr
    assert "what was learnt is kept (training, step 3)" in failed.stderr
    assert invoke((*call(tmp_path / "a", "bert", *options), "--resume")).exit_code == 0


def test_two_trainings_of_one_output_do_not_meet(call: Call, tmp_path: Path) -> None:
    """The second is told so, and the first one's checkpoints are left alone."""
    from export.staging import making

    with making(tmp_path / "a", marker="training.json", overwrite=False) as made:
        second = invoke(call(tmp_path / "a", "bert"))
        assert second.exit_code == 75
        assert made.directory.is_dir()


def test_killed_publishing_is_mended_by_the_next_attempt(tmp_path: Path) -> None:
    """A kill between two renames leaves the earlier result aside; it is put back."""
    from export.staging import making, staged

    with staged(tmp_path / "a", marker="mark", overwrite=False) as stage:
        (stage / "mark").write_text("1")
    with making(tmp_path / "b", marker="mark", overwrite=False, keeps=lambda _: True) as made:
        (tmp_path / "a").rename(made.directory / "old")
    with (
        pytest.raises(Exception, match="use --overwrite"),
        staged(tmp_path / "b", marker="mark", overwrite=False),
    ):
        pytest.fail("the stage was opened")
    assert (tmp_path / "b" / "mark").read_text() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--early-stopping", "2", "--validation", "0"), "--validation 0.1"),
        (("--best-epoch", "--average-last", "0.5"), "--average-last 0"),
        (("--early-stopping", "2", "--refit"), "--no-refit"),
        (("--report-to", "aim"), "'aim' is not one of tensorboard, mlflow, wandb"),
    ],
)
def test_settings_that_contradict_each_other_are_2(
    call: Call, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    """Before anything is read, with the option that ends the contradiction."""
    result = invoke(call(tmp_path / "a", "bert", *options))
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_library_to_report_to_that_is_missing_is_78(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, with the command that installs it."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("export.train.settings.find_spec", lambda _: None)
    result = invoke(call(tmp_path / "a", "bert", "--report-to", "wandb"))
    assert result.exit_code == 78
    assert result.stderr.endswith("-m pip install wandb\n")
    assert list(tmp_path.iterdir()) == []


def test_figures_are_reported_as_the_trainer_does_it(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and evaluations reach the library; mlflow is a stub."""
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    class StubMlflow(ModuleType):
        """Has every function, which answers with itself, and remembers the metrics."""

        __version__ = "3"
        MAX_PARAM_VAL_LENGTH = MAX_PARAMS_TAGS_PER_BATCH = 100
        names: set[str]

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            return self

        def __call__(self, *_: Any, **given: Any) -> Any:
            self.names.update(given.get("metrics", {}))
            return self

    stub = StubMlflow("mlflow")
    stub.names = set()
    stub.__spec__ = ModuleSpec("mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow", stub)
    result = invoke(call(tmp_path / "a", "bert", "--epochs", "1", "--report-to", "mlflow"))
    assert result.exit_code == 0, result.output
    assert {"loss", "eval_loss"} <= stub.names
    assert not logs_of(tmp_path / "a").exists()
