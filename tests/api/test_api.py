import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from scorer import Scorer, UsageError, predict_sentiment
from scorer.api import scorer as api
from scorer.inference import bundle
from scorer.threads import available_cpus

TEXTS = ["I love this song", "stuck again", "see you at the station"]


@pytest.fixture
def tiny_embedded(monkeypatch: pytest.MonkeyPatch, tiny_bert_bundle: Path) -> Iterator[None]:
    monkeypatch.setattr(bundle, "EMBEDDED", tiny_bert_bundle)
    api._embedded.cache_clear()
    yield
    api._embedded.cache_clear()


def test_a_row_per_text_in_order(tiny: Scorer) -> None:
    """The frame has the texts, a label each, and its probability as float32."""
    frame = tiny.score([*TEXTS, None, ""])
    assert frame.schema == {"text": pl.String, "label": pl.String, "score": pl.Float32}
    assert frame["text"].to_list() == [*TEXTS, None, ""]
    assert frame["label"].is_null().to_list() == [False, False, False, True, True]
    assert frame["score"].is_null().to_list() == [False, False, False, True, True]


def test_all_scores_are_probabilities(tiny: Scorer) -> None:
    """The classes' columns add up to 1 and the largest is the score."""
    frame = tiny.score(pl.Series([*TEXTS, ""]), all_scores=True)
    classes = frame.select(pl.col("^score_.*$"))
    assert classes.columns == ["score_negative", "score_neutral", "score_positive"]
    assert classes.row(3) == (None, None, None)
    values = classes.head(3).to_numpy()
    np.testing.assert_allclose(values.sum(axis=1), 1.0, atol=1e-6)
    np.testing.assert_array_equal(values.max(axis=1), frame["score"].head(3).to_numpy())


def test_a_text_alone_gets_the_same_answer(tiny: Scorer) -> None:
    """A score does not depend on the neighbours."""
    together = tiny.score(TEXTS)
    assert pl.concat([tiny.score([text]) for text in TEXTS]).equals(together)


@pytest.mark.parametrize("nothing", [[], pl.Series([], dtype=pl.String)])
def test_nothing_in_nothing_out(tiny: Scorer, nothing: list[str]) -> None:
    """No texts give a frame without rows and the same columns."""
    assert tiny.score(nothing).schema == tiny.score(TEXTS).schema
    assert tiny.score(nothing).height == 0


def test_a_single_text_is_no_list_of_its_letters(tiny: Scorer) -> None:
    with pytest.raises(UsageError, match="put it into a list"):
        tiny.score("great")


def test_labels_can_be_named(tiny_bert_bundle: Path) -> None:
    """A scorer's labels are the names it was given; too few are refused."""
    named = Scorer(tiny_bert_bundle, device="builtin", labels=("N", "0", "P"))
    assert named.labels == ("N", "0", "P")
    assert set(named.score(TEXTS)["label"]) <= {"N", "0", "P"}
    with pytest.raises(UsageError, match="2 label names for 3 labels"):
        Scorer(tiny_bert_bundle, labels=("a", "b"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"device": "gpu"}, "device is 'gpu'; choose one of auto, cuda, cpu, openvino, builtin"),
        ({"precision": "fp61"}, "precision is 'fp61'; choose one of auto, fp32, bf16, fp16, int8"),
    ],
)
def test_what_there_is_not_is_refused(
    tiny_bert_bundle: Path, arguments: dict[str, Any], says: str
) -> None:
    """A misspelt device is none, as on the command line, and not the CPU."""
    with pytest.raises(UsageError, match=f"^{says}$"):
        Scorer(tiny_bert_bundle, **arguments)


@pytest.mark.parametrize(
    ("threads", "shown"),
    [
        (0, "0"),
        (-1, "-1"),
        (2**63, "9223372036854775808"),
        (10**400, "a number of more than 40 digits"),
        (True, "True"),
        (2.0, "2.0"),
        (float("nan"), "nan"),
        ("2", "'2'"),
    ],
    ids=lambda each: repr(each)[:10],
)
def test_threads_have_bounds(tiny_bert_bundle: Path, threads: Any, shown: str) -> None:
    """A number of threads is a whole one, and at most four for each CPU."""
    most = 4 * available_cpus()
    problem = f"threads: {shown} is not a whole number from 1 to {most}"
    with pytest.raises(UsageError) as caught:
        Scorer(tiny_bert_bundle, threads=threads)
    assert str(caught.value) == f"{problem}; correct it, or leave it out"


def test_a_number_of_numpy_is_a_number(tiny_bert_bundle: Path) -> None:
    """Whoever computes the threads gets a scorer."""
    scorer = Scorer(tiny_bert_bundle, threads=np.int64(1), device="builtin")  # type: ignore[arg-type]
    assert scorer.score(["fine"]).height == 1


@pytest.mark.usefixtures("tiny_embedded")
def test_predict_sentiment_speaks_spanish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spanish by default, English or one's own names on request, the same class and score."""
    spanish, english = predict_sentiment(TEXTS[0]), predict_sentiment(TEXTS[0], labels="en")
    own = predict_sentiment(TEXTS[0], labels=["a", "b", "c"])
    place = ["Negativo", "Neutro", "Positivo"].index(str(spanish["label"]))
    assert english["label"] == ["Negative", "Neutral", "Positive"][place]
    assert own["label"] == ["a", "b", "c"][place]
    assert spanish["score"] == english["score"] == own["score"]
    assert isinstance(spanish["score"], float)
    assert 1 / 3 <= spanish["score"] <= 1


@pytest.mark.usefixtures("tiny_embedded")
def test_a_blank_text_has_no_sentiment() -> None:
    """White space and characters without width get None twice."""
    assert predict_sentiment(" \u200b\n") == {"label": None, "score": None}


@pytest.mark.usefixtures("tiny_embedded")
def test_the_embedded_model_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call does not verify and load the bundle again."""
    predict_sentiment("first")
    monkeypatch.setattr(bundle, "open_bundle", pytest.fail)
    predict_sentiment("second")


def test_the_documentation_is_true() -> None:
    """The examples in the docstrings run, on the embedded model, as they are printed."""
    results = doctest.testmod(api)
    assert results.attempted > 0
    assert results.failed == 0
