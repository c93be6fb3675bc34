"""One vocabulary of label names, wherever they are given."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import Result

from scorer import Scorer, UsageError
from scorer.cli import tweetscore
from scorer.engines import Task
from scorer.inference.labels import renamed

CLASSES = ("negative", "neutral", "positive")
SPANISH = ("Negativo", "Neutro", "Positivo")
Invoke = Callable[..., Result]


@pytest.fixture
def tweets(tmp_path: Path) -> Path:
    path = tmp_path / "tweets.csv"
    path.write_text("text\nI love this song\nstuck again\n", encoding="utf-8")
    return path


def invoke(*words: object) -> Result:
    from click.testing import CliRunner

    return CliRunner().invoke(tweetscore, [str(word) for word in words])


@pytest.mark.parametrize("names", ["es", ["es"], ("es",)])
def test_a_language_names_each_label(names: Any) -> None:
    """Alone or as the only name, and whatever the model's order."""
    assert renamed(CLASSES, names) == SPANISH
    assert renamed(("positive", "negative", "neutral"), names) == (
        "Positivo", "Negativo", "Neutro",
    )  # fmt: skip
    assert renamed(CLASSES, "en") == ("Negative", "Neutral", "Positive")


@pytest.mark.parametrize("names", ["abc", "fr", "ES", "", ["spanish"]])
def test_the_error_for_no_language_has_the_languages_and_the_count(names: Any) -> None:
    with pytest.raises(UsageError) as caught:
        renamed(CLASSES, names)
    assert "3 labels; take one of en, es, or give 3 names, one each for negative, neutral" in str(
        caught.value
    )


def test_a_language_is_for_negative_neutral_and_positive() -> None:
    """A model with other labels says so, and which they are."""
    with pytest.raises(UsageError) as caught:
        renamed(("angry", "glad"), "es")
    assert str(caught.value) == (
        "label names in 'es' are for negative, neutral, positive, and this model's labels are "
        "angry, glad; give 2 names, one each for angry, glad"
    )


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (3, "the label names are 3 (int); give a list of names, or one of en, es"),
        (b"abc", "the label names are b'abc' (bytes); give a list of names"),
        ({"negative": "n"}, "the label names are of the type dict; give a list of names"),
        ({"a", "b", "c"}, "the label names are of the type set; give a list of names"),
        (["a", 2, "c"], "label name 2 is 2 (int); give each label a name of letters"),
        (["a", None, "c"], "label name 2 is None; give each label a name of letters"),
        (["a", " ", "c"], "label name 2 is ' ' (str); give each label a name of letters"),
        (["a", "\ud83d", "c"], r"label name 2, '\ud83d', is not valid Unicode; choose another"),
        (["a", "b", "c", "d"], "4 label names for 3 labels; give one each for negative, neutral"),
    ],
)
def test_what_is_no_name_is_named(names: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        renamed(CLASSES, names)
    assert str(caught.value).startswith(says)


def test_a_scorer_and_the_engines_understand_a_language(tiny_bert_bundle: Path) -> None:
    assert Scorer(tiny_bert_bundle, device="builtin", labels="es").labels == SPANISH
    task = Task.of("text", {"model": tiny_bert_bundle, "labels": "es"})
    assert task.columns.label_values == SPANISH


def test_the_command_line_understands_a_language(tweets: Path, tiny_bert_bundle: Path) -> None:
    """`run`, `text` and the configuration file write the same names."""
    model = ["--model", tiny_bert_bundle, "--device", "builtin"]
    output = tweets.with_suffix(".scored.csv")
    assert invoke("run", tweets, "--label-names", "es", *model).exit_code == 0
    assert set(pl.read_csv(output)["label"]) <= set(SPANISH)
    answer = invoke("text", "I love this song", "--label-names", "es", *model)
    assert answer.stdout.splitlines()[1].split("\t")[0] in SPANISH
    for setting in ("'es'", "['es']"):
        output.unlink()
        config = tweets.with_name("t.toml")
        config.write_text(f"label-names = {setting}\n", encoding="utf-8")
        result = invoke("run", tweets, "--config", config, "--no-incremental", *model)
        assert result.exit_code == 0, result.stderr
        assert set(pl.read_csv(output)["label"]) <= set(SPANISH)
        shown = invoke("config", "run", "--config", config).stdout
        assert 'label-names = ["es"]' in shown


def test_another_language_is_exit_2(tweets: Path, tiny_bert_bundle: Path) -> None:
    """The command line says what the Python call says, and what a file may hold."""
    result = invoke("run", tweets, "--label-names", "fr", "--model", tiny_bert_bundle)
    assert result.exit_code == 2
    assert "'fr' is neither a language of label names nor a name for each of 3 labels; take" in (
        result.stderr
    )
    config = tweets.with_name("t.toml")
    config.write_text("label-names = 'fr'\n", encoding="utf-8")
    result = invoke("config", "--config", config)
    assert result.exit_code == 78
    assert "it has to be a list of non-empty strings, or one of en, es" in result.stderr
