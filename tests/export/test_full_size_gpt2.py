"""GPT-2 small at its real size, with random weights: 124 million parameters, 50,257 tokens."""

import json
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from scorer.cli import tweetscore
from scorer.inference.runtime.machine import INT8_INSTRUCTION_SETS, inspect
from tests.export.full_size_gpt2 import LABELS, TEXTS, save_checkpoint


@pytest.mark.ci
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("few_texts_confined")
def test_full_size_gpt2_goes_through_export_parity_and_run(tmp_path: Path) -> None:
    """It passes the gate, its weights are stored once, and `run` serves it."""
    save_checkpoint(tmp_path / "checkpoint")
    bundle = tmp_path / "bundle"
    _run("model", "export", tmp_path / "checkpoint", "-o", bundle, "--weights", "fp16")
    metadata = json.loads((bundle / "tweetscore.json").read_text("utf-8"))
    assert {entry["label_agreement"] for entry in metadata["parity"]} == {1.0}
    assert metadata["pruned"] is True
    assert "int8" in metadata["graphs"]
    # Measured where there is VNNI, and nothing outside the gate is published: `auto` may take it.
    measured = {entry["precision"] for entry in metadata["parity"]}
    assert ("int8" in measured) == (inspect().instruction_set in INT8_INSTRUCTION_SETS)
    assert 240 < sum(path.stat().st_size for path in bundle.iterdir()) / 1e6 < 260
    tweets = tmp_path / "tweets.parquet"
    pl.DataFrame({"text": TEXTS}).write_parquet(tweets)
    _run("run", tweets, "--model", bundle)
    report = json.loads(
        (tmp_path / ".tweetscore/tweets.scored.parquet.run.json").read_text("utf-8")
    )
    assert (report["runtime"]["precision"] == "int8") == ("int8" in measured)
    scored = pl.read_parquet(tmp_path / "tweets.scored.parquet")
    assert scored["text"].to_list() == TEXTS
    assert set(scored["label"]) == set(LABELS)


def _run(*arguments: object) -> None:
    result = CliRunner().invoke(tweetscore, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
