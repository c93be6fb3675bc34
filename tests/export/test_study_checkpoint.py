"""The study's own checkpoint is served exactly as the study uses it."""

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from export.chain import ExportOptions, export_bundle
from export.source.checkpoint import read_checkpoint
from scorer.cli import tweetscore
from scorer.errors import InputMissing
from scorer.inference.bundle import open_bundle
from tests.export import study_checkpoint
from tests.export.conftest import CLASSES
from tests.export.study_checkpoint import PADDED, probabilities
from tests.once import made_once

TWEETS = Path(__file__).parents[2] / "samples" / "tweets.csv"
END = "<|endoftext|>"


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the trained checkpoint, its tokenizer, and both in one directory."""

    def make(directory: Path) -> None:
        study_checkpoint.train(directory)
        shutil.copytree(directory / "checkpoint", directory / "together")
        shutil.copytree(directory / "tokenizer", directory / "together", dirs_exist_ok=True)

    return made_once(tmp_path_factory, "study", make)


def _texts(study: Path) -> list[str]:
    """Return the tweets and texts at the limits: 127, 128 and more tokens, control tokens."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(study / "tokenizer")
    word = " the"
    assert len(tokenizer(word)["input_ids"]) == 1
    limits = [word * count for count in (1, 2, PADDED - 1, PADDED, PADDED + 1, 3 * PADDED)]
    assert [len(tokenizer(text)["input_ids"]) for text in limits[2:4]] == [PADDED - 1, PADDED]
    control = [END, f"so {END}", f"{END} so", f"so {END} it is", "ok \N{FIRE}", "x" * 1000]
    tweets = pl.read_csv(TWEETS, infer_schema=False)["text"].drop_nulls().to_list()
    return [text for text in [*limits, *control, *tweets] if text.strip()]


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(tweetscore, list(map(str, arguments)))


def _served(bundle: Path, texts: list[str], directory: Path) -> np.ndarray:
    """Return the probabilities that `tweetscore run` writes, in fp32."""
    source, target = directory / "texts.parquet", directory / "scored.parquet"
    pl.DataFrame({"text": texts}).write_parquet(source)
    result = _run(
        "run", source, "-o", target, "--model", bundle, "--scores", "all", "--precision", "fp32",
        "--overwrite",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    scored = pl.read_parquet(target)
    columns = [f"score_{name}" for name in CLASSES]
    answers = scored.select(columns).to_numpy()
    assert scored["label"].to_list() == [CLASSES[i] for i in answers.argmax(1)]
    return np.asarray(answers)


@pytest.mark.ci
def test_it_is_served_as_it_was_used(study: Path, tmp_path: Path) -> None:
    """Every label is that of the padded model, for texts with pads and without."""
    texts = _texts(study)
    bundle = tmp_path / "bundle"
    options = ExportOptions(pad_to=PADDED, tokenizer=str(study / "tokenizer"))
    export_bundle(study / "checkpoint", bundle, options)
    expected = probabilities(study, texts, padded=True)
    answers = _served(bundle, texts, tmp_path)
    assert (answers.argmax(1) == expected.argmax(1)).all()
    assert abs(answers - expected).max() <= 1e-5
    _require_described(bundle, PADDED)
    assert "as if padded to 128 tokens" in _run("model", "info", bundle).output
    card = (bundle / "README.md").read_text("utf-8")
    assert f'padding="max_length", truncation=True, max_length={PADDED}' in card


@pytest.mark.ci  # twenty seconds of CPU
def test_the_same_checkpoint_is_served_unpadded_where_that_is_its_use(
    study: Path, tmp_path: Path
) -> None:
    """Its answers are others, and the option decides; `model check` knows it of the bundle."""
    texts = _texts(study)
    bundle = tmp_path / "bundle"
    options = ["--pad-to", "none", "--max-length", PADDED]
    result = _run("model", "export", study / "together", "-o", bundle, *options)
    assert result.exit_code == 0, result.output
    expected = probabilities(study, texts, padded=False)
    answers = _served(bundle, texts, tmp_path)
    assert (answers.argmax(1) == expected.argmax(1)).all()
    assert abs(answers - expected).max() <= 1e-5
    padded = probabilities(study, texts, padded=True)
    assert (padded.argmax(1) != expected.argmax(1)).any()
    _require_described(bundle, None)
    assert _run("model", "check", bundle).exit_code == 0


def _require_described(bundle: Path, pad_to: int | None) -> None:
    metadata = open_bundle(bundle).metadata
    assert metadata.pad_to == pad_to
    assert (metadata.pad_token_id, metadata.max_length) == (0, PADDED)
    assert metadata.graphs.keys() == {"fp32", "fp16", "int8"}
    assert metadata.pruned is True


def test_the_trainers_folder_gets_the_tokenizer_that_is_named(study: Path, tmp_path: Path) -> None:
    """The Trainer saves none unless it is told to: each message leads to the next command."""
    bare = _run("model", "export", study / "checkpoint", "-o", tmp_path / "bundle")
    assert bare.exit_code == 78
    assert f"model export {study / 'checkpoint'} -o bundle/ --tokenizer" in bare.output
    named = ["--tokenizer", study / "tokenizer"]
    result = _run("model", "export", study / "checkpoint", "-o", tmp_path / "bundle", *named)
    assert result.exit_code == 78
    assert f"--tokenizer {study / 'tokenizer'} --pad-to {PADDED}" in result.output
    with pytest.raises(InputMissing, match="there is no tokenizer in"):
        read_checkpoint(study / "checkpoint", tokenizer=str(tmp_path))


def test_nobody_guesses_how_it_was_used(study: Path, tmp_path: Path) -> None:
    """Without the option it is not exported; the message says how to know, and what to paste."""
    result = _run("model", "export", study / "together", "-o", tmp_path / "bundle")
    assert result.exit_code == 78
    command = f"tweetscore model export {study / 'together'} -o bundle/ --pad-to"
    for words in ("padding='max_length'", f"{command} 128", f"{command} none"):
        assert words in result.output
    assert not (tmp_path / "bundle").exists()
