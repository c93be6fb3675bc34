"""The hostile tokenizers: what is done to a good one, and the words by which it must be refused."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from tests.hostile.bundle_factory import (
    HUGE,
    Case,
    Change,
    added,
    added_tokens,
    nested,
    template,
    tokenizer,
    vocabulary,
    vocabulary_id,
)

_SLOW = "not known to take linear time"
_BLOCK = [0] * 256


#: Regular expressions that take more than linear time, or are not known to take less.
SLOW: Mapping[str, str] = {
    "of exponential time": "(a+)+$",
    "of exponential time without groups": "a?" * 30 + "a" * 30,
    "of quadratic time": r"\s+$",
    "that gives back a run": "a*b",
    "of two runs": "a+b+",
    "of two kinds of one run": "(a|aa)+",
    "with a lazy run": "a+?b",
    "with a run of runs": "a{2}{3}",
    "with a giant count": "a{1,99}b",
    "that looks ahead": r"\p{L}+(?!\S)",
    "that looks behind": "(?<=a)b",
    "that refers back": r"(a)\1",
    "that calls itself": r"a\g<0>",
    "that matches nothing": "a*",
    "of no letter": "",
    "with the tail of Llama 3 broken": r"\s*[\r\n]+| |\s+",
    "of a giant size": "a" * 10**6,
    "that is cut short": "[a",
}


def split(regex: str) -> Change:
    pattern = {"pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return tokenizer(pre_tokenizer={"type": "Split", **pattern})


def replace(pattern: object, content: str = "") -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def replacing(pattern: object, content: str = "") -> Change:
    return tokenizer(normalizer=replace(pattern, content))


def sequence(children: str, *components: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", children: list(components)}


def normalizers(*components: dict[str, Any]) -> Change:
    return tokenizer(normalizer=sequence("normalizers", *components))


def precompiled(
    units: Sequence[int], replacements: bytes = b"", size: int | None = None
) -> dict[str, Any]:
    """Return a Precompiled of such a trie; its size is that of the units, or what is said."""
    length = 4 * len(units) if size is None else size
    content = struct.pack(f"<I{len(units)}I", length, *units) + replacements
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()}


def unit(label: int, offset: int, *, leaf: bool = False) -> int:
    """Return a unit of the trie: the byte that leads to it, and how far its state is from it."""
    return offset << 10 | leaf << 8 | label


def trie(value: int) -> list[int]:
    """Return a trie that knows `a`, with that value: state 0, `a` at place 97, its leaf at 1."""
    units = list(_BLOCK)
    units[ord("a")] = unit(ord("a"), ord("a") ^ 1, leaf=True)
    units[1] = 1 << 31 | value
    return units


def unigram(**fields: Any) -> Change:
    pieces = [["<unk>", 0.0], ["a", -1.0], ["b", -2.5]]
    return tokenizer(model={"type": "Unigram", "vocab": pieces, "unk_id": 0, **fields})


def _uneven() -> dict[str, Any]:
    broken = template(1)
    broken["special_tokens"]["x"]["ids"] = [1, 1, 1]
    return broken


_LENGTH = "not as long as it says"
TABLES: Mapping[str, tuple[dict[str, Any], str]] = {
    "of no byte": ({"type": "Precompiled", "precompiled_charsmap": ""}, _LENGTH),
    "that is a number": ({"type": "Precompiled", "precompiled_charsmap": 5}, "without its table"),
    "that is not base64": ({"type": "Precompiled", "precompiled_charsmap": "€"}, "not base64"),
    "of a giant size": (precompiled(_BLOCK * 1100), "more than 1048576 bytes"),
    "without a trie": (precompiled([]), _LENGTH),
    "that says it is giant": (precompiled(_BLOCK, size=2**32 - 1024), _LENGTH),
    "of half a block": (precompiled(_BLOCK[:128]), _LENGTH),
    "whose root leads outside": (precompiled([unit(0, 2**18), *_BLOCK[1:]]), "leads outside"),
    "whose letter leads outside": (
        precompiled([*_BLOCK[:97], unit(97, 2**18), *_BLOCK[98:]]),
        "leads outside",
    ),
    "whose value is outside": (precompiled(trie(HUGE), b"b\0"), "lies outside"),
    "whose value is behind the end": (precompiled(trie(2), b"b\0"), "lies outside"),
    "whose value is half a letter": (precompiled(trie(1), "é\0".encode()), "half a letter"),
    "whose letter becomes a thousand": (precompiled(trie(0), b"b" * 1000), "more than 64 bytes"),
    "in no encoding": (precompiled(trie(0), b"\xff\0"), "not UTF-8"),
}
_PIECE = "no text of 1 to 128 letters"
UNIGRAMS: Mapping[str, tuple[dict[str, Any], str]] = {
    "without a vocabulary": ({"vocab": None}, "needs a vocabulary"),
    "of no piece": ({"vocab": []}, "needs a vocabulary"),
    "of more pieces than tokens": ({"vocab": [["a", 0.0]] * 10**5}, "needs a vocabulary"),
    "whose vocabulary is another kind's": ({"vocab": {"a": 0}}, "needs a vocabulary"),
    "with a piece that is none": ({"vocab": [["a", 0.0], "b"]}, "not a text with its score"),
    "with a piece of three": ({"vocab": [["a", 0.0, 1]]}, "not a text with its score"),
    "with a piece that is a number": ({"vocab": [[1, 0.0]]}, _PIECE),
    "with an empty piece": ({"vocab": [["a", 0.0], ["", 0.0]]}, _PIECE),
    "with a giant piece": ({"vocab": [["a" * 10**6, 0.0]]}, _PIECE),
    "with a score that is a text": ({"vocab": [["a", "0"]]}, "not a finite number"),
    "with a giant score": ({"vocab": [["a", 10**400]]}, "not a finite number"),
    "with an infinite score": ({"vocab": [["a", -1e300]]}, "not a finite number"),
    "without an unknown piece": ({"unk_id": None}, "the unknown piece None"),
    "whose unknown piece is beyond": ({"unk_id": 3}, "the unknown piece 3"),
    "by chance": ({"dropout": 0.1}, "has a dropout"),
}

TOKENIZERS: Mapping[str, Case] = {
    **{f"regular expression {name}": Case(split(regex), _SLOW) for name, regex in SLOW.items()},
    "regular expression in Replace": Case(replacing({"Regex": "(a+)+$"}), _SLOW),
    "regular expression of a decoder": Case(
        tokenizer(decoder={"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}), _SLOW
    ),
    "pattern that is none": Case(replacing(None), _SLOW),
    "pattern of two kinds": Case(replacing({"String": "a", "Regex": "(a+)+$"}), _SLOW),
    "pattern without a letter": Case(replacing({"String": ""}), _SLOW),
    "pattern of a giant size": Case(replacing({"String": "a" * 10**6}), _SLOW),
    "letter that becomes 256": Case(
        replacing({"String": "a"}, "a" * 256), "than 64 letters of one"
    ),
    "letter that becomes 2 and 2 and 2": Case(
        normalizers(*[replace({"String": "a"}, "aa")] * 7), "than 64 letters of one"
    ),
    "texts that double again and again": Case(
        tokenizer(pre_tokenizer=sequence("pretokenizers", *[{"type": "ByteLevel"}] * 30)),
        "ByteLevel twice",
    ),
    "texts that begin again and again": Case(
        tokenizer(pre_tokenizer=sequence("pretokenizers", *[{"type": "Metaspace"}] * 30)),
        "Metaspace twice",
    ),
    "parts of no letter": Case(
        tokenizer(pre_tokenizer={"type": "FixedLength", "length": 0}), "'FixedLength'"
    ),
    "table that is missing": Case(normalizers({"type": "Precompiled"}), "without its table"),
    **{
        f"table {name}": Case(normalizers(table), problem)
        for name, (table, problem) in TABLES.items()
    },
    "unknown component in a sequence": Case(
        tokenizer(normalizer={"type": "Sequence", "normalizers": [{"type": "Evil"}]}), "'Evil'"
    ),
    "sequence of a number": Case(
        tokenizer(normalizer={"type": "Sequence", "normalizers": 5}), "type 'int'"
    ),
    "component of two types": Case(tokenizer(decoder={"type": ["ByteLevel"]}), "not allowed"),
    "component nested too deep": Case(tokenizer(normalizer=nested(100)), "not allowed"),
    "component of a million parts": Case(
        tokenizer(normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}] * 10**5}),
        "more than 200 values",
    ),
    "component with a giant text": Case(
        tokenizer(decoder={"type": "WordPiece", "prefix": "#" * 10**6, "cleanup": True}),
        "out of bounds",
    ),
    "giant id in the vocabulary": Case(vocabulary_id(HUGE), "ids in its vocabulary"),
    "negative id in the vocabulary": Case(vocabulary_id(-1), "ids in its vocabulary"),
    "vocabulary that is none": Case(vocabulary(vocab=[["a", 0]]), "has no vocabulary"),
    "unknown token that is unknown": Case(vocabulary(unk_token="[HUH]"), "not in its vocabulary"),
    "words without a limit": Case(vocabulary(max_input_chars_per_word=HUGE), "words of more than"),
    "giant prefix of words": Case(vocabulary(continuing_subword_prefix="#" * 10**6), "long prefix"),
    "tokens by chance": Case(vocabulary(dropout=0.5), "has a dropout"),
    "giant id of an added token": Case(added_tokens([added("love", HUGE)]), "'love' with an id"),
    "giant added token": Case(added_tokens([added("x" * 10**6, 1)]), "text of 1 to 256 letters"),
    "empty added token": Case(added_tokens([added("", 1)]), "text of 1 to 256 letters"),
    "100,000 added tokens": Case(
        added_tokens([added(f"x{i}", 1) for i in range(10**5)]), "a list of at most 10000"
    ),
    "added tokens that are none": Case(tokenizer(added_tokens={"a": 1}), "a list of at most 10000"),
    "template with an unknown token": Case(
        tokenizer(post_processor={**template(1), "special_tokens": {}}), "does not define"
    ),
    "prefix that its library does not expect": Case(
        vocabulary(type="BPE", merges=["l o"], continuing_subword_prefix="##"), "lacks its prefix"
    ),
    "giant id in every text": Case(
        tokenizer(post_processor=template(HUGE)), "post_processor with 1000000000"
    ),
    "a million ids in every text": Case(
        tokenizer(post_processor=template(*[1] * 10**6)), "post_processor of more than 200 values"
    ),
    **{f"Unigram {name}": Case(unigram(**fields), say) for name, (fields, say) in UNIGRAMS.items()},
    "words without a token for others": Case(
        tokenizer(model={"type": "WordLevel", "vocab": {"a": 0}}), "not in its vocabulary"
    ),
    "unknown token that is null": Case(vocabulary(unk_token=None), "not in its vocabulary"),
    "words of a thousand letters": Case(vocabulary(max_input_chars_per_word=1000), "more than 200"),
    "giant suffix of words": Case(
        vocabulary(type="BPE", merges=[], end_of_word_suffix="#" * 10**6), "long prefix"
    ),
    "merges that are none": Case(
        vocabulary(type="BPE", merges=5, continuing_subword_prefix="##"), "lacks its prefix"
    ),
    "template for two texts": Case(
        tokenizer(post_processor=template(1, texts=["A", "B"])), "not for one text"
    ),
    "template for a text twice": Case(
        tokenizer(post_processor=template(1, texts=["A", "A"])), "not for one text"
    ),
    "template for no text": Case(tokenizer(post_processor=template(1, texts=[])), "for one text"),
    "two templates": Case(
        tokenizer(post_processor=sequence("processors", template(1), template(1))), "twice"
    ),
    "template with more ids than tokens": Case(
        tokenizer(post_processor=_uneven()), "not as many ids as texts"
    ),
    "added tokens of a giant size in all": Case(
        added_tokens([added("x" * 250 + str(i), 1) for i in range(1001)]), "more than 250000"
    ),
    "added tokens that the model lacks": Case(
        added_tokens([added(f"new {i}", 1) for i in range(10**3)]), "beside its vocabulary"
    ),
    "millions of lists": Case(
        tokenizer(added_tokens=[[] for _ in range(2 * 10**6)]), "lists and objects"
    ),
}
