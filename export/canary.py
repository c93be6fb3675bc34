"""The canary: texts of our own with PyTorch's answers, which every run scores first."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from export.reference import Reference
from scorer.inference.normalize import Normalizer

_TEXTS = Path(__file__).with_name("canary_texts.json")


def make_canary(reference: Reference, normalizer: Normalizer) -> dict[str, Any]:
    """Return the content of ``canary.json``: texts, token ids, fp32 logits of each text alone."""
    texts: list[str] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    normalized = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    return {
        "texts": texts,
        "token_ids": reference.token_ids(normalized),
        "logits": reference.logits(normalized).tolist(),
    }
