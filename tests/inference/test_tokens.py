"""Token ids are those of training, and special tokens in a text are text."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.errors import DataError, InvalidBundle
from scorer.inference.bundle import Bundle, open_bundle
from scorer.inference.preparation import TextTokenizer
from tests.stub_metadata import stub_metadata

SPECIAL = ["<|endoftext|>", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]"]
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*SPECIAL, " ", "I love", "station", "\U0001f602", "مرحبا", "\x00", "é"]),
        st.text(max_size=5),
    ),
    max_size=20,
).map("".join)


@pytest.fixture(scope="module", params=["tiny_bert_bundle", "tiny_gpt2_bundle"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return open_bundle(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def reference(bundle: Bundle) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(bundle.directory)


@given(texts=st.lists(TEXTS, min_size=1, max_size=5))
def test_ids_are_those_of_transformers(bundle: Bundle, reference: Any, texts: list[str]) -> None:
    """Special-token text, blank texts, over-long ones: the same ids, truncated the same way."""
    expected = [
        reference(text, truncation=True, max_length=bundle.max_length, split_special_tokens=True)
        for text in texts
    ]
    tokens = TextTokenizer(bundle)(texts)
    assert [tokens.row(i).tolist() for i in range(len(texts))] == [e.input_ids for e in expected]
    assert tokens.ids.dtype == tokens.offsets.dtype == np.int64


@given(texts=st.lists(TEXTS, max_size=9), at_once=st.integers(1, 40))
def test_texts_are_encoded_in_pieces_as_in_one(
    bundle: Bundle, texts: list[str], at_once: int
) -> None:
    """How many characters go to the library at once shows in memory only."""
    tokenizer = TextTokenizer(bundle)
    whole = tokenizer(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scorer.inference.preparation._ENCODED_AT_ONCE", at_once)
        sliced = tokenizer(texts)
    for field in ("ids", "offsets", "truncated"):
        np.testing.assert_array_equal(getattr(sliced, field), getattr(whole, field))


@pytest.mark.parametrize("word", SPECIAL)
def test_a_special_token_in_a_text_is_text(bundle: Bundle, word: str) -> None:
    """Nobody inserts control tokens by tweeting their names."""
    tokenizer = TextTokenizer(bundle)
    content = tokenizer([f"a {word} b"]).row(0)
    if bundle.model_type == "bert":
        content = content[1:-1]
    inner = tokenizer._tokenizer
    # [UNK] is what WordPiece itself answers to letters it does not know.
    control = {inner.token_to_id(name) for name in SPECIAL if name != "[UNK]"} - {None}
    assert not control & set(content.tolist())


def test_truncation_is_flagged_from_one_token_over(bundle: Bundle) -> None:
    """A text that fits exactly is not truncated; one token more is, to max_length."""
    tokenizer = TextTokenizer(bundle)
    free = bundle.max_length - tokenizer.special_tokens
    unit = "!"
    texts = [" ".join([unit] * n) for n in (free - 1, free, free + 1, 3 * free)]
    if bundle.model_type == "gpt2":  # its BPE sees "!" and " !" as tokens of their own
        texts = [unit * n for n in (free - 1, free, free + 1, 3 * free)]
    tokens = tokenizer(texts)
    assert tokens.truncated.tolist() == [False, False, True, True]
    assert tokens.lengths.tolist() == [bundle.max_length - 1, *[bundle.max_length] * 3]


def test_an_empty_text_has_only_special_tokens(bundle: Bundle) -> None:
    """What makes a text blank: two special tokens for BERT, none at all for GPT-2."""
    tokenizer = TextTokenizer(bundle)
    assert tokenizer.special_tokens == {"bert": 2, "gpt2": 0}[bundle.model_type]
    assert tokenizer([""]).lengths.tolist() == [tokenizer.special_tokens]
    assert tokenizer([]).lengths.tolist() == []


def test_rows_can_be_taken(bundle: Bundle) -> None:
    """Taken rows keep ids and flags, in the order asked for."""
    tokens = TextTokenizer(bundle)(["one", "", "two words", "x " * 500])
    taken = tokens.take(np.array([3, 0, 1]))
    for place, row in enumerate([3, 0, 1]):
        assert taken.row(place).tolist() == tokens.row(row).tolist()
    assert taken.truncated.tolist() == [True, False, False]


def test_unknown_tokens_are_counted_in_each_text(tiny_bert_bundle: Path) -> None:
    """Text that the vocabulary does not cover; not the token's name, which is text."""
    tokenizer = TextTokenizer(open_bundle(tiny_bert_bundle))
    tokens = tokenizer(["I love", "☃ love ☃", "", "☃", "[UNK]"])
    assert tokens.count(tokenizer.unknown_id).tolist() == [0, 2, 0, 1, 0]


def test_a_tokenizer_of_bytes_knows_everything(tiny_gpt2_bundle: Path) -> None:
    tokenizer = TextTokenizer(open_bundle(tiny_gpt2_bundle))
    tokens = tokenizer(["☃", "", "<|endoftext|>"])
    assert tokens.count(tokenizer.unknown_id).tolist() == [0, 0, 0]


def test_a_tokenizer_that_cannot_be_read_is_the_bundles_fault(
    tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """A file that is allowed by its types but broken inside is an invalid bundle."""
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"type": "WordPiece"}}')
    broken = recorded(dataclasses.replace(open_bundle(tiny_bert_bundle), directory=tmp_path), path)
    with pytest.raises(InvalidBundle, match="cannot be read as a tokenizer"):
        TextTokenizer(broken)


def recorded(bundle: Bundle, path: Path) -> Bundle:
    """Return the bundle as if this file had been verified."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return dataclasses.replace(bundle, metadata=stub_metadata(files={path.name: digest}))


def test_a_panic_of_the_library_is_an_error_of_the_text(bundle: Bundle) -> None:
    """It gives up on ten million blanks; its panic is no Exception, and no bug of ours."""

    class PanicException(BaseException):
        pass

    class Stub:
        def encode_batch_fast(self, texts: list[str]) -> None:
            raise PanicException(f"retry limit over {texts[0][:0]}")

    tokenizer = TextTokenizer(bundle)
    tokenizer._tokenizer = Stub()
    with pytest.raises(DataError, match="the longest of 2 has 1,200 letters"):
        tokenizer(["a", " " * 1_200])


def test_padding_and_truncation_of_the_file_are_not_obeyed(
    tiny_bert_bundle: Path, tmp_path: Path
) -> None:
    """A tokenizer that asks to pad to 10^9 tokens, or to cut at one, does neither."""
    bundle = open_bundle(tiny_bert_bundle)
    content = json.loads(bundle.read("tokenizer.json"))
    content["padding"] = {
        "strategy": {"Fixed": 10**9},
        "direction": "Right",
        "pad_to_multiple_of": 10**9,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    content["truncation"] = {
        "direction": "Left",
        "max_length": 3,
        "strategy": "LongestFirst",
        "stride": 0,
    }
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    padding = recorded(dataclasses.replace(bundle, directory=tmp_path), path)
    texts = ["I love this song", "x " * 500]
    expected, tokens = TextTokenizer(bundle)(texts), TextTokenizer(padding)(texts)
    assert tokens.ids.tolist() == expected.ids.tolist()
    assert tokens.offsets.tolist() == expected.offsets.tolist()


def test_special_tokens_do_not_fill_the_length(tiny_bert_bundle: Path, tmp_path: Path) -> None:
    """One that gives every text as many tokens of its own as there may be is an invalid bundle."""
    bundle = open_bundle(tiny_bert_bundle)
    content = json.loads(bundle.read("tokenizer.json"))
    special = content["post_processor"]["special_tokens"]["[SEP]"]
    special.update(ids=[1] * (bundle.max_length - 1), tokens=["[UNK]"] * (bundle.max_length - 1))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    full = recorded(dataclasses.replace(bundle, directory=tmp_path), path)
    with pytest.raises(InvalidBundle, match="gives every text 48 tokens, of at most 48"):
        TextTokenizer(full)


def test_a_tokenizer_that_changed_since_is_not_read(tiny_bert_bundle: Path, tmp_path: Path) -> None:
    """What is loaded is what was verified, or nothing."""
    bundle = dataclasses.replace(open_bundle(tiny_bert_bundle), directory=tmp_path)
    content = (tiny_bert_bundle / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(content)
    TextTokenizer(bundle)
    (tmp_path / "tokenizer.json").write_bytes(content + b" ")
    with pytest.raises(InvalidBundle, match="does not have the sha256"):
        TextTokenizer(bundle)
