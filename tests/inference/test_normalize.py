"""The normaliser's rules, version 1."""

import html

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scorer.inference import normalize
from scorer.inference.normalize import Normalizer

WORDS, KEEP = Normalizer(emoji="words"), Normalizer(emoji="keep")
NONE, CARDIFF = Normalizer(name="none"), Normalizer(name="cardiff")
# What the rules react to, and a little of what they must leave alone.
PIECES = st.sampled_from(
    [
        *("&amp;", "&lt;", "&#128514;", "&#x1F600;", "&", ";", "#", "amp", "@", "bob", "_"),
        *("http://", "https://x.co/a?b", "www.", "WWW.x", "a@b.com", " ", "\t", "\n", "\u00a0"),
        *("`", "'", "1", "\U0001f602", "\U0001f44d\U0001f3fd", "\u200d", "\U0001f1ea"),
        *("\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U0001f1f8", "1\ufe0f\u20e3", "\u20e3"),
        *("\ufe0f", "\u2764\ufe0f", "\u00a9", "\u200b", "\u2060", "\ufeff", "\u200c", "\x00"),
        *("مرحبا", "שלום", "é", "e\u0301", "日本"),
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def one(normalizer: Normalizer, text: str) -> str:
    return str(normalizer(pl.Series([text], dtype=pl.String))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I don`t &lt;3 this", "I don't <3 this"),
        ("&amp;lt; stays escaped once", "&lt; stays escaped once"),
        ("tea &amp; cake &#39;now&#39; &nope; &", "tea & cake 'now' &nope; &"),
        ("look https://t.co/aB1?x=2&amp;y=3 now", "look http now"),
        ("www.example.com and HTTP://EXAMPLE.COM", "http and http"),
        ("awww.so cute", "awww.so cute"),
        ("@Some_One hi @two", "@user hi @user"),
        ("mail me@example.com", "mail me@example.com"),
        ("a\t b\n\nc\u00a0d  ", "a b c d"),
        ("so\u200bft\ufeff", "soft"),
        ("مرحبا @user", "مرحبا @user"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("&#128514;", "\U0001f602"),
        ("", ""),
        ("\u200b \ufeff", ""),
        ("\u200d\u200d\x00", ""),
    ],
)
def test_golden_cases(text: str, expected: str) -> None:
    """Each rule does what the module says, and no more."""
    assert one(KEEP, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\U0001f602", "face with tears of joy"),
        ("ok\U0001f44d\U0001f3fdok", "ok thumbs up medium skin tone ok"),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467", "family man woman girl"),
        ("\U0001f1ea\U0001f1f8!", "Spain !"),
        ("1\ufe0f\u20e3", "keycap 1"),
        ("\u2764\ufe0f", "red heart"),
        ("&#x1F602;", "face with tears of joy"),
        ("7 # *", "7 # *"),
    ],
)
def test_emoji_become_words(text: str, expected: str) -> None:
    """With emoji="words" a whole sequence becomes one name; digits stay digits."""
    assert one(WORDS, text) == expected
    if "&" not in text:
        assert one(KEEP, text) == text


def test_null_stays_null() -> None:
    """A null is no text: it comes out as null, and the column keeps its length and name."""
    column = pl.Series("text", ["a", None, "\U0001f602", ""], dtype=pl.String)
    result = WORDS(column)
    assert result.to_list() == ["a", None, "face with tears of joy", ""]
    assert result.name == "text"
    assert WORDS(column.clear()).to_list() == []
    assert WORDS(pl.Series([None], dtype=pl.String)).to_list() == [None]


@given(texts=st.lists(TEXTS, max_size=6))
def test_none_leaves_every_text_as_it_is(texts: list[str]) -> None:
    """Byte for byte."""
    assert NONE(pl.Series(texts, dtype=pl.String)).to_list() == texts


@given(text=TEXTS)
@example("@ @a @\u00e9, b@c http https://t.co/x xhttp @http\n@b @a@b")
def test_cardiff_is_what_cardiffnlp_documents(text: str) -> None:
    """A word of an at sign and more is a user, one that starts with http a link; no other."""
    words = []
    for word in text.split(" "):
        user = word.startswith("@") and len(word) > 1
        words.append("@user" if user else "http" if word.startswith("http") else word)
    assert one(CARDIFF, text) == " ".join(words)


@pytest.mark.parametrize("normalizer", [WORDS, KEEP, NONE, CARDIFF])
@given(texts=st.lists(TEXTS, max_size=6))
def test_a_row_does_not_see_its_neighbours(normalizer: Normalizer, texts: list[str]) -> None:
    """A text alone gives what it gives in any column."""
    together = normalizer(pl.Series(texts, dtype=pl.String)).to_list()
    assert together == [one(normalizer, text) for text in texts]


@pytest.mark.parametrize("normalizer", [WORDS, KEEP])
@given(text=TEXTS.filter(lambda t: not set(t) & set("&\u200b\u2060\ufeff\ufe0f")))
def test_twice_is_once(normalizer: Normalizer, text: str) -> None:
    """Where nothing is escaped or without width, the result is a fixed point."""
    result = one(normalizer, text)
    assert one(normalizer, result) == result


@given(text=TEXTS)
def test_what_never_remains(text: str) -> None:
    """No backtick, no character without width, no white space but single inner blanks."""
    result = one(WORDS, text)
    assert not set(result) & set("`\u200b\u2060\ufeff\t\n\u00a0")
    assert "  " not in result
    assert result == result.strip()


@pytest.mark.parametrize(
    "unit", ["@", "a.", "http://", "&amp", "&#", "\U0001f602", "\U0001f468\u200d", " ", "\u200b"]
)
def test_hostile_repetition_stays_linear(unit: str) -> None:
    """Ten times the input gives at most ten times the output and the same work in Python."""
    calls: list[str] = []

    unescape = html.unescape

    def counted(match: str) -> str:
        calls.append(match)
        return unescape(match)

    sizes = []
    for repeats in (1_000, 10_000):
        calls.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(html, "unescape", counted)
            sizes.append(len(one(KEEP, unit * repeats)))
        assert len(calls) <= 1
    assert sizes[1] <= 10 * sizes[0] + 10


def test_python_sees_a_match_once_per_column() -> None:
    """However many rows hold an entity, it is looked up once."""
    calls: list[str] = []
    column = pl.Series(["a &amp; b &lt; c"] * 1_000)

    def recorded(match: str) -> str:
        calls.append(match)
        return ""

    found = normalize._replace_found(column, "&", normalize._ENTITY, recorded)
    assert sorted(calls) == ["&amp;", "&lt;"]
    assert found.to_list() == ["a  b  c"] * 1_000
