"""`tweetscore model export`, `check` and `info`, from the call to the files."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from export.chain import ExportOptions, export_bundle
from export.parity.pytorch import whole_texts
from export.parity_texts import kept_in
from export.source.checkpoint import Checkpoint
from export.steps import Steps
from scorer.cli import tweetscore
from scorer.inference.bundle import open_bundle

STEP = re.compile(r"tweetscore: .+ in \d+\.\d s")
STEPS = (
    "the checkpoint is judged",
    "weights and tokenizer are written",
    "PyTorch has answered",
    "as trained: label agreement",
    "the graphs are written: fp32, fp16, int8",
    "CPUExecutionProvider fp32 on",
    "fp16 graph, run on the CPU",
    "the bundle is verified and published",
)


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(tweetscore, ["model", *map(str, arguments)])


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.csv"
    path.write_text("id,body\n1,so good\n2,\n3,so bad\n", "utf-8")
    return path


@pytest.mark.usefixtures("all_texts")
def test_export_publishes_a_bundle_that_run_can_serve(
    checkpoints: Callable[[str], Path], texts: Path, tmp_path: Path
) -> None:
    """One command from checkpoint to bundle, one from tweets to scores."""
    bundle = tmp_path / "bundle"
    options = ["--name", "mine", "--version", "7", "--parity-data", texts, "--text-column", "body"]
    result = invoke("export", checkpoints("bert"), "-o", bundle, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    *steps, last = result.stderr.splitlines()
    assert [step for step in steps if not STEP.fullmatch(step)] == []
    told = [words for words in STEPS if any(words in step for step in steps)]
    assert told == list(STEPS)
    assert last == f"mine 7 is in {bundle}"
    opened = open_bundle(bundle)
    kept = [*whole_texts(), "so good", "so bad"]
    assert kept_in(opened) == tuple(kept)
    assert opened.metadata.as_trained["texts"] == opened.metadata.parity[0]["texts"]
    scored = tmp_path / "out.csv"
    run = ["run", texts, "-o", scored, "--text-column", "body", "--model", bundle]
    result = CliRunner().invoke(tweetscore, list(map(str, run)))
    assert result.exit_code == 0, result.output
    header, *rows = scored.read_text("utf-8").splitlines()
    assert header == "id,body,label,score"
    assert len(rows) == 3


@pytest.mark.usefixtures("unconfined")
def test_check_measures_a_bundle_again(bundles: Callable[[str], Path]) -> None:
    """Figures of this machine, one line per provider, or as tweetscore.json has them."""
    result = invoke("check", bundles("bert"))
    assert result.exit_code == 0, result.output
    assert "label agreement 100.00%" in result.stdout
    assert "not measured on a GPU" in result.stdout
    result = invoke("check", bundles("bert"), "--json")
    recorded = json.loads((bundles("bert") / "tweetscore.json").read_text("utf-8"))["parity"]
    assert json.loads(result.stdout) == recorded


@pytest.mark.ci
def test_check_opens_a_bundle_in_a_process_of_its_own(bundles: Callable[[str], Path]) -> None:
    """As it is called: the conversion is confined in every run of the tests, this one in CI's."""
    result = invoke("check", bundles("bert"))
    assert result.exit_code == 0, result.output
    assert "label agreement 100.00%" in result.stdout


def test_info_tells_what_a_bundle_is(bundles: Callable[[str], Path]) -> None:
    """Name, labels and parity for people; tweetscore.json itself for programs."""
    result = invoke("info", bundles("gpt2"))
    assert result.exit_code == 0, result.output
    assert "tiny 1, all hashes right" in result.stdout
    assert "negative, neutral, positive" in result.stdout
    told = (
        "task:         single_label, one of the labels for each text; scores add up to 1 (softmax)"
    )
    assert told in result.stdout.splitlines()
    result = invoke("info", bundles("gpt2"), "--json")
    assert result.stdout == (bundles("gpt2") / "tweetscore.json").read_text("utf-8")


@pytest.mark.parametrize("command", ["info", "check"])
def test_a_tampered_bundle_is_refused(
    bundles: Callable[[str], Path], tmp_path: Path, command: str
) -> None:
    """A file that does not have its hash ends with 78 before anything is loaded."""
    copy = Path(shutil.copytree(bundles("bert"), tmp_path / "bundle"))
    (copy / "config.json").write_text("{}", "utf-8")
    result = invoke(command, copy)
    assert result.exit_code == 78
    assert "sha256" in result.stderr


@pytest.mark.parametrize("field", ["base_model", "training", "metrics", "parity"])
def test_info_needs_what_it_shows(
    bundles: Callable[[str], Path], tmp_path: Path, field: str
) -> None:
    """A field that only people read may be anything: that is no bug of ours."""
    copy = Path(shutil.copytree(bundles("bert"), tmp_path / "bundle"))
    path = copy / "tweetscore.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {field: 5}), "utf-8")
    result = invoke("info", copy)
    assert result.exit_code == 78
    assert "tweetscore.json does not say what a bundle says of itself" in result.stderr


@pytest.mark.usefixtures("unconfined")
def test_a_failed_gate_exits_76(
    checkpoints: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exit code that cron knows, one line, and no bundle."""
    from export.parity import truth

    monkeypatch.setattr(truth, "MIN_SPREAD", 2.1)
    result = invoke("export", checkpoints("bert"), "-o", tmp_path / "bundle")
    assert result.exit_code == 76
    *steps, error = result.stderr.splitlines()
    assert "prove nothing" in error
    assert all(STEP.fullmatch(step) for step in steps)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_text_column_is_named(
    checkpoints: Callable[[str], Path], texts: Path, tmp_path: Path
) -> None:
    """Parity data without the column end with 65 and the columns that there are."""
    result = invoke(
        "export", checkpoints("bert"), "-o", tmp_path / "bundle", "--parity-data", texts
    )
    assert result.exit_code == 65
    assert "only: id, body" in result.stderr


def test_a_foreign_checkpoint_has_the_temperature_1_and_that_is_said(
    foreign: Callable[[str], Path], checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Nobody fitted one; what our training recorded is not remarked on. Nothing is converted."""

    def notes(checkpoint: Path) -> list[str]:
        said: list[tuple[str, float | None]] = []
        with pytest.raises(InterruptedError):
            export_bundle(
                checkpoint,
                tmp_path / "bundle",
                ExportOptions(),
                Steps(lambda *each: said.append(each)),
                stub_converter,
            )
        return [words for words, seconds in said if seconds is None]

    def stub_converter(
        checkpoint: Checkpoint, stage: Path, options: ExportOptions, steps: Steps
    ) -> None:
        raise InterruptedError

    assert len(notes(foreign("bert"))) == 1
    assert "the temperature is 1" in notes(foreign("bert"))[0]
    assert notes(checkpoints("bert")) == []
