"""The embedded model: what it answers, and that it is served as PyTorch computes it."""

from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from export.parity import ParityReport, check
from export.parity.pytorch import Reference
from scorer import predict_sentiment
from scorer.cli import tweetscore
from scorer.errors import DeviceUnavailable
from scorer.formats.open import open_source
from scorer.inference.bundle import open_bundle
from scorer.inference.gate import FP32_MAX_DIFFERENCE, MAX_DIFFERENCE, MIN_LABEL_AGREEMENT
from scorer.inference.runtime import choices
from scorer.inference.runtime.machine import inspect

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
OURS = {
    "Negativo": "They lost my luggage again and nobody answers the phone, what a horrible trip",
    "Neutro": "The library opens at nine on weekdays",
    "Positivo": "My sister surprised me with tickets, I am so happy and thankful!",
}


@pytest.mark.parametrize("label", OURS)
def test_predict_sentiment_knows_our_sentences(label: str) -> None:
    """One sentence of our own per class, with the study's Spanish labels."""
    assert predict_sentiment(OURS[label])["label"] == label


def test_text_command_knows_our_sentences() -> None:
    """The command line says the same, with label names of the user's."""
    arguments = ["text", "--label-names", "Negativo,Neutro,Positivo", *OURS.values()]
    result = CliRunner().invoke(tweetscore, arguments)
    assert result.exit_code == 0, result.output
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == ["label", *OURS]


def test_labelled_samples_come_out_right() -> None:
    """Sixty plain tweets of each class, written for this project, are no test of skill."""
    samples = pl.read_csv(ROOT / "samples" / "labelled.csv")
    answers = [predict_sentiment(text, labels="en")["label"] for text in samples["text"]]
    right = pl.Series(answers).str.to_lowercase() == samples["sentiment"]
    assert right.mean() >= 0.85  # type: ignore[operator]  # a Boolean column's mean is a float


@pytest.mark.ci
def test_samples_are_served_as_pytorch_computes_them() -> None:
    """The bundle's own safetensors in PyTorch and the served path agree on every sample."""
    paths = [ROOT / "samples" / name for name in ("tweets.csv", "labelled.csv", "hard.csv")]
    windows = [window for path in paths for window in open_source(path).windows(1000)]
    report = _check(pl.concat([window.texts for window in windows]).drop_nulls())
    _require_promises(report, at_least=500)


@pytest.mark.ci
@pytest.mark.timeout(1200)
def test_test_tweets_are_served_as_pytorch_computes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same on the 3,534 test tweets; prints the figures, bf16's where the CPU has it."""
    report = _check(pl.read_csv(DATA / "test.csv")["text"])
    _require_promises(report, at_least=3_500)
    lines = [
        f"{entry.runtime.provider} {entry.runtime.precision} "
        f"({entry.runtime.instruction_set}): {entry.figures}"
        for entry in report.measured
    ]
    lines += [*report.passed_over, *_why_no_bf16(report)]
    with capsys.disabled():
        print("\n" + "\n".join(lines))  # noqa: T201 - figures for a person


def _check(texts: pl.Series) -> ParityReport:
    bundle = open_bundle()
    return check(bundle, Reference(bundle.directory, bundle.max_length), texts.to_list())


def _require_promises(report: ParityReport, at_least: int) -> None:
    exact = [entry.figures for entry in report.measured if entry.runtime.precision == "fp32"]
    rounded = [entry.figures for entry in report.measured if entry.runtime.precision != "fp32"]
    assert exact
    for figures in exact:
        assert figures.texts >= at_least
        assert figures.label_agreement == 1
        assert figures.largest_difference <= FP32_MAX_DIFFERENCE
    for figures in rounded:
        assert figures.label_agreement >= MIN_LABEL_AGREEMENT
        assert figures.largest_difference <= MAX_DIFFERENCE


def _why_no_bf16(report: ParityReport) -> list[str]:
    if any(entry.runtime.precision == "bf16" for entry in report.measured):
        return []
    with pytest.raises(DeviceUnavailable) as refusal:
        choices("openvino", "bf16", inspect())
    return [f"bf16 not measured: {refusal.value.problem}"]
