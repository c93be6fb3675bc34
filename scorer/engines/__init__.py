"""Adapters to engines that spread rows over processes and machines, and the scorer in each process.

The program that plans makes a `Task`, which is small and goes to every process. There it opens the
model once: verified, the bundle that was meant, proven on the canary before it scores. The engine
reads, cuts, moves, retries and writes. Nothing heavy is loaded before the libraries' thread pools
are held to what the engine grants.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from threading import Lock
from typing import TYPE_CHECKING, Self, TypedDict

from scorer.api.scorer_config import ScorerConfig, require_name
from scorer.errors import DataError, UsageError, shown
from scorer.options import (
    LABEL_COLUMN,
    LABELS_COLUMN,
    SCORE_COLUMN,
    THRESHOLD,
    Device,
    Precision,
)
from scorer.threads import limit_pools

if TYPE_CHECKING:
    from scorer.api.scorer import Scorer
    from scorer.formats.output_columns import OutputColumns
    from scorer.formats.record_batches import RecordBatch


class Options(TypedDict, total=False):
    """What every engine's `score` takes by name, all as of `Scorer` and its `score_frame`."""

    model: str | PathLike[str] | None
    device: Device
    precision: Precision
    labels: Sequence[str] | None
    all_scores: bool
    label_column: str
    score_column: str
    labels_column: str
    threshold: float


@dataclass(frozen=True, slots=True)
class Task:
    """The work of each process."""

    config: ScorerConfig
    text_column: str
    all_scores: bool
    label_column: str
    score_column: str
    labels_column: str = LABELS_COLUMN
    threshold: float = THRESHOLD

    @classmethod
    def of(cls, text_column: str, options: Options) -> Self:
        """Verify the bundle and describe the work; no model is loaded.

        Raises:
            InvalidBundle: The model cannot be used.
            UsageError: There is no such option, or an option is not what it should be.
        """
        for name in options:
            if name not in Options.__annotations__:
                raise UsageError(
                    f"there is no option {name}", f"there are {', '.join(Options.__annotations__)}"
                )
        require_name("text_column", text_column)
        config, _ = ScorerConfig.of(
            options.get("model"),
            device=options.get("device", "auto"),
            precision=options.get("precision", "auto"),
            labels=options.get("labels"),
        )
        task = cls(
            config,
            text_column,
            options.get("all_scores", False),
            options.get("label_column", LABEL_COLUMN),
            options.get("score_column", SCORE_COLUMN),
            options.get("labels_column", LABELS_COLUMN),
            options.get("threshold", THRESHOLD),
        )
        _ = task.columns  # raises UsageError for a wrong name
        return task

    @property
    def columns(self) -> "OutputColumns":
        """The columns that are appended: label, score, then a score for each class."""
        names = self.label_column, self.score_column, self.labels_column
        return self.config.columns(self.all_scores, *names, self.threshold)

    def check(self, names: Sequence[str]) -> None:
        """Hold the task against the names of a frame's columns, before any work.

        Raises:
            DataError: The text column is missing.
            UsageError: A name that would be added is taken.
        """
        from scorer.formats.text.columns import find_column

        find_column("the frame", names, self.text_column, "text_column", exact=True)
        self.columns.check_against(names, "label_column and score_column")

    def score_batches(
        self, batches: "Iterable[RecordBatch]", threads: int
    ) -> "Iterator[RecordBatch]":
        """Yield each batch with its answers, by this process's scorer."""
        return scorer_here(self.config, threads).score_batches(
            batches,
            self.text_column,
            all_scores=self.all_scores,
            label_column=self.label_column,
            score_column=self.score_column,
            labels_column=self.labels_column,
            threshold=self.threshold,
        )


def no_frame(frame: object, engine: str) -> UsageError:
    """Return the error for what is no frame of the engine."""
    return UsageError(
        f"the frame is {shown(frame)}, no DataFrame of {engine}",
        "for other frames call Scorer().score_frame",
    )


def not_text(text_column: str, kind: object) -> DataError:
    """Return the error for a text column of another type, in the engine's word for it."""
    return DataError(
        f"column {text_column!r} of the frame is {kind}, not text", "name another with text_column"
    )


_scorers: "dict[ScorerConfig, Scorer]" = {}
_lock = Lock()


def scorer_here(config: ScorerConfig, threads: int) -> "Scorer":
    """Return this process's scorer, the same one each time; its first use opens the model.

    Args:
        config: What to open.
        threads: CPUs that the engine grants to this process.
    """
    limit_pools(threads)
    from scorer.api.scorer import unopened

    granted = replace(config, spec=replace(config.spec, threads=threads))
    with _lock:
        if granted not in _scorers:
            _scorers[granted] = unopened(granted)
        return _scorers[granted]
