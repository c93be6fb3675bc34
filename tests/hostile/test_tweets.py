"""Tweets of a million characters through the real normaliser and tokenizer."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

SECONDS = 240  # a watchdog: linear work on a MiB takes one or two

# What tweets may hold, each about a million characters; and what its beginning must become.
TWEETS = {
    "at signs": ("@", "@", 1_000_000),
    "a.": ("a.", "a.", 500_000),
    "ampersands": ("&", "&", 1_000_000),
    "entities": ("&amp;", "&", 200_000),
    "mentions": ("@a ", "@user ", 330_000),
    "links": ("http://a.b ", "http ", 95_000),
    "words": ("love ", "love ", 200_000),
    "right to left": ("\u202e\u0645 ", "\u202e\u0645 ", 170_000),
    "chinese": ("\u4e2d", "\u4e2d", 330_000),
    "emoji": ("\U0001f602", "face with tears of joy ", 20_000),
    "backticks": ("` ", "' ", 500_000),
}
BLANK = {
    "zero-width joiners": "\u200d" * 300_000,
    "zeros": "\0" * 1_000_000,
    "blanks": " \t\r\n" * 250_000,
    "marks on nothing": "\u0301" * 300_000,
    "directions": "\u202e\u202d\u200f" * 100_000,
    "marks of byte order": "\ufeff" * 300_000,
}


@pytest.fixture(scope="session")
def prepare() -> Callable[[list[str]], Any]:
    """The embedded bundle's own normaliser and tokenizer."""
    from scorer.inference.bundle import open_bundle
    from scorer.inference.preparation import TextTokenizer

    bundle = open_bundle(None)
    tokenizer = TextTokenizer(bundle)

    def prepared(texts: list[str]) -> Any:
        normal = bundle.normalizer(pl.Series(texts, dtype=pl.String))
        return normal, tokenizer(normal.to_list()), bundle.max_length

    return prepared


@pytest.mark.parametrize("name", TWEETS)
@pytest.mark.timeout(SECONDS)
def test_a_tweet_of_a_million_characters_has_the_tokens_of_its_beginning(
    name: str, prepare: Callable[[list[str]], Any]
) -> None:
    """The real normaliser and tokenizer take it whole, and answer as for a short one."""
    unit, becomes, times = TWEETS[name]
    normal, tokens, most = prepare([unit * times, unit * 400])
    assert normal[0] == (becomes * times).strip()
    assert tokens.lengths.tolist() == [most, most]
    assert tokens.truncated.all()
    assert tokens.row(0).tolist() == tokens.row(1).tolist()


@pytest.mark.parametrize("name", BLANK)
@pytest.mark.timeout(SECONDS)
def test_a_tweet_of_a_million_nothings_is_blank(
    name: str, prepare: Callable[[list[str]], Any]
) -> None:
    """What has no width and no meaning never reaches the model."""
    normal, tokens, _ = prepare([BLANK[name]])
    assert normal[0] == ("" if name != "marks on nothing" else BLANK[name])
    assert tokens.lengths.tolist() == [2]


def test_ten_thousand_marks_on_a_letter_are_the_letter(
    prepare: Callable[[list[str]], Any],
) -> None:
    """The tokenizer takes accents off, however many there are."""
    _, tokens, _ = prepare(["e" + "\u0301" * 10_000, "e"])
    assert tokens.row(0).tolist() == tokens.row(1).tolist()
    assert len(tokens.row(0)) == 3
