"""Which regular expressions of a tokenizer are read: those of known families, and no others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.inference.bundle.linear_patterns import is_bounded
from tests.hostile.tokenizer_cases import SLOW

_CONTRACTIONS = "'s|'t|'re|'ve|'m|'ll|'d"
_LLAMA_3 = (
    rf"(?i:{_CONTRACTIONS})|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_FRONT = r"[^\r\n\p{L}\p{N}]?"
_BACK = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
KNOWN = {
    "GPT-2": rf"{_CONTRACTIONS}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",
    "Llama 3": _LLAMA_3,
    "Qwen2": _LLAMA_3.replace("{1,3}", ""),
    "GPT-4o": f"{_FRONT}{_UPPER}*{_LOWER}+(?i:{_CONTRACTIONS})?"
    rf"|{_FRONT}{_UPPER}+{_LOWER}*(?i:{_CONTRACTIONS})?|\p{{N}}{{1,3}}{_BACK}",
    "Mistral Nemo": rf"{_FRONT}{_UPPER}*{_LOWER}+|{_FRONT}{_UPPER}+{_LOWER}*|\p{{N}}{_BACK}",
    "BLOOM": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "CLIP": rf"{_CONTRACTIONS}|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+",
    "Falcon": "[0-9][0-9][0-9]",
    "SentencePiece": " {2,}",
    "DeepSeek-V3": r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
    r"|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "Llama 3 with line ends in person": _LLAMA_3.replace(r"\r\n", "\r\n"),
    "white space": r"\s+",
    "a few ways": "a?b?c?d",
    "a run and what may follow": "x+y?z*",
}


@pytest.mark.parametrize("name", KNOWN)
def test_what_families_have_is_read(name: str) -> None:
    assert is_bounded(KNOWN[name])


@pytest.mark.parametrize("name", SLOW)
def test_what_gives_back_is_not(name: str) -> None:
    assert not is_bounded(SLOW[name])


@given(st.text("ab+*?{}()[]|\\s.,1^$&", max_size=12))
def test_what_is_read_is_tried_a_few_times_at_each_letter(pattern: str) -> None:
    """Python's engine goes back as Oniguruma does, and would not come back from (a+)+$."""
    import re

    if is_bounded(pattern):
        assert all(found.end() > found.start() for found in re.finditer(pattern, "ab1 " * 500))
        assert re.sub(pattern, "", "a" * 2_000) is not None
