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
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from export import parity
from export.agreement import described, in_half_precision
from export.chain import ExportOptions, export_bundle
from export.parity import as_trained
from export.parity.as_trained import compared
from export.parity.pytorch import Reference, whole_texts
from export.parity.truth import Truth, true_answers
from export.source.base import open_base
from export.source.classes import Classes
from export.source.text_rules import TextRules
from export.train.text_encoder import saved_encoder
from scorer.cli import tweetscore
from scorer.errors import GateFailed
from scorer.inference import labels
from scorer.inference.bundle import open_bundle
from scorer.inference.bundle.metadata import AsTrained, decoded
from scorer.inference.classifier import Classifier
from scorer.inference.gate import compare, is_proven
from scorer.inference.loading import load
from scorer.inference.normalize import Normalizer
from scorer.inference.runtime import open_session
from scorer.inference.runtime.machine import inspect
from scorer.options import ModelSpec
from tests.export.conftest import CLASSES, POSITIONS
from tests.export.few_texts import WHOLE

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
    texts = dict.fromkeys([*CONTROL, *ends, *long, *mixed, *json.loads(WHOLE.read_text("utf-8"))])
    return [text for text in texts if any(map(str.isalnum, text))][:count]  # none is blank


def of_the_pipeline(checkpoint: Path, texts: list[str], max_length: int) -> Any:
    """Return the probabilities [texts, classes] that transformers' pipeline gives."""
    from transformers import pipeline

    pipe = pipeline("text-classification", model=str(checkpoint), device="cpu")
    answers = [pipe(text, truncation=True, max_length=max_length, top_k=None) for text in texts]
    names: Any = pipe.model.config.id2label
    scores = [{each["label"]: each["score"] for each in answer} for answer in answers]
    return np.array([[score[names[i]] for i in range(len(names))] for score in scores])


@pytest.mark.usefixtures("all_texts")
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
            assert figures.largest_difference <= 1e-5


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
    assert figures.largest_difference <= 1e-5


def second_reference(checkpoint: Path, bundle_path: Path) -> AsTrained:
    """Compare a bundle with a checkpoint, as its export does."""
    bundle = open_bundle(bundle_path)
    rules = TextRules(bundle.normalizer, bundle.max_length, bundle.metadata.split_special_tokens)
    encoder = saved_encoder(open_base(str(checkpoint)), rules)
    reference = Reference(bundle_path, bundle.max_length)
    classes = Classes(bundle.labels, bundle.task, bundle.activation)
    truth, _ = true_answers(reference, bundle.normalizer, bundle.canary().texts, classes)
    return compared(checkpoint, reference, encoder, truth)


def recorded(bundle_path: Path) -> AsTrained:
    record = decoded(open_bundle(bundle_path).metadata.as_trained, AsTrained)
    assert record is not None
    return record


def test_a_bundle_says_how_the_pipeline_of_its_checkpoint_answers(
    bundles: Callable[[str], Path],
) -> None:
    """Ours has its weights rounded and its texts cleaned, and the record, card and info say so."""
    record = recorded(bundles("bert"))
    assert (record.dtype, record.normalizer, record.rounded) == ("float32", "tweetscore", True)
    assert in_half_precision(record)
    assert record.texts > 400
    words = (
        "texts cleaned with tweetscore, from transformers' pipeline with the checkpoint in float32"
    )
    assert words in described(record)
    assert words in " ".join((bundles("bert") / "README.md").read_text("utf-8").split())
    result = CliRunner().invoke(tweetscore, ["model", "info", str(bundles("bert"))])
    assert f"as trained:   {described(record)}" in result.stdout
    assert "normalizer: tweetscore 1" in result.stdout


@pytest.fixture(scope="module")
def foreign_bundle(
    foreign: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("foreign") / "bundle"
    export_bundle(foreign("bert"), path, ExportOptions())
    return path


def test_a_foreign_checkpoint_in_fp32_is_served_to_a_thousandth(
    foreign: Callable[[str], Path], foreign_bundle: Path
) -> None:
    """Raw texts and the weights as they are: no rounding is left to explain a difference."""
    record = recorded(foreign_bundle)
    assert (record.dtype, record.normalizer, record.rounded) == ("float32", "none", False)
    assert (record.label_agreement, record.largest_difference < 1e-5) == (1, True)
    again = second_reference(foreign("bert"), foreign_bundle)
    assert again.label_agreement == 1


def changed_weights(
    checkpoint: Path, target: Path, change: Callable[[Any], Any], **config: object
) -> Path:
    copy = Path(shutil.copytree(checkpoint, target))
    weights = load_file(copy / "model.safetensors")
    changed = {name: change(tensor) for name, tensor in weights.items()}
    save_file(changed, copy / "model.safetensors", metadata={"format": "pt"})
    path = copy / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **config}), "utf-8")
    return copy


def test_other_weights_are_not_those_of_the_checkpoint(
    foreign: Callable[[str], Path], foreign_bundle: Path, tmp_path: Path
) -> None:
    """Whatever the bundle's own weights agree with: they are not what the user has."""
    other = changed_weights(foreign("bert"), tmp_path / "other", lambda x: x * 1.1)
    with pytest.raises(GateFailed, match="does not answer as the checkpoint's own pipeline does"):
        second_reference(other, foreign_bundle)


def test_half_precision_is_recorded_and_has_its_own_bound(
    foreign: Callable[[str], Path], foreign_bundle: Path, tmp_path: Path
) -> None:
    """A checkpoint in fp16 is computed in fp16 by the pipeline, and in fp32 here."""
    half = changed_weights(foreign("bert"), tmp_path / "half", lambda x: x.half(), dtype="float16")
    record = second_reference(half, foreign_bundle)
    assert (record.dtype, in_half_precision(record)) == ("float16", True)
    assert 1e-4 < record.largest_difference <= 0.05


def test_a_tokenizer_that_says_something_else_is_found(
    foreign: Callable[[str], Path], foreign_bundle: Path, tmp_path: Path
) -> None:
    """The text is named."""
    other = Path(shutil.copytree(foreign("bert"), tmp_path / "other"))
    path = other / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["normalizer"]["lowercase"] = False
    path.write_text(json.dumps(content), "utf-8")
    settings = other / "tokenizer_config.json"
    cased = {**json.loads(settings.read_text("utf-8")), "do_lower_case": False}
    settings.write_text(json.dumps(cased), "utf-8")
    with pytest.raises(GateFailed, match="gets other token ids in the bundle"):
        second_reference(other, foreign_bundle)


def test_near_ties_may_go_either_way_in_half_precision() -> None:
    """Between labels or at the threshold; what is clearly another label counts."""
    theirs = np.array([[0.500, 0.495], [0.60, 0.30], [0.9, 0.1]], np.float32)
    ours = np.array([[0.494, 0.501], [0.30, 0.60], [0.9, 0.1]], np.float32)
    texts, ids = ("a", "b", "c"), [[1], [2], [3]]
    single = Truth(texts, ids, ours)
    assert as_trained._clearly_apart(single, theirs).tolist() == [False, True, False]
    several = Truth(texts, ids, ours, "multi_label", "sigmoid")
    assert as_trained._clearly_apart(several, theirs).tolist() == [False, True, False]
    both = np.array([[0.500, 0.495], [0.60, 0.30], [0.9, 0.6]], np.float32)
    assert as_trained._clearly_apart(several, both).tolist() == [False, True, True]
    number = Truth(texts, ids, ours[:, :1], "regression", "none")
    assert not as_trained._clearly_apart(number, theirs[:, :1]).any()


@pytest.mark.usefixtures("all_texts")
def test_padding_that_a_foreign_model_does_not_bear_is_a_note(
    foreign: Callable[[str], Path], tmp_path: Path
) -> None:
    """GPT-2 padded on the left answers by its batch: the pipeline and a run have one text each."""
    copy = Path(shutil.copytree(foreign("gpt2"), tmp_path / "left"))
    path = copy / "tokenizer_config.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "padding_side": "left"}), "utf-8")
    reference = Reference(copy, POSITIONS)
    classes = Classes(CLASSES, "single_label", "softmax")
    texts = whole_texts()
    truth, notes = true_answers(reference, Normalizer(name="none"), texts, classes)
    assert len(truth.texts) == len(truth.token_ids) == len(truth.scores) > 250
    (note,) = notes
    assert "in batches of 7 than alone" in note
    assert note.endswith("; a run answers as alone")
    with pytest.raises(GateFailed, match="in batches of 7 than alone"):
        true_answers(reference, Normalizer(), texts, classes)
