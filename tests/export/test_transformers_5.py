"""Configurations as transformers 5 writes them, in the words of the version that exports.

Held against transformers 5.23 once, on random models of eight families: logits within 4e-6, where
those of five families differed by 0.9 to 4 as long as their rotary positions were passed over.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from export.loadable import loadable
from export.source.checkpoint import read_checkpoint
from export.source.versions import config_of_4
from scorer.errors import InvalidBundle

PATH = Path("config.json")
FULL, SLIDING = "full_attention", "sliding_attention"
LLAMA_3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}


def by_layer(full: float, sliding: float) -> dict[str, Any]:
    """Return the rotary positions of a model with two kinds of layers."""
    return {
        layer: {"rope_theta": theta, "rope_type": "default"}
        for layer, theta in ((FULL, full), (SLIDING, sliding))
    }


def of_5(kind: str, **settings: Any) -> dict[str, Any]:
    return {"model_type": kind, "transformers_version": "5.23.0", **settings}


@pytest.mark.parametrize(
    ("kind", "rope", "expected"),
    [
        ("qwen2", {"rope_theta": 1e6, "rope_type": "default"}, {"rope_theta": 1e6}),
        (
            "llama",
            {"rope_theta": 5e5, **LLAMA_3},
            {"rope_theta": 5e5, "rope_scaling": LLAMA_3},
        ),
        (
            "phi3",
            {"rope_theta": 99.0, "partial_rotary_factor": 0.5, "rope_type": "default"},
            {"rope_theta": 99.0, "partial_rotary_factor": 0.5},
        ),
        (
            "gpt_neox",
            {"rope_theta": 99.0, "partial_rotary_factor": 0.5, "rope_type": "default"},
            {"rotary_emb_base": 99.0, "rotary_pct": 0.5},
        ),
        ("modernbert", by_layer(7.0, 3.0), {"global_rope_theta": 7.0, "local_rope_theta": 3.0}),
        ("gemma3_text", by_layer(7.0, 3.0), {"rope_theta": 7.0, "rope_local_base_freq": 3.0}),
    ],
)
def test_rotary_positions_keep_their_base(
    kind: str, rope: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each setting has the name that 4.57 reads, and the one of 5 is gone."""
    config = config_of_4(PATH, of_5(kind, rope_parameters=rope))
    assert config == of_5(kind) | expected


@pytest.mark.parametrize(
    ("layers", "period"),
    [
        ([FULL, SLIDING, SLIDING, FULL, SLIDING], 3),
        ([FULL, SLIDING, FULL, SLIDING], 2),
        ([FULL, FULL], 1),
        ([FULL, SLIDING], 2),
    ],
)
def test_layers_of_modernbert_alternate(layers: list[str], period: int) -> None:
    """The list of layers is the period in which 4.57 says it."""
    config = config_of_4(PATH, of_5("modernbert", layer_types=layers))
    assert config == of_5("modernbert", global_attn_every_n_layers=period)


@pytest.mark.parametrize(
    "settings",
    [
        of_5("modernbert", layer_types=[SLIDING, FULL]),
        of_5("modernbert", layer_types=[FULL, SLIDING, FULL, FULL]),
        of_5("modernbert", layer_types=[]),
        of_5("modernbert", layer_types="all"),
        of_5("modernbert", rope_parameters={FULL: {"rope_theta": 1.0}}),
        of_5(
            "gemma3_text",
            rope_parameters=by_layer(1.0, 2.0) | {FULL: {"rope_theta": 1.0} | LLAMA_3},
        ),
        of_5("llama", rope_parameters=by_layer(1.0, 2.0)),
        of_5("gemma", use_bidirectional_attention=True),
    ],
)
def test_what_4_cannot_say_is_refused(settings: dict[str, Any]) -> None:
    """A setting that would be passed over, and change the answers, is an error with its name."""
    with pytest.raises(InvalidBundle) as caught:
        config_of_4(PATH, settings)
    assert "would answer otherwise; save the model with transformers 4.57" in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "bert", "transformers_version": "4.57.6"},
        {"model_type": "llama", "rope_theta": 5.0, "layer_types": [FULL]},
        of_5("bert", dtype="float32", pad_token_id=0),
        of_5("gemma", use_bidirectional_attention=None),
    ],
)
def test_other_configurations_stay_as_they_are(settings: dict[str, Any]) -> None:
    """4.57 wrote them, or 5 wrote nothing that 4.57 would not read."""
    assert config_of_4(PATH, settings) == settings


def test_a_tokenizer_of_5_gives_the_same_tokens(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    """Its class has no name in 4.57, and its list of more special tokens was an object there."""
    directory = Path(shutil.copytree(checkpoints("roberta"), tmp_path / "checkpoint"))
    for name in ("special_tokens_map.json", "vocab.json", "merges.txt"):
        (directory / name).unlink()
    path = directory / "tokenizer_config.json"
    special = ("bos_token", "cls_token", "eos_token", "mask_token", "pad_token", "sep_token")
    known = json.loads(path.read_text("utf-8"))
    written = {name: known[name] for name in (*special, "unk_token", "model_max_length")}
    written |= {
        "backend": "tokenizers",
        "extra_special_tokens": ["<user>"],
        "is_local": True,
        "local_files_only": False,
        "tokenizer_class": "TokenizersBackend",
    }
    path.write_text(json.dumps(written), "utf-8")
    config = json.loads((directory / "config.json").read_text("utf-8"))
    config |= {"transformers_version": "5.23.0", "dtype": config.pop("dtype", "float32")}
    (directory / "config.json").write_text(json.dumps(config), "utf-8")
    texts = ["hello <user>, so good </s> :)", ""]
    load: Any = AutoTokenizer
    before = load.from_pretrained(checkpoints("roberta"), additional_special_tokens=["<user>"])
    with loadable(read_checkpoint(directory).base, tmp_path) as base:
        after = load.from_pretrained(base.directory)
    assert after(texts)["input_ids"] == before(texts)["input_ids"]
    assert after.additional_special_tokens == ["<user>"]
