"""The Python door: texts to labels without files.

>>> from scorer import predict_sentiment
>>> predict_sentiment("What a lovely morning, I am so happy!")["label"]
'Positivo'
>>> predict_sentiment("I hate waiting for the bus in the rain.", labels="en")["label"]
'Negative'
"""

from collections.abc import Sequence
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

import polars as pl

from scorer.inference.bundle import open_bundle
from scorer.inference.classifier import Classifier
from scorer.run_options import renamed

if TYPE_CHECKING:
    from scorer.inference.runtime.select import Device, Precision

# In the order of the embedded bundle's labels: negative, neutral, positive.
_NAMES = {
    "es": ("Negativo", "Neutro", "Positivo"),
    "en": ("Negative", "Neutral", "Positive"),
}


class Sentiment(TypedDict):
    """The answer for one text."""

    label: str | None  # None when the text is blank
    score: float | None  # the probability of that label, to four digits


class Scorer:
    """A model that is ready to score, on the best device of this box.

    >>> scorer = Scorer(device="builtin")
    >>> scorer.labels
    ('negative', 'neutral', 'positive')
    >>> scorer.score(["I love it!", "", "I hate it."])["label"].to_list()
    ['positive', None, 'negative']

    Args:
        model: A bundle's directory; by default the embedded one.
        device: As of `tweetscore run --device`.
        precision: As of `tweetscore run --precision`.
        threads: CPU threads; by default as many as this process may use.
        labels: Other names for the labels, in the model's order.

    Raises:
        InvalidBundle: The model cannot be used.
        DeviceUnavailable: The device asked for is not there.
        GateFailed: The answers on this device differ from PyTorch's.
        UsageError: There are more or fewer names than labels.
    """

    def __init__(
        self,
        model: str | PathLike[str] | None = None,
        *,
        device: "Device" = "auto",
        precision: "Precision" = "auto",
        threads: int | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        bundle = open_bundle(None if model is None else Path(model))
        self.labels = renamed(bundle.labels, labels)
        self._classifier = Classifier.open(
            bundle, device=device, precision=precision, threads=threads
        )
        self._classes = bundle.labels

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was passed over when the device was chosen, and why."""
        return self._classifier.warnings

    def score(
        self, texts: Sequence[str | None] | pl.Series, *, all_scores: bool = False
    ) -> pl.DataFrame:
        """Return the columns text, label and score (Float32), a row per text.

        Label and score are null where a text is blank. `all_scores` adds `score_NAME` for
        each class of the model.
        """
        column = pl.Series("text", texts, dtype=pl.String)
        scores = self._classifier.classify(column)
        blank = pl.Series(scores.label_ids < 0)
        names = pl.Series(self.labels, dtype=pl.String)
        by_class = {
            f"score_{name}": scores.probabilities[:, number]
            for number, name in enumerate(self._classes)
        }
        frame = pl.DataFrame(
            {
                "text": column,
                "label": names.gather(pl.Series(scores.label_ids.clip(min=0)).cast(pl.UInt32)),
                "score": scores.probabilities.max(axis=1),
                **(by_class if all_scores else {}),
            }
        )
        answers = pl.exclude("text")
        return frame.with_columns(pl.when(~blank).then(answers).name.keep())


def predict_sentiment(text: str, labels: Literal["es", "en"] | Sequence[str] = "es") -> Sentiment:
    """Return the sentiment of one text, by the embedded model, which is opened once.

    >>> answer = predict_sentiment("Thank you so much, this is wonderful!")
    >>> answer["label"], answer["score"] > 0.5
    ('Positivo', True)
    >>> predict_sentiment("   ")
    {'label': None, 'score': None}
    >>> predict_sentiment("It is the worst film ever.", labels=("bad", "so-so", "good"))["label"]
    'bad'

    Args:
        text: A tweet.
        labels: Spanish ("es") or English ("en") names, or names of your own in the order
            negative, neutral, positive.
    """
    scorer = _embedded()
    names = renamed(scorer.labels, _NAMES[labels] if isinstance(labels, str) else labels)
    _, label, score = scorer.score([text]).row(0)
    if label is None:
        return {"label": None, "score": None}
    return {"label": names[scorer.labels.index(label)], "score": round(score, 4)}


@cache
def _embedded() -> Scorer:
    return Scorer()
