"""The tokenizer of each family is read, and gives the ids that transformers gives."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scorer.errors import InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.bundle.tokenizer_file import verify_tokenizer
from scorer.inference.preparation import TextTokenizer
from tests.stub_metadata import stub_metadata
from tests.tokenizers_of import SENTENCEPIECE, TRAINED, texts, trained

FAMILIES = [*SENTENCEPIECE, *TRAINED]
# What their authors write into every text.
SPECIAL_TOKENS = {"bloom": 0, "qwen2": 0, "gemma": 1, "llama": 1, "llama3": 1, "mistral": 1} | {
    "opt": 1,
    "t5": 1,
    "gpt2": 0,
}
# Those whose every letter has a token, or bytes.
COMPLETE = {"bloom", "gemma", "gpt2", "llama", "llama3", "mistral", "modernbert", "opt"} | {
    "qwen2",
    "roberta",
}
# Those for which blanks are a text.
BLANKS = COMPLETE | {"albert", "robertuito", "xlnet"}
HARD = (
    "",
    "Hello, World 12 345",
    "I'll say it's `` quoted '' twice...",
    "so happy \U0001f602\U0001f602 \U0001f469\u200d\U0001f4bb #blessed @friend https://t.co/x",
    "ﷺ ½ ﬁ Ⅻ é e\u0301 İstanbul ß",
    "مرحبا بالعالم नमस्ते 漢字かな交じり ไทย",
    "\u200b\ufeff\x00\x01 \t\r\n end  ",
    "   two   blanks  ",
    "<s> </s> [CLS] [MASK] <mask> <|endoftext|> <unk> ▁",
    "a" * 300,
    "🇩🇪" * 100,
)


@pytest.fixture(scope="module")
def directory_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a family to the directory of its tokenizer."""
    return lambda family: trained(tmp_path_factory, family)


def bundle_of(directory: Path, good: Path, max_length: int = 128) -> Bundle:
    """Return the good bundle with the tokenizer of a directory."""
    content = (directory / "tokenizer.json").read_bytes()
    files = {"tokenizer.json": hashlib.sha256(content).hexdigest()}
    return dataclasses.replace(
        open_bundle(good),
        directory=directory,
        max_length=max_length,
        metadata=stub_metadata(files=files),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_transformers(
    family: str, directory_of: Callable[[str], Path], tiny_bert_bundle: Path
) -> None:
    """Texts of the samples and hard ones, control tokens as words, cut at the same token."""
    from transformers import AutoTokenizer

    directory = directory_of(family)
    path = directory / "tokenizer.json"
    reference = AutoTokenizer.from_pretrained(directory)
    verify_tokenizer(path, path.read_bytes(), len(reference))
    tokenizer = TextTokenizer(bundle_of(directory, tiny_bert_bundle))
    asked = [*texts(), *HARD]
    tokens = tokenizer(asked)
    for row, text in enumerate(asked):
        expected = reference(text, truncation=True, max_length=128, split_special_tokens=True)
        assert tokens.row(row).tolist() == expected["input_ids"], text


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_blank_and_what_is_unknown(
    family: str, directory_of: Callable[[str], Path], tiny_bert_bundle: Path
) -> None:
    """An empty text has special tokens only, and a letter that was never seen is counted."""
    tokenizer = TextTokenizer(bundle_of(directory_of(family), tiny_bert_bundle))
    assert tokenizer.special_tokens == SPECIAL_TOKENS.get(family, 2)
    tokens = tokenizer(["", "   ", "☃"])
    blank = [tokenizer.special_tokens, tokenizer.special_tokens]
    assert (tokens.lengths[:2].tolist() == blank) is (family not in BLANKS)
    assert tokens.lengths[0] == tokenizer.special_tokens
    assert tokens.count(tokenizer.unknown_id).tolist() == [0, 0, int(family not in COMPLETE)]


ADDED = {
    "<plain>": {},
    "<left>": {"lstrip": True},
    "<right>": {"rstrip": True},
    "<alone>": {"single_word": True},
    "LoL": {"normalized": True},
    "<Both>": {"normalized": True, "lstrip": True, "rstrip": True},
    "[control]": {"special": True},
}
BESIDE = (
    "a <plain> b",
    "a  <left>  b",
    "a  <right>  b",
    "x<alone>y <alone> z",
    "lol LOL LoL",
    "a   <both>   b <Both>",
    "a [control] b",
    "<left><right><plain>",
    "  <right>  ",
)


@pytest.mark.parametrize("family", ["albert", "electra", "llama", "opt", "robertuito"])
def test_added_tokens_are_found_as_by_transformers(
    family: str, directory_of: Callable[[str], Path], tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """With blanks beside them, as single words, in other letters; a control token is words."""
    from transformers import PreTrainedTokenizerFast

    content: dict[str, Any] = json.loads((directory_of(family) / "tokenizer.json").read_bytes())
    known = {token["id"] for token in content["added_tokens"]}
    first = max(len(content["model"]["vocab"]), max(known, default=0) + 1)
    off = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    for number, (text, flags) in enumerate(ADDED.items(), first):
        content["added_tokens"].append({"id": number, "content": text, **off, **flags})
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    verify_tokenizer(path, path.read_bytes(), first + len(ADDED))
    reference = PreTrainedTokenizerFast(tokenizer_file=str(path), split_special_tokens=True)
    tokens = TextTokenizer(bundle_of(tmp_path, tiny_bert_bundle))(BESIDE)
    ids = [tokens.row(row).tolist() for row in range(len(BESIDE))]
    assert ids == [reference(text)["input_ids"] for text in BESIDE]
    assert {first, first + 1, first + 2} <= {token for row in ids for token in row}
    assert first + len(ADDED) - 1 not in {token for row in ids for token in row}


def test_an_added_token_that_is_normalized_to_nothing_is_refused(
    directory_of: Callable[[str], Path], tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """It would be found between any two bytes, where the library panics."""
    content: dict[str, Any] = json.loads((directory_of("electra") / "tokenizer.json").read_bytes())
    accent = dict.fromkeys(("single_word", "lstrip", "rstrip", "special"), False)
    known = len(content["model"]["vocab"])
    content["added_tokens"].append({"id": known, "content": "\u0301", "normalized": True, **accent})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(InvalidBundle, match="which its normalizer removes"):
        TextTokenizer(bundle_of(tmp_path, tiny_bert_bundle))
