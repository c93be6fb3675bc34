"""The columns that scoring appends: their names, their order, and what may not be one."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING, Literal, Self, TypeVar

from scorer.errors import UsageError
from scorer.formats.text.encodings import Encoding
from scorer.options import THRESHOLD, OutputSpec
from scorer.records import Answers, Task

if TYPE_CHECKING:  # a run loads polars, 0.1 s, while its session is loaded
    import polars as pl

Made = TypeVar("Made")
Kind = Literal["label", "score", "labels"]


@dataclass(frozen=True, slots=True)
class OutputColumns:
    """The columns that scoring appends, after all columns of the input.

    They are a label, its score, a score for each class where all are asked for, and of a
    multi-label model a list of labels. A regression has a score alone.
    """

    label_column: str | None  # None: a regression
    score_column: str
    label_values: tuple[str, ...]  # in class-id order
    score_columns: tuple[str, ...] = ()  # one per class, in class-id order, or none
    labels_column: str | None = None  # of a multi-label model: the classes from the threshold on
    threshold: float = THRESHOLD

    @classmethod
    def of(
        cls,
        spec: OutputSpec,
        classes: Iterable[str],
        written_as: Iterable[str],
        task: Task = "single_label",
    ) -> Self:
        """Return the columns that are asked for.

        Args:
            spec: What is asked for.
            classes: The model's labels in id order.
            written_as: What they are called in the output.
            task: What the model answers.
        """
        values = tuple(written_as)
        if task == "regression":
            return cls(None, spec.score_column, values)
        each = tuple(f"score_{name}" for name in classes) if spec.scores == "all" else ()
        names = spec.label_column, spec.score_column
        if task == "single_label":
            return cls(*names, values, each)
        return cls(*names, values, each, spec.labels_column, spec.threshold)

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of the columns of scores: the label's, then one per class if asked for."""
        return (self.score_column, *self.score_columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order in which they are appended."""
        first = () if self.label_column is None else (self.label_column,)
        last = () if self.labels_column is None else (self.labels_column,)
        return (*first, *self.scores, *last)

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What each column holds, by its name, in the order in which they are appended."""
        kinds: dict[str | None, Kind] = {self.label_column: "label", self.labels_column: "labels"}
        return {name: kinds.get(name, "score") for name in self.names}

    @property
    def texts(self) -> tuple[str, ...]:
        """What is written beside numbers: the names of columns, and of labels."""
        return self.names if self.label_column is None else (*self.names, *self.label_values)

    def columns_of(
        self,
        part: Answers,
        label: Callable[[Answers], Made],
        score: "Callable[[pl.Series], Made]",
        labels: Callable[[Answers], Made],
    ) -> list[Made]:
        """Return what is appended to some rows, in the order of the names.

        Args:
            part: The answers.
            label: Makes the column of labels.
            score: Makes a column of scores, of Float32 [rows], null where blank.
            labels: Makes the column of lists of labels.
        """
        by_class = map(part.of_class, range(len(self.score_columns)))
        made = [score(column) for column in (part.best(), *by_class)]
        if self.label_column is not None:
            made.insert(0, label(part))
        return made if self.labels_column is None else [*made, labels(part)]

    def check_against(self, columns: Iterable[str], options: str = "") -> None:
        """Raise UsageError, with the options to change, when a name is taken or used twice."""
        given = frozenset(columns)
        taken = set(given)
        for name in self.names:
            if name in taken:
                raise UsageError(
                    f"the column {name!r} exists already",
                    f"choose other names with {options or self._options()}",
                    None if options else self.free(given),
                )
            taken.add(name)

    def _named(self) -> Mapping[str, str]:
        """Return the names that an option changes."""
        return {
            option: name
            for option, name in (
                ("--label-column", self.label_column),
                ("--score-column", self.score_column),
                ("--labels-column", self.labels_column),
            )
            if name is not None
        }

    def _options(self) -> str:
        *others, last = self._named()
        return f"{', '.join(others)} and {last}" if others else last

    def free(self, columns: Collection[str]) -> dict[str, str | None]:
        """Return options that name the label and the score as nothing else is named."""
        used = {*columns, *self.score_columns}
        found: dict[str, str | None] = {}
        for option, name in self._named().items():
            others = (f"{name}_{number}" for number in count(2))
            free = next(each for each in chain([name], others) if each not in used)
            used.add(free)
            if free != name:
                found[option] = free
        return found

    def check_encoding(self, encoding: Encoding) -> None:
        """Raise UsageError when a name or a label cannot be written in the encoding."""
        for text in self.texts:
            if not encoding.can_hold(text):
                raise UsageError(
                    f"{text!r} cannot be written in the encoding {encoding.codec}",
                    "choose other names",
                )
