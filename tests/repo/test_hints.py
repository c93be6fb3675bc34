"""A shell reads the words of a hint as they were meant."""

import os
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scorer import hints

SHELL = ["env", "-i", "LC_ALL=C", "bash", "-c"]


def read_back(words: str) -> list[str]:
    """Return what a shell makes of some words, whatever its locale."""
    command = [*SHELL, f"printf '%s\\0' {words}"]
    done = subprocess.run(command, capture_output=True, check=True)
    return [os.fsdecode(word) for word in done.stdout.split(b"\0")[:-1]]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_a_word_is_read_back(text: str) -> None:
    """Quotes, dollars, line ends, invisible marks: one word, the same one."""
    assert read_back(hints.word(text)) == [text]


@pytest.mark.parametrize("text", ["a b", "it's", "\ufefftext", "a\\b\n'c'", os.fsdecode(b"\xff")])
def test_a_hint_is_printable(text: str) -> None:
    """A terminal shows it as it is to be typed."""
    assert hints.word(text).isprintable()
    assert read_back(hints.word(text)) == [text]


def test_a_path_is_no_option() -> None:
    """A file named like an option keeps its place."""
    assert read_back(hints.path_word("-o")) == ["./-o"]
    assert hints.path_word("a b.csv") == "'a b.csv'"


def test_options_have_their_values_beside_them() -> None:
    """Several follow each other."""
    given = {"--text-column": "Tweet Text", "--delimiter": ";"}
    assert hints.options(given) == "--text-column 'Tweet Text' --delimiter ';'"
