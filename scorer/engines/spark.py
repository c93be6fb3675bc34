"""Spark: a DataFrame with its label and score, through `mapInArrow`."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Unpack

from scorer.engines import Options, Task, no_frame, not_text
from scorer.options import TEXT_COLUMN

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from scorer.formats.record_batches import RecordBatch


def score(
    frame: "DataFrame", text_column: str = TEXT_COLUMN, **options: Unpack[Options]
) -> "DataFrame":
    """Return all columns of a frame, then label and score; Spark computes them when it wants to.

    Every Python process of Spark opens the model once, with the CPUs that Spark grants to a
    task (`spark.task.cpus`). A bundle that is named is shipped to each executor once; the embedded
    one is there already, where tweetscore is installed.

    Args:
        frame: With a string column of texts.
        text_column: Its name.
        options: As of `Scorer` and `Scorer.score_frame`.

    Raises:
        DataError: There is no such text column.
        InvalidBundle: The model cannot be used.
        UsageError: It is no frame of Spark, a name that would be added is taken, or an option is
            none or not what it should be.
    """
    from pyspark.sql.types import ArrayType, FloatType, StringType, StructType

    if not hasattr(frame, "mapInArrow"):  # both of Spark's kinds of DataFrame have it
        raise no_frame(frame, "Spark")
    task = Task.of(text_column, options)
    _check(frame, task)
    types = {"label": StringType(), "score": FloatType(), "labels": ArrayType(StringType())}
    schema = StructType(list(frame.schema.fields))
    for name, kind in task.columns.kinds.items():
        schema = schema.add(name, types[kind])
    shipped = None
    if task.config.spec.model is not None:
        shipped = f"tweetscore-{task.config.digest}"
        archive = _packed(task.config.spec.model, shipped)
        frame.sparkSession.sparkContext.addArchive(f"{archive}#{shipped}")
    return frame.mapInArrow(SparkScoring(task, shipped), schema)


def _check(frame: "DataFrame", task: Task) -> None:
    """Check the task against the frame's columns, whose names Spark compares without case."""
    from pyspark.sql.types import StringType

    lower = {name.lower() for name in frame.columns}
    alike = [name for name in task.columns.names if name.lower() in lower]
    task.check([*frame.columns, *alike])
    kind = frame.schema[task.text_column].dataType
    if not isinstance(kind, StringType):
        raise not_text(task.text_column, kind.simpleString())


@dataclass(frozen=True, slots=True)
class SparkScoring:
    """The function that `mapInArrow` calls, once for each partition."""

    task: Task
    shipped: str | None = None  # the name under which the bundle came to the executor

    def __call__(self, batches: "Iterable[RecordBatch]") -> "Iterator[RecordBatch]":
        """Yield the partition's batches with their answers."""
        from pyspark import SparkFiles, TaskContext

        context: Any = TaskContext.get()  # there is one wherever Spark calls a function
        task = self.task
        if self.shipped is not None:
            here = Path(SparkFiles.get(self.shipped))
            config = replace(task.config, spec=replace(task.config.spec, model=here))
            task = replace(task, config=config)
        return task.score_batches(batches, threads=context.cpus())


@cache
def _packed(bundle: Path, name: str) -> str:
    """Return a zip of the bundle, which Spark may fetch as long as this process lives."""
    return shutil.make_archive(str(Path(_folder().name) / name), "zip", bundle)


@cache
def _folder() -> "TemporaryDirectory[str]":
    return TemporaryDirectory(prefix="tweetscore-")
