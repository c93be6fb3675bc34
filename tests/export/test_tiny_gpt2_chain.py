"""The whole chain on a GPT-2 small enough for a test: train, export, parity, run."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from scorer.cli import tweetscore

LABELLED = Path(__file__).parents[2] / "samples" / "labelled.csv"


@pytest.mark.usefixtures("few_texts_confined")
def test_tiny_gpt2_learns_and_serves_the_labelled_samples(tmp_path: Path) -> None:
    """From text to a BPE, a checkpoint, a bundle and scores: at least 9 in 10 come out right."""
    _save_base(tmp_path / "base")
    _run(
        "model", "train", "-o", tmp_path / "checkpoint", "--base", tmp_path / "base",
        "--data", LABELLED, "--label-column", "sentiment", "--validation", 0,
        "--epochs", 10, "--learning-rate", 3e-3, "--batch-size", 16,
    )  # fmt: skip
    _run("model", "export", tmp_path / "checkpoint", "-o", tmp_path / "bundle")
    _run("run", LABELLED, "-o", tmp_path / "scored.csv", "--model", tmp_path / "bundle")
    scored = pl.read_csv(tmp_path / "scored.csv")
    right = (scored["label"] == scored["sentiment"]).sum()
    assert right >= 0.9 * len(scored) == 0.9 * 180
    report = json.loads((tmp_path / ".tweetscore/scored.csv.run.json").read_text("utf-8"))
    assert report["canary"]["label_agreement"] == 1


def _run(*arguments: object) -> None:
    result = CliRunner().invoke(tweetscore, list(map(str, arguments)))
    assert result.exit_code == 0, result.output


def _save_base(directory: Path) -> None:
    """Write a GPT-2 of random weights with a BPE trained on the samples."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2Model, GPT2TokenizerFast

    trained = ByteLevelBPETokenizer()
    texts = pl.read_csv(LABELLED)["text"].to_list()
    end = "<|endoftext|>"
    trained.train_from_iterator(texts, vocab_size=600, special_tokens=[end], show_progress=False)
    directory.mkdir()
    trained.save_model(str(directory))
    tokenizer = GPT2TokenizerFast(str(directory / "vocab.json"), str(directory / "merges.txt"))
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=128,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    GPT2Model(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
