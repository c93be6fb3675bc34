"""A model that was trained elsewhere answers as transformers' own pipeline does, on raw texts."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from export import parity
from export.chain import ExportOptions, export_bundle
from export.parity.pytorch import whole_texts
from scorer.inference import labels
from scorer.inference.bundle import open_bundle
from scorer.inference.classifier import Classifier
from scorer.inference.gate import compare, is_proven
from scorer.inference.loading import load
from scorer.inference.runtime import open_session
from scorer.inference.runtime.machine import inspect
from scorer.options import ModelSpec
from tests.export.conftest import POSITIONS

CONTROL = ("[SEP]", "[CLS]", "[PAD]", "[MASK]", "</s>", "<s>", "<pad>", "<mask>", "<|endoftext|>")
PIECES = (
    *CONTROL,
    *(
        "&amp;",
        "&lt;3",
        "&#128514;",
        "don`t",
        "@bob",
        "@",
        "@a,",
        "http://t.co/x",
        "https",
        "www.a.b",
    ),
    *(
        "\U0001f602",
        "\U0001f44d\U0001f3fd",
        "\u2764\ufe0f",
        "\u00a0",
        "\u200b",
        "\u2028",
        "\t",
        "\n",
    ),
    *(
        "\u0645\u0631\u062d\u0628\u0627",
        "\u05e9\u05dc\u05d5\u05dd",
        "\u65e5\u672c",
        "e\u0301",
        "\u00f1",
    ),
    *("love", "HATE", "so", "the", "Monday", "rain", "...", "!!", "x" * 120, "\x07", "  "),
)


def raw_texts(count: int = 500) -> list[str]:
    """Return tweets, and texts of everything that a normaliser would change or a model may obey."""
    choose = random.Random(20)  # noqa: S311 - no secret, and the same every time
    mixed = [
        choose.choice(("", " ")).join(choose.choices(PIECES, k=choose.randint(1, 9)))
        for _ in range(count - 100)
    ]
    long = [choose.choice(PIECES) + "so long a text " * 70 + choose.choice(CONTROL)] * 3
    ends = [f"a text and {token}" for token in CONTROL] + [f"{token} a text" for token in CONTROL]
    texts = dict.fromkeys([*CONTROL, *ends, *long, *mixed, *whole_texts()])
    return [text for text in texts if any(map(str.isalnum, text))][:count]  # none is blank


def of_the_pipeline(checkpoint: Path, texts: list[str], max_length: int) -> Any:
    """Return the probabilities [texts, classes] that transformers' pipeline gives."""
    from transformers import pipeline

    pipe = pipeline("text-classification", model=str(checkpoint), device="cpu")
    answers = [pipe(text, truncation=True, max_length=max_length, top_k=None) for text in texts]
    names: Any = pipe.model.config.id2label
    scores = [{each["label"]: each["score"] for each in answer} for answer in answers]
    return np.array([[score[names[i]] for i in range(len(names))] for score in scores])


@pytest.mark.parametrize("model_type", ["bert", "roberta", "gpt2"])
def test_raw_texts_get_the_answers_of_the_pipeline(
    foreign: Callable[[str], Path], tmp_path: Path, model_type: str
) -> None:
    """Entities, backticks, links, emoji, right-to-left, 1,000 letters, control tokens."""
    bundle_path = tmp_path / "bundle"
    export_bundle(foreign(model_type), bundle_path, ExportOptions())
    bundle = open_bundle(bundle_path)
    assert bundle.normalizer.name == "none"
    assert bundle.max_length == (64 if model_type == "roberta" else POSITIONS)
    texts = raw_texts()
    assert len(texts) == 500
    machine, expected = inspect(), None
    for choice in parity.available(machine, int8=is_proven(bundle.metadata, "int8")):
        classifier = Classifier(bundle, open_session(bundle, choice, machine))
        prepared = classifier.prepare(pl.Series(texts, dtype=pl.String))
        assert (prepared.rows >= 0).all()
        if expected is None:
            expected = of_the_pipeline(foreign(model_type), texts, bundle.max_length)
        figures = compare(labels.probabilities(classifier.logits(prepared)), expected)
        assert figures.within_gate("int8")
        if choice.precision == "fp32":
            assert figures.label_agreement == 1
            assert figures.largest_difference <= 5e-3  # its weights are rounded to fp16


@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
def test_a_text_is_cut_where_the_tokenizer_says(
    foreign: Callable[[str], Path], tmp_path: Path, model_type: str
) -> None:
    """At its beginning if so, and at the length that was asked for."""
    checkpoint = Path(shutil.copytree(foreign(model_type), tmp_path / "checkpoint"))
    path = checkpoint / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "truncation_side": "left"}), "utf-8")
    export_bundle(checkpoint, tmp_path / "bundle", ExportOptions(max_length=20))
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.metadata.truncation_side == "left"
    texts = ["hate " * 40 + end for end in ("love", "so good", "the rain")]
    classifier = load(bundle, ModelSpec(precision="fp32")).prove()
    prepared = classifier.prepare(pl.Series(texts))
    expected = of_the_pipeline(checkpoint, texts, 20)
    assert prepared.counters.truncated == 3
    figures = compare(labels.probabilities(classifier.logits(prepared)), expected)
    assert figures.label_agreement == 1
    assert figures.largest_difference <= 5e-3
