"""`Scorer` and `predict_sentiment`: texts, frames and record batches to labels and scores.

>>> from scorer import predict_sentiment
>>> predict_sentiment("What a lovely morning, I am so happy!")["label"]
'Positivo'
>>> predict_sentiment("I hate waiting for the bus in the rain.", labels="en")["label"]
'Negative'
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from os import PathLike
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, cast

import polars as pl

from scorer.api import frames
from scorer.api.scorer_config import ScorerConfig, require_name
from scorer.api.texts import one_text, scored, text_series
from scorer.inference.classifier import Classifier
from scorer.inference.labels import renamed
from scorer.inference.loading import load
from scorer.options import (
    LABEL_COLUMN,
    LABELS_COLUMN,
    SCORE_COLUMN,
    TEXT_COLUMN,
    THRESHOLD,
    window_rows,
)
from scorer.threads import refuse_a_fork

if TYPE_CHECKING:
    from scorer.formats.output_columns import OutputColumns
    from scorer.formats.record_batches import RecordBatch, Table
    from scorer.inference.bundle import Bundle
    from scorer.options import Device, Precision

Frame = TypeVar("Frame")  # of polars, pandas or pyarrow: what comes out is of the same kind


class Sentiment(TypedDict):
    """The answer for one text."""

    label: str | None  # None when the text is blank
    score: float | None  # the probability of that label, to four digits


class Scorer:
    """A model that is ready to score, on the best device of this box.

    Several threads may use one scorer; each call's answers are its own. Another process gets
    one by pickling, and opens the same bundle anew when it first scores. Nothing has to be closed.

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
        labels: Other names for the labels, in the model's order; or "es" or "en", where they are
            negative, neutral and positive.

    Raises:
        InvalidBundle: The model cannot be used.
        DeviceUnavailable: The device asked for is not there.
        GateFailed: The answers on this device differ from PyTorch's.
        UsageError: There are more or fewer names than labels, or no such language, device,
            precision or number of threads; or this process was forked from one that had opened
            a model.
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
        self._config, bundle = ScorerConfig.of(
            model, device=device, precision=precision, threads=threads, labels=labels
        )
        self._lock = Lock()
        self._open: Classifier | None = self._opened(bundle)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names that stand in the label column, in the model's order."""
        return self._config.labels

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was passed over when the device was chosen, and why."""
        return self._classifier.warnings

    def score(
        self,
        texts: Iterable[str | None] | pl.Series,
        *,
        all_scores: bool = False,
        threshold: float = THRESHOLD,
    ) -> pl.DataFrame:
        """Return the columns text, label and score (Float32), a row per text.

        Label and score are null where a text is blank or missing. `all_scores` adds `score_NAME`
        for each class of the model. A multi-label model adds a list of labels; one that gives a
        value has no label.

        Args:
            texts: A list or any other iterable, or an array or column of numpy, pandas, polars or
                Arrow; None, NaN, NaT and pandas' NA are missing texts.
            all_scores: As of `tweetscore run --scores all`.
            threshold: As of `tweetscore run --threshold`: of multi-label models.

        Raises:
            DataError: An item is no text; its position is named.
            UsageError: It is a single text, whose letters would each be scored, or a frame, or
                nothing that has texts. What the caller's own iterator raises comes out as it is.
        """
        frame = text_series(texts).to_frame()
        return self.score_frame(frame, all_scores=all_scores, threshold=threshold)

    def score_frame(
        self,
        frame: Frame,
        text_column: str = TEXT_COLUMN,
        *,
        all_scores: bool = False,
        label_column: str = LABEL_COLUMN,
        score_column: str = SCORE_COLUMN,
        labels_column: str = LABELS_COLUMN,
        threshold: float = THRESHOLD,
    ) -> Frame:
        """Return all columns of a frame, then those of `tweetscore run`: label, score.

        What comes out is of the kind that goes in; a frame of pandas keeps its index, a table
        of pyarrow its metadata.

        A LazyFrame gives a LazyFrame, which is read and scored in batches, in order, when it is
        collected or written: memory is a few windows, however many rows there are.

        >>> frame = pl.DataFrame({"id": [7, 8], "tweet": ["I love it!", "I hate it."]})
        >>> Scorer().score_frame(frame, "tweet").select("id", "label").rows()
        [(7, 'positive'), (8, 'negative')]

        Args:
            frame: A DataFrame or LazyFrame of polars, a DataFrame of pandas, a Table or RecordBatch
                of pyarrow; with a column of texts, which may be categories.
            text_column: As of `tweetscore run --text-column`.
            all_scores: As of `tweetscore run --scores all`.
            label_column: As of `tweetscore run --label-column`.
            score_column: As of `tweetscore run --score-column`.
            labels_column: As of `tweetscore run --labels-column`: of multi-label models.
            threshold: As of `tweetscore run --threshold`: of multi-label models.

        Raises:
            DataError: There is no such text column, something in it is no text, or the query of a
                LazyFrame cannot be right.
            UsageError: It is no frame, or a name that would be added is taken.
        """
        names = label_column, score_column, labels_column
        columns = self._config.columns(all_scores, *names, threshold)
        require_name("text_column", text_column)
        given: Any = frame
        if isinstance(given, pl.LazyFrame):
            return cast(Frame, self._scored_lazily(given, text_column, columns))
        texts_of, with_answers = frames.functions_for(given)
        texts = texts_of(given, text_column, columns)
        ((_, answers),) = scored(self._classifier, [(None, texts)])
        return cast(Frame, with_answers(given, answers, columns))

    def _scored_lazily(
        self, frame: pl.LazyFrame, text_column: str, columns: "OutputColumns"
    ) -> pl.LazyFrame:
        frames.check_columns(frames.schema_of(frame), text_column, columns)

        def score(batches: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
            pairs = ((batch, batch[text_column].cast(pl.String)) for batch in batches)
            for batch, answers in scored(self._classifier, pairs):
                yield frames.with_answers_in_polars(batch, answers, columns)

        rows = window_rows(self._classifier.runtime.device)
        return frames.scored_lazily(frame, text_column, columns, score, rows)

    def score_batches(
        self,
        batches: "Iterable[RecordBatch] | RecordBatch | Table",
        text_column: str = TEXT_COLUMN,
        *,
        all_scores: bool = False,
        label_column: str = LABEL_COLUMN,
        score_column: str = SCORE_COLUMN,
        labels_column: str = LABELS_COLUMN,
        threshold: float = THRESHOLD,
    ) -> "Iterator[RecordBatch]":
        """Yield each record batch of pyarrow with label and score appended, in order.

        One batch comes out for each that goes in; schema and metadata are kept. The iterator is
        read in another thread, one batch ahead. Batches of some thousands of rows are fast.

        >>> import pyarrow as pa
        >>> batch = pa.record_batch({"id": [7, 8], "text": ["I love it!", "I hate it."]})
        >>> [scored] = Scorer().score_batches([batch])
        >>> scored.schema.names, scored.column("label").to_pylist()
        (['id', 'text', 'label', 'score'], ['positive', 'negative'])

        Args:
            batches: A list, an iterator, a RecordBatchReader, one batch, a Table, or what else
                is an Arrow stream of rows; the text column is string, large_string, string_view,
                a dictionary of one of them, or null.
            text_column: As of `tweetscore run --text-column`.
            all_scores: As of `tweetscore run --scores all`.
            label_column: As of `tweetscore run --label-column`.
            score_column: As of `tweetscore run --score-column`.
            labels_column: As of `tweetscore run --labels-column`: of multi-label models.
            threshold: As of `tweetscore run --threshold`: of multi-label models.

        Raises:
            DataError: A batch has no such text column, or is none.
            UsageError: They are no batches, or a name that would be added is taken. What the
                caller's own iterator raises comes out as it is.
        """
        from scorer.formats import record_batches

        names = label_column, score_column, labels_column
        columns = self._config.columns(all_scores, *names, threshold)
        require_name("text_column", text_column)
        given = record_batches.checked(record_batches.batches_of(batches))
        pairs = ((b, record_batches.texts_of(b, text_column, columns)) for b in given)
        return (
            record_batches.with_answers(batch, answers, columns)
            for batch, answers in scored(self._classifier, pairs)
        )

    def __reduce__(self) -> "tuple[Callable[[ScorerConfig], Scorer], tuple[ScorerConfig]]":
        return unopened, (self._config,)

    @property
    def _classifier(self) -> Classifier:
        refuse_a_fork()
        with self._lock:
            if self._open is None:
                self._open = self._opened(self._config.open_bundle())
            return self._open

    def _opened(self, bundle: "Bundle") -> Classifier:
        refuse_a_fork()
        return load(bundle, self._config.spec).prove()


def unopened(config: ScorerConfig) -> Scorer:
    """Return a scorer that opens its model when it first scores: what unpickling does."""
    scorer = Scorer.__new__(Scorer)
    vars(scorer).update(_config=config, _lock=Lock(), _open=None)
    return scorer


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
        text: A tweet; None has no sentiment.
        labels: Spanish ("es") or English ("en") names, or names of your own in the order
            negative, neutral, positive.

    Raises:
        UsageError: It is no text; there is no such language, or not as many names as labels.
        DataError: It is no Unicode.
    """
    scorer = _embedded()
    names = renamed(scorer.labels, labels)
    _, label, score = scorer.score(one_text(text)).row(0)
    if label is None:
        return {"label": None, "score": None}
    return {"label": names[scorer.labels.index(label)], "score": round(score, 4)}


@cache
def _embedded() -> Scorer:
    return Scorer()
