"""The canary: texts of our own with PyTorch's answers, which every run scores first."""

import json
import re
from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import polars as pl

from export.reference import Reference
from scorer.inference.normalize import Normalizer

_TEXTS = Path(__file__).with_name("canary_texts.json")
# Tokens of a text. OpenVINO compiles for each length that it meets, and every run pays for it: with
# some sixty lengths most of a canary's time was that.
_LENGTHS = (3, 4, 6, 8, 10, 12, 15, 19, 24, 33, 48, 64, 96, 128, 192, 256, 384, 512)


def make_canary(reference: Reference, normalizer: Normalizer) -> dict[str, Any]:
    """Return the content of ``canary.json``: texts, token ids, fp32 logits of each text alone."""
    texts: list[str] = []
    for text in _whole_texts():
        starts = _starts(text, reference, normalizer)
        texts.append(next((start for start in starts if start not in texts), text))
    normalized = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    return {
        "texts": texts,
        "token_ids": reference.token_ids(normalized),
        "logits": reference.logits(normalized).tolist(),
    }


def calibration(reference: Reference, normalizer: Normalizer) -> list[list[int]]:
    """Return token ids of the whole texts, from which int8 learns how large its features are."""
    return reference.token_ids(normalizer(_whole_texts()).to_list())


def _whole_texts() -> pl.Series:
    texts: list[str] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return pl.Series(texts, dtype=pl.String)


def _starts(text: str, reference: Reference, normalizer: Normalizer) -> Iterator[str]:
    """Return the text's starts, in whole words, of one of few lengths, the longest first.

    What fills the model stays, so that truncation and the last position have their proof.
    """
    ends = [word.end() for word in re.finditer(r"\S+", text)]
    starts = [text, *(text[:end] for end in reversed(ends))]
    ids = reference.token_ids(normalizer(pl.Series(starts, dtype=pl.String)).to_list())
    return compress(starts, (len(row) in {*_LENGTHS, reference.max_length} for row in ids))
