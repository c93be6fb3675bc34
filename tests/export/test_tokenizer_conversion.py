"""Files of SentencePiece, and other old ones, become the tokenizer that transformers makes."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.train.text_encoder import TextEncoder
from export.train.tokenizer import load_tokenizer
from scorer.errors import InvalidBundle
from scorer.inference.normalize import Normalizer
from tests.once import made_once
from tests.tokenizers_of import SENTENCEPIECE, save_sentencepiece, slow_class, texts


@pytest.fixture(scope="module")
def slow_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a family to the directory of its slow tokenizer."""

    def directory(family: str) -> Path:
        def make(path: Path) -> None:
            model = save_sentencepiece(family, path)
            slow_class(family)(str(model)).save_pretrained(path)

        return made_once(tmp_path_factory, f"slow-{family}", make)

    return directory


@pytest.mark.parametrize("family", [name for name in SENTENCEPIECE if name != "mistral"])
def test_a_slow_tokenizer_is_converted(family: str, slow_of: Callable[[str], Path]) -> None:
    """It gives the slow one's ids, and no file is written beside those that are there."""
    directory = slow_of(family)
    before = sorted(path.name for path in directory.iterdir())
    tokenizer = load_tokenizer(directory, family)
    slow = slow_class(family).from_pretrained(directory)
    assert tokenizer.is_fast
    # The selector of an emoji is what ALBERT's and XLNet's fast forms alone remove.
    asked = [text for text in texts() if "\ufe0f" not in text]
    assert [tokenizer(text)["input_ids"] for text in asked] == [
        slow(text)["input_ids"] for text in asked
    ]
    assert sorted(path.name for path in directory.iterdir()) == before


@pytest.mark.parametrize("family", ["llama", "xlm-roberta"])
def test_what_was_converted_is_saved_as_a_tokenizer_json(
    family: str, slow_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """SentencePiece's own file has no place in a bundle; without it the ids stay the same."""
    tokenizer = load_tokenizer(slow_of(family), family)
    TextEncoder(tokenizer, Normalizer("keep"), 64).save(tmp_path)
    assert not [*tmp_path.glob("*.model")]
    again = load_tokenizer(tmp_path, family)
    assert [again(text)["input_ids"] for text in texts()] == [
        tokenizer(text)["input_ids"] for text in texts()
    ]


def test_word_pieces_without_a_tokenizer_json_are_converted(
    tiny_base: Callable[[str], Path], tmp_path: Path
) -> None:
    """A vocab.txt is enough, where the model's own configuration says its type."""
    for name in ("config.json", "vocab.txt"):
        shutil.copy(tiny_base("bert") / name, tmp_path)
    tokenizer = load_tokenizer(tmp_path, "bert", split_special_tokens=True)
    assert tokenizer.is_fast
    assert tokenizer.split_special_tokens


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("BertweetTokenizer", {"tokenizer_config.json": {"tokenizer_class": "BertweetTokenizer"}}),
        ("BertweetTokenizer", {"config.json": {"tokenizer_class": "BertweetTokenizer"}}),
        ("BertweetTokenizer", {"bpe.codes": ""}),
        ("FlaubertTokenizer", {"config.json": {"tokenizer_class": "FlaubertTokenizer"}}),
    ],
)
def test_a_tokenizer_in_python_only_is_refused_with_models_that_fit(
    name: str, files: dict[str, Any], tmp_path: Path
) -> None:
    """BERTweet's has no fast form: one line says so, and which command serves tweets instead."""
    for file, content in files.items():
        (tmp_path / file).write_text(json.dumps(content))
    with pytest.raises(InvalidBundle, match=f"is a {name}, of which .* no fast form") as refusal:
        load_tokenizer(tmp_path, "roberta")
    assert "tweetscore model export hf:cardiffnlp/" in refusal.value.remedy
    assert "hf:pysentimiento/robertuito" in refusal.value.remedy


def test_a_conversion_that_changes_ids_is_refused(
    slow_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the reason is: the slow one is what the vocabulary was made for."""
    from transformers.convert_slow_tokenizer import XLMRobertaConverter

    monkeypatch.setattr(XLMRobertaConverter, "normalizer", lambda *_: None)
    shutil.copytree(slow_of("xlm-roberta"), tmp_path, dirs_exist_ok=True)
    with pytest.raises(InvalidBundle, match="other ids once it is converted"):
        load_tokenizer(tmp_path, "xlm-roberta")


def edited(path: Path, change: Callable[[Any], object]) -> None:
    from transformers.convert_slow_tokenizer import import_protobuf

    model = import_protobuf().ModelProto()
    model.ParseFromString(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.write_bytes(b"\xff" * 100), "no file of SentencePiece"),
        (lambda path: path.write_bytes(b""), "has 0 pieces"),
        (
            lambda path: edited(path, lambda m: setattr(m.trainer_spec, "model_type", 3)),
            "splits into words or letters",
        ),
        (
            lambda path: edited(
                path,
                lambda m: setattr(m.normalizer_spec, "precompiled_charsmap", b"\x00\x04\x00\x00"),
            ),
            "its trie is not as long",
        ),
        (
            lambda path: edited(path, lambda m: setattr(m.pieces[50], "piece", "a" * 1000)),
            "no text of 1 to 128 letters",
        ),
        (lambda path: os.truncate(path, 2**25), "more than 16777216 are not allowed"),
    ],
)
def test_a_hostile_file_of_sentencepiece_is_refused(
    change: Callable[[Path], object],
    problem: str,
    slow_of: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Before the library in C++ reads it, or before the conversion is used."""
    shutil.copytree(slow_of("xlm-roberta"), tmp_path, dirs_exist_ok=True)
    change(tmp_path / "sentencepiece.bpe.model")
    with pytest.raises(InvalidBundle, match=problem):
        load_tokenizer(tmp_path, "xlm-roberta")


def test_files_that_are_not_there_are_named_by_transformers(tmp_path: Path) -> None:
    """A directory without a vocabulary is refused in one line."""
    with pytest.raises(InvalidBundle, match="transformers cannot read the tokenizer in"):
        load_tokenizer(tmp_path, "roberta")
