"""The frozen values that the stages of a run hand to each other."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

CsvRejectKind = Literal["open-quote", "text-after-quote", "field-count"]
NdjsonRejectKind = Literal[
    "not-json", "not-object", "not-text", "duplicate-key", "key-taken", "too-deep"
]
RejectKind = CsvRejectKind | NdjsonRejectKind | Literal["encoding", "record-too-long"]

#: What a model answers: one class of several, any number of them, or a number.
Task = Literal["single_label", "multi_label", "regression"]
#: What makes a score of a logit, as transformers' pipeline does it for the model's config.
Activation = Literal["softmax", "sigmoid", "none"]


#: What a run does with an input, in its order; the model is loaded and checked once.
Step = Literal["load", "check", "read", "score", "publish"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run does now, and how many rows of an input are done since its last message."""

    input: Path
    step: Step
    rows: int = 0
    known: bool = False  # whether those rows had their answers from an earlier run


OnProgress = Callable[[Progress], object]
#: Is called with the share of some work that is done, up to 1.
OnShare = Callable[[float], object]


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot become a row: data with a reason, not an exception."""

    line: int  # physical line of the record's first byte, from 1
    kind: RejectKind
    reason: str
    raw: bytes  # the record as it stood, without its line ending


@dataclass(frozen=True, slots=True, eq=False)
class TextWindow:
    """Consecutive rows of one input: what is tokenised and batched together."""

    offset: int  # of the first row in the input, rejects not counted
    texts: "pl.Series"  # String, one per row; null where the cell is null
    rejects: tuple[Reject, ...] = ()  # met while this window was read
    not_finite: int = 0  # rows met meanwhile that hold NaN or Infinity where JSON has no such thing


@dataclass(frozen=True, slots=True)
class Counters:
    """What happened to rows; counters of windows add up to those of the run."""

    rows: int = 0
    scored: int = 0
    blank: int = 0  # rows == scored + blank
    equal: int = 0  # scored rows that shared the inference of another row of their window
    truncated: int = 0  # scored rows whose text was longer than the bundle's max_length
    tokens: int = 0  # of scored rows, special tokens included, after truncation
    unknown: int = 0  # of those tokens: what the tokenizer has no word for

    def __add__(self, other: Self) -> Self:
        """Return the sums."""
        return type(self)(*map(add, astuple(self), astuple(other)))

    @classmethod
    def total(cls, parts: Iterable[Self]) -> Self:
        """Return the sum of any number of counters."""
        return sum(parts, start=cls())


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Labels and probabilities of consecutive rows, after temperature.

    A row without an answer has a blank text; among the rows of an earlier output, none is known.
    The probabilities of a multi-label model are independent of each other, and the label is the
    best class. A regression has one class, whose "probability" is the value, of any size.
    """

    label_ids: NDArray[np.int16]  # [rows]; -1 where there is no answer
    #: [rows, classes]; NaN where there is no answer, and for all classes but the label's where
    #: an earlier output held only that one.
    probabilities: NDArray[np.float32]

    @staticmethod
    def concatenated(parts: "Sequence[Answers]") -> "Answers":
        """Return the rows of one or more parts as one."""
        return Answers(
            np.concatenate([part.label_ids for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.label_ids)

    def rows(self, start: int, stop: int) -> "Answers":
        """Return some of the rows."""
        return Answers(self.label_ids[start:stop], self.probabilities[start:stop])

    def best(self) -> "pl.Series":
        """Return the probability of each row's label, Float32 [rows], null where blank."""
        picked = np.take_along_axis(
            self.probabilities, np.maximum(self.label_ids, 0)[:, None].astype(np.intp), axis=1
        )
        return self._null_where_blank("score", picked[:, 0])

    def of_class(self, number: int) -> "pl.Series":
        """Return the probability of one class, Float32 [rows], null where blank."""
        return self._null_where_blank("score", self.probabilities[:, number])

    def labels(self, values: tuple[str, ...]) -> "pl.Series":
        """Return the labels' names, String [rows], null where blank."""
        import polars as pl

        known = pl.Series("label", values, dtype=pl.String)
        ids = self._null_where_blank("label", self.label_ids).cast(pl.UInt32)
        return known.gather(ids)

    def at_least(self, threshold: float) -> NDArray[np.bool_]:
        """Return which classes have at least a probability, [rows, classes]; none where blank.

        Compared as float32, as probabilities are written: a reader of the score columns comes to
        the same classes.
        """
        found: NDArray[np.bool_] = self.probabilities >= np.float32(threshold)
        return found

    def _null_where_blank(
        self, name: str, values: NDArray[np.int16] | NDArray[np.float32]
    ) -> "pl.Series":
        import polars as pl

        blank = pl.Series(self.label_ids < 0, dtype=pl.Boolean)
        column = pl.Series(name, np.ascontiguousarray(values))
        return pl.select(pl.when(~blank).then(column).alias(name)).to_series()


@dataclass(frozen=True, slots=True, eq=False)
class Scores(Answers):
    """The answers for one window, and how the model came by them."""

    counters: Counters
    lengths: NDArray[np.int64]  # [tokens of the longest + 1]; scored rows by their tokens
    #: Texts that an earlier window had answered. No counter: a run that was resumed begins with
    #: an empty memory, and its counters must be those of an uninterrupted one all the same.
    remembered: int = 0
    cache_hits: int = 0  # rows whose answer an earlier output had

    def answered(self) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
        """Return the label ids and their probabilities, of the rows that are not blank."""
        (rows,) = np.nonzero(self.label_ids >= 0)
        ids = self.label_ids[rows]
        return ids, self.probabilities[rows, ids]


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What a model answered to rows that it was not trained on, and what those were like."""

    rows: int
    labels: NDArray[np.int64]  # [classes]; rows
    score_edges: NDArray[np.float64]  # [bins + 1]; rising, from 0 to 1
    scores: NDArray[np.int64]  # [bins]; rows by the score of their label, the last bin closed
    lengths: NDArray[np.int64]  # [tokens of the longest + 1]; rows by their tokens
    unknown_share: float  # of all tokens
