"""Normalisation: the same column expressions at training and at serving.

A bundle names its rules. ``none`` leaves a text as it is, as transformers' pipeline does.
``cardiff`` is what cardiffnlp documents for its models: of the words between blanks, one that
starts with ``@`` becomes ``@user``, and one that starts with ``http`` becomes ``http``.

``tweetscore`` is what `tweetscore model train` trains with. What a tweet looks like on the wire
says little about its sentiment: link targets, user names, HTML escapes, runs of blanks. Its
version 1 does, in this order:

1. HTML entities become their characters, once (``&amp;lt;`` becomes ``&lt;``);
2. backticks become apostrophes (the training set writes ``don`t``);
3. a URL becomes ``http`` and a mention ``@user``, as in TweetEval's published models;
4. with ``emoji="words"`` an emoji becomes its CLDR name: for tokenizers that would read
   ``[UNK]``; byte-level ones know every emoji and get ``"keep"``;
5. characters without width are dropped, white space is folded and trimmed; a text of
   nothing but format and control characters becomes empty.

Every step is one pass of Rust's regex engine or of an Aho-Corasick automaton, so the time is
linear in the text: no tweet can stall the night. A text's result never depends on the other
texts of the column. A change of any rule is a new version.
"""

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

Name = Literal["none", "tweetscore", "cardiff"]
VERSION = 1  # of the tweetscore rules
VERSIONS: Mapping[str, int] = {"none": 1, "tweetscore": VERSION, "cardiff": 1}

_ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
# ASCII boundaries: to Unicode an emoji's variation selector is part of a word.
_URL = r"(?i)(?-u:\b)(?:https?://|www\.)\S+"
# \B: a mention starts where no word ends, so that a@b.com stays an address.
_MENTION = r"(?-u:\B)@\w+"
# One alternative per shape of emoji: flag, keycap, pictograph with its skin tones and joins.
_EMOJI = (
    r"\p{RI}\p{RI}"
    r"|[0-9#*]\x{FE0F}?\x{20E3}"
    r"|\p{ExtPict}[\x{FE0F}\p{EMod}]*(?:\x{200D}\p{ExtPict}[\x{FE0F}\p{EMod}]*)*"
)
# Zero-width space, word joiner, byte-order mark. The joiners U+200C and U+200D stay:
# Persian, Indic scripts and emoji sequences are spelled with them.
_NO_WIDTH = r"[\x{200B}\x{2060}\x{FEFF}]"
_ONLY_FORMAT = r"^[\s\p{Cf}\p{Cc}\x{FE00}-\x{FE0F}]*$"
# cardiffnlp splits at the ASCII blank alone: a line break is part of a word.
_CARDIFF_USER = r"(^| )@[^ ]+"
_CARDIFF_LINK = r"(^| )http[^ ]*"


@dataclass(frozen=True, slots=True)
class Normalizer:
    """The rules of one bundle, as ``tweetscore.json`` records them."""

    emoji: Literal["words", "keep"] = "keep"
    version: int = VERSION
    name: Name = "tweetscore"

    def __call__(self, texts: "pl.Series") -> "pl.Series":
        """Return the texts normalised: String, same length, null where the input is null."""
        if self.name == "none":
            return texts
        if self.name == "cardiff":
            texts = texts.str.replace_all(_CARDIFF_USER, "${1}@user")
            return texts.str.replace_all(_CARDIFF_LINK, "${1}http")
        return self._tweetscore(texts)

    def _tweetscore(self, texts: "pl.Series") -> "pl.Series":
        texts = _replace_found(texts, "&", _ENTITY, html.unescape)
        texts = (
            texts.str.replace_all("`", "'", literal=True)
            .str.replace_all(_URL, "http")
            .str.replace_all(_MENTION, "@user")
        )
        if self.emoji == "words":
            texts = _replace_found(texts, _EMOJI, _EMOJI, _emoji_words)
        return (
            texts.str.replace_all(_NO_WIDTH, "")
            .str.replace_all(_ONLY_FORMAT, "")
            .str.replace_all(r"\s+", " ")
            .str.strip_chars()
        )


def _replace_found(
    texts: "pl.Series", hint: str, pattern: str, replacement: Callable[[str], str]
) -> "pl.Series":
    """Replace each distinct match of a pattern by a function of it.

    Python sees a match once per column, not once per row. The longest match comes first,
    so that a sequence wins over its own beginning.
    """
    candidates = texts.filter(texts.str.contains(hint))
    if candidates.is_empty():
        return texts
    found = candidates.str.extract_all(pattern).explode(empty_as_null=False).drop_nulls().unique()
    table = {match: replacement(match) for match in sorted(found, key=lambda m: (-len(m), m))}
    if not table:
        return texts
    return texts.str.replace_many(list(table), list(table.values()), leftmost=True)


def _emoji_words(sequence: str) -> str:
    import emoji  # 5,000 names, 30 ms: only for columns that hold one

    named = emoji.demojize(sequence, delimiters=(" ", " "))
    return named.replace("_", " ").replace("\ufe0f", "")
