"""What users may rely on: a name or a parameter changes here too, and in the changelog."""

import inspect

import pytest

import scorer
import tweetscore
from scorer import Scorer, predict_sentiment

NAMES = [
    "DataError",
    "DeviceUnavailable",
    "GateFailed",
    "InputMissing",
    "InvalidBundle",
    "MissingExtra",
    "OutOfMemory",
    "OutputRefused",
    "Scorer",
    "StorageError",
    "TweetscoreError",
    "UsageError",
    "__version__",
    "predict_sentiment",
]
COLUMNS = (
    "text_column: str = 'text', *, all_scores: bool = False, "
    "label_column: str = 'label', score_column: str = 'score', "
    "labels_column: str = 'labels', threshold: float = 0.5"
)
METHODS = {
    "score": (
        "(self, texts: collections.abc.Iterable[str | None] | polars.series.series.Series, *, "
        "all_scores: bool = False, threshold: float = 0.5) -> polars.dataframe.frame.DataFrame"
    ),
    "score_batches": (
        f"(self, batches: 'Iterable[RecordBatch] | RecordBatch | Table', {COLUMNS}) -> "
        "'Iterator[RecordBatch]'"
    ),
    "score_frame": f"(self, frame: ~Frame, {COLUMNS}) -> ~Frame",
}


def test_the_package_has_these_names() -> None:
    """`from scorer import ...` offers errors, a class, a function and the version."""
    assert sorted(scorer.__all__) == NAMES


def test_they_have_the_name_that_is_installed_too() -> None:
    """`from tweetscore import ...` gives the very objects, and nothing that scorer does not."""
    assert dir(tweetscore) == sorted(scorer.__all__)
    assert all(getattr(tweetscore, name) is getattr(scorer, name) for name in scorer.__all__)
    with pytest.raises(AttributeError, match="module 'tweetscore' has no attribute 'Scorrer'"):
        tweetscore.Scorrer  # type: ignore[attr-defined]  # noqa: B018 - a name that is not there


def test_a_scorer_has_these_methods(tiny: Scorer) -> None:
    """Each method's parameters, their order, defaults and types; nothing else is public."""
    public = {name for name in dir(tiny) if not name.startswith("_")}
    assert public == {*METHODS, "labels", "warnings"}
    shown = {name: str(inspect.signature(getattr(Scorer, name))) for name in METHODS}
    assert shown == METHODS


def test_a_scorer_is_made_of_these() -> None:
    """The arguments are those of the command line: model, device, precision, threads, names."""
    assert str(inspect.signature(Scorer)) == (
        "(model: str | os.PathLike[str] | None = None, *, device: 'Device' = 'auto', "
        "precision: 'Precision' = 'auto', threads: int | None = None, "
        "labels: collections.abc.Sequence[str] | None = None) -> None"
    )


def test_predict_sentiment_takes_a_text_and_names() -> None:
    """One text, and the language of its label or names for it."""
    assert str(inspect.signature(predict_sentiment)) == (
        "(text: str, labels: Union[Literal['es', 'en'], collections.abc.Sequence[str]] = 'es') "
        "-> scorer.api.scorer.Sentiment"
    )
