"""Daft: a DataFrame with its label and score, through a batch UDF."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from scorer.engines import Options, Task, no_frame, not_text, scorer_here
from scorer.options import TEXT_COLUMN
from scorer.threads import available_cpus

if TYPE_CHECKING:
    from daft import DataFrame, Series


def score(
    frame: "DataFrame",
    text_column: str = TEXT_COLUMN,
    *,
    processes: int = 1,
    **options: Unpack[Options],
) -> "DataFrame":
    """Return all columns of a frame, then label and score; Daft computes them when it wants to.

    One process is this one; several are Daft's own, each with its model and its share of the CPUs.
    A bundle that is named must lie under the same path on every machine.

    Args:
        frame: With a string column of texts.
        text_column: Its name.
        processes: How many models work at once.
        options: As of `Scorer` and `Scorer.score_frame`.

    Raises:
        DataError: There is no such text column.
        InvalidBundle: The model cannot be used.
        UsageError: It is no frame of Daft, a name that would be added is taken, or an option is
            none or not what it should be.
    """
    import daft

    if not isinstance(frame, daft.DataFrame):
        raise no_frame(frame, "Daft")
    task = Task.of(text_column, options)
    task.check(frame.column_names)
    kind = frame.schema()[text_column].dtype
    if kind != daft.DataType.string():
        raise not_text(text_column, kind)
    text, number = daft.DataType.string(), daft.DataType.float32()
    types = {"label": text, "score": number, "labels": daft.DataType.list(text)}
    kinds = task.columns.kinds
    answers = daft.DataType.struct({name: types[kind] for name, kind in kinds.items()})

    @daft.cls(max_concurrency=processes, use_process=processes > 1)
    class Model:
        @daft.method.batch(return_dtype=answers, unnest=True)  # type: ignore[untyped-decorator]  # not followed
        def score(self, texts: "Series") -> Any:
            return scoring(texts)

    scoring = DaftScoring(task, processes)
    return frame.select(*frame.column_names, Model().score(frame[text_column]))


@dataclass(frozen=True, slots=True)
class DaftScoring:
    """The function that Daft calls with some rows' texts."""

    task: Task
    processes: int  # that share this machine's CPUs

    def __call__(self, texts: "Series") -> Any:
        """Return the appended columns as an array of structs, a row per text."""
        threads = max(1, available_cpus() // self.processes)
        scorer = scorer_here(self.task.config, threads)
        import polars as pl

        task = self.task
        column = pl.Series("text", pl.from_arrow(texts.to_arrow()), dtype=pl.String)
        frame = scorer.score_frame(
            column.to_frame(task.text_column),
            task.text_column,
            all_scores=task.all_scores,
            label_column=task.label_column,
            score_column=task.score_column,
            labels_column=task.labels_column,
            threshold=task.threshold,
        )
        return frame.select(task.columns.names).to_struct().to_arrow()
