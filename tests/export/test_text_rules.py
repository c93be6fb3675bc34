"""Which preparation of texts a checkpoint is exported with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.source.checkpoint import read_checkpoint
from export.source.text_rules import TextRules, text_rules
from export.train.text_encoder import saved_encoder
from scorer.errors import InvalidBundle, UsageError
from scorer.inference.normalize import Name, Normalizer
from tests.export.conftest import POSITIONS

AS_IT_IS = Normalizer(name="none")
RECORD = {"normalizer": {"version": 1, "emoji": "words"}, "max_length": 40}


def rules_of(
    directory: Path, normalizer: Name | None = None, length: int | None = None
) -> TextRules:
    return text_rules(read_checkpoint(directory), normalizer, length)


@pytest.fixture
def changed(foreign: Callable[[str], Path], tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes JSON files into a checkpoint."""

    def made(model_type: str = "bert", **files: dict[str, Any]) -> Path:
        copy = Path(shutil.copytree(foreign(model_type), tmp_path / model_type))
        for name, fields in files.items():
            path = copy / f"{name}.json"
            known = json.loads(path.read_text("utf-8")) if path.exists() else {}
            path.write_text(json.dumps({**known, **fields}), "utf-8")
        return copy

    return made


def test_a_foreign_checkpoint_keeps_its_texts_and_its_tokenizer(
    foreign: Callable[[str], Path],
) -> None:
    """Texts as they are, control tokens as the tokenizer has them, all positions up to 512."""
    for model_type, positions in (("bert", POSITIONS), ("roberta", 64), ("gpt2", POSITIONS)):
        rules = rules_of(foreign(model_type))
        assert rules == TextRules(AS_IT_IS, positions, None)
        encoder = saved_encoder(read_checkpoint(foreign(model_type)).base, rules)
        assert not encoder.split_special_tokens
        assert encoder.truncation_side == "right"


def test_what_is_recorded_holds(changed: Callable[..., Path]) -> None:
    """A checkpoint of `model train` keeps the rules that it was trained with."""
    recorded = TextRules(Normalizer(emoji="words"), 40, True)
    checkpoint = changed(training=RECORD)
    assert rules_of(checkpoint) == recorded
    assert rules_of(checkpoint, "tweetscore") == recorded
    asked = rules_of(checkpoint, "cardiff", 50)
    assert asked == TextRules(Normalizer(name="cardiff"), 50, True)


def test_an_old_record_says_less(changed: Callable[..., Path]) -> None:
    """Without a normaliser in it, the one that fits the tokenizer is ours."""
    checkpoint = changed(training={"name": "old"})
    rules = TextRules(None, POSITIONS, True)
    assert rules_of(checkpoint) == rules_of(checkpoint, "tweetscore") == rules
    encoder = saved_encoder(read_checkpoint(checkpoint).base, rules)
    assert encoder.normalizer == Normalizer(emoji="words")
    assert encoder.split_special_tokens


@pytest.mark.parametrize("asked", ["tweetscore", "cardiff"])
def test_nobody_gets_english_emoji_names_unless_trained_so(
    foreign: Callable[[str], Path], asked: Name
) -> None:
    """A foreign model may get the other rules, and its emoji stay."""
    assert rules_of(foreign("bert"), asked).normalizer == Normalizer(name=asked, emoji="keep")


@pytest.mark.parametrize(
    ("stated", "length"), [(None, POSITIONS), (10**30, POSITIONS), (32, 32), (32.0, 32), ("x", 66)]
)
def test_the_tokenizer_may_state_its_length(
    changed: Callable[..., Path], stated: Any, length: int
) -> None:
    """Many state none, or 10^30: then the positions count."""
    assert rules_of(changed(tokenizer_config={"model_max_length": stated})).max_length == length


def test_more_than_512_tokens_have_to_be_asked_for(changed: Callable[..., Path]) -> None:
    """Up to what the model reads; attention needs the square of it."""
    checkpoint = changed(config={"max_position_embeddings": 2048})
    assert rules_of(checkpoint).max_length == 512
    assert rules_of(checkpoint, length=2048).max_length == 2048
    with pytest.raises(UsageError, match="reads texts of 3 to 2048 tokens"):
        rules_of(checkpoint, length=2049)
    with pytest.raises(UsageError, match="--max-length 2 does not fit"):
        rules_of(checkpoint, length=2)


def test_a_record_that_makes_no_sense_is_named(changed: Callable[..., Path]) -> None:
    """It decides answers, so nothing is guessed."""
    checkpoint = changed(training={"normalizer": {"emoji": "sometimes"}})
    with pytest.raises(InvalidBundle, match="sometimes"):
        rules_of(checkpoint)
