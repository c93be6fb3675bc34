"""Inputs and outputs that are URLs; of this package local files load nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scorer.remote.urls import Url

if TYPE_CHECKING:
    from scorer.inference.handle import ModelHandle
    from scorer.run_options import Outcome, RunOptions


class Pipeline(Protocol):
    """`scorer.pipeline`, or what stands in its place."""

    def discover(self, options: "RunOptions", /) -> Any:
        """Return what a run is asked to score."""

    def run(
        self,
        options: "RunOptions",
        found: Any,
        /,
        *,
        model: "ModelHandle | None",
        progress: Callable[[int], object],
    ) -> Iterator["Outcome"]:
        """Bring each output up to date and yield what became of it."""


def pipeline_for(
    inputs: tuple[Path | Url, ...], output: Path | Url | None, work: Path | None
) -> tuple[Pipeline, tuple[Path, ...], Path | None]:
    """Return the pipeline for these inputs, and the paths and the output that its options name."""
    paths = tuple(each for each in inputs if isinstance(each, Path))
    if len(paths) == len(inputs) and not isinstance(output, Url):
        from scorer import pipeline

        return pipeline, paths, output
    from scorer.remote.hallway import Remote

    return Remote(inputs, output, work), (), None
