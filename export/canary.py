"""The canary: texts of our own with PyTorch's answers, which every run is proven with."""

import json
import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from export.reference import Reference
from scorer.inference.normalize import Normalizer

_TEXTS = Path(__file__).with_name("canary_texts.json")
# Tokens of a text, besides those that fill the model. Every run scores the canary, and
# OpenVINO compiles for each length that it meets: with sixty lengths that was most of the time.
_LENGTHS = (5, 8, 13, 22, 48)
_CONTROL = re.compile(r"</?s>|\[[A-Z]+\]|<\|\w+\|>")  # what a tokenizer must take for words here


def make_canary(reference: Reference, normalizer: Normalizer) -> dict[str, Any]:
    """Return the content of ``canary.json``: texts, token ids, fp32 logits of each text alone."""
    texts = _cut(reference, normalizer)
    normalized = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    return {
        "texts": texts,
        "token_ids": reference.token_ids(normalized),
        "logits": reference.logits(normalized).tolist(),
    }


def calibration(reference: Reference, normalizer: Normalizer) -> list[list[int]]:
    """Return token ids of the whole texts, from which int8 learns how large its features are."""
    return _token_ids(whole_texts(), reference, normalizer)


def _token_ids(texts: list[str], reference: Reference, normalizer: Normalizer) -> list[list[int]]:
    return reference.token_ids(normalizer(pl.Series(texts, dtype=pl.String)).to_list())


def whole_texts() -> list[str]:
    """Return the texts before they are cut: what an export is held against, too."""
    texts: list[str] = json.loads(_TEXTS.read_text(encoding="utf-8"))
    return texts


def _cut(reference: Reference, normalizer: Normalizer) -> list[str]:
    """Return the texts, each cut to a start that no other text has become.

    Of the lengths that it can have, the one that has had the fewest tokens so far: all lengths get
    as much work, and few texts are long. The one of the most different words stays as it is.
    """
    texts = whole_texts()
    common = {*_LENGTHS, reference.max_length}
    every = [_starts(text, common, reference, normalizer) for text in texts]
    rare = _covering([starts.keys() for starts in every if common.isdisjoint(starts)])
    taken: set[str] = set()
    tokens: Counter[int] = Counter()
    prose = max(range(len(texts)), key=lambda place: len({*texts[place].split()}))
    # The shortest first: what is the start of another one can itself become nothing longer.
    for place in sorted({*range(len(texts))} - {prose}, key=lambda place: len(texts[place])):
        fresh = {length: start for length, start in every[place].items() if start not in taken}
        lengths = fresh.keys() & common or fresh.keys() & rare or fresh.keys()
        length = min(lengths, key=lambda length: (tokens[length], -length))
        texts[place] = fresh[length]
        taken.add(fresh[length])
        tokens[length] += length
    return texts


def _starts(
    text: str, common: set[int], reference: Reference, normalizer: Normalizer
) -> dict[int, str]:
    """Return the text's longest start of each number of tokens: in whole words, where that does.

    What the normaliser changes and what looks like a control token is in all of them, as it is in
    the text; what fills the model is there whole: the proof of each must not be cut off.
    """
    starts: dict[int, str] = {}
    for piece in (r"\S+", r"."):
        cut = [text[: found.end()] for found in re.finditer(piece, text)]
        *normalized, whole = normalizer(pl.Series([*cut, text], dtype=pl.String)).to_list()
        lost = [text[len(start) :] for start in cut]
        cut = [
            start
            for start, clean, end in zip(cut, normalized, lost, strict=True)
            if clean + end == whole and not _CONTROL.search(end)
        ]
        cut.append(text)
        starts |= zip(map(len, _token_ids(cut, reference, normalizer)), cut, strict=True)
        if not common.isdisjoint(starts):
            break
    return starts


def _covering(choices: Collection[Collection[int]]) -> set[int]:
    """Return few numbers, of which each of the choices has one."""
    found: set[int] = set()
    while left := [each for each in choices if found.isdisjoint(each)]:
        counts = Counter(number for each in left for number in each)
        found.add(max(counts, key=lambda number: (counts[number], number)))
    return found
