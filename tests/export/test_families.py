"""Any classifier: a tiny one of each family goes from its checkpoint through every command.

What it answers is compared with transformers' own pipeline on the user's checkpoint: the texts as
they come, one at a time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from export import parity
from export.chain import ExportOptions, export_bundle
from export.parity.pytorch import Reference
from scorer.cli import tweetscore
from scorer.inference.bundle import open_bundle
from tests.export import families
from tests.export.families import CLASSES, FAMILIES, raw_texts
from tests.once import made_once

# DeBERTa's and ModernBERT's modules use it when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")

# The one that people bring most; the others are tested in make test-ci.
_REPRESENTATIVES = ("xlm-roberta",)
PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a family to its checkpoint."""

    def made(name: str) -> Path:
        def make(directory: Path) -> None:
            families.save(name, directory)

        return made_once(tmp_path_factory, f"family-{name}", make)

    return made


def _invoke(*arguments: object) -> str:
    result = CliRunner().invoke(tweetscore, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.output


def _pipeline_answers(checkpoint: Path, texts: list[str]) -> np.ndarray:
    """Return the probabilities [texts, classes] of transformers' own pipeline."""
    from transformers import pipeline

    classify: Any = pipeline("text-classification", model=str(checkpoint), device="cpu", top_k=None)
    answers = []
    for text in texts:
        (scores,) = classify([text], truncation=True)
        by_name = {score["label"]: score["score"] for score in scores}
        answers.append([by_name[name] for name in CLASSES])
    return np.array(answers)


def _every_family() -> list[Any]:
    return [
        pytest.param(name, marks=() if name in _REPRESENTATIVES else pytest.mark.ci)
        for name in FAMILIES
    ]


@pytest.mark.parametrize("name", _every_family())
def test_a_family_answers_as_its_pipeline(
    checkpoint: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    """500 raw texts: every label is the pipeline's, and no probability is 1e-5 away."""
    directory, bundle = checkpoint(name), tmp_path / "bundle"
    metadata = export_bundle(directory, bundle, ExportOptions(name=name)).metadata
    known = FAMILIES[name].known
    assert metadata.pruned == (known.prune is not None)
    assert ("int8" in metadata.graphs) == (known.streams is not None)
    texts = raw_texts()
    assert len(texts) == 500
    expected = _pipeline_answers(directory, texts)
    outputs = _scored(bundle, texts, tmp_path)
    assert outputs["label"].to_list() == [CLASSES[row] for row in expected.argmax(1)]
    got = outputs.select(f"score_{label}" for label in CLASSES).to_numpy()
    assert np.abs(got - expected).max() <= 1e-5
    opened = open_bundle(bundle)
    report = parity.check(opened, Reference(bundle, opened.max_length), texts[:50])
    assert any(entry.runtime.precision == "fp32" for entry in report.measured)


def _scored(bundle: Path, texts: list[str], directory: Path) -> pl.DataFrame:
    """Return what a run of the command writes, which `verify` then checks against the model."""
    source, scored = directory / "texts.parquet", directory / "scored.parquet"
    pl.DataFrame({"text": texts}).write_parquet(source)
    options = ("--precision", "fp32", "--scores", "all")
    _invoke("run", source, "-o", scored, "--model", bundle, *options)
    _invoke("verify", scored, "--rescore", 50, "--model", bundle)
    return pl.read_parquet(scored)


def test_the_page_lists_the_families_that_are_tested() -> None:
    """With what each gets: `python -m tests.export.families` writes the table."""
    assert families.table() in PAGE.read_text("utf-8")
