"""The door for inputs and outputs that are URLs; nothing behind it is loaded for local files."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scorer.remote.urls import Url

if TYPE_CHECKING:
    from scorer.inference.handle import ModelHandle
    from scorer.run_options import Outcome, RunOptions


class Hallway(Protocol):
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


def hallway_for(
    inputs: tuple[Path | Url, ...], output: Path | Url | None, work: Path | None
) -> tuple[Hallway, tuple[Path, ...], Path | None]:
    """Return who brings inputs to outputs, and those that are files, for the options of the run."""
    paths = tuple(each for each in inputs if isinstance(each, Path))
    if len(paths) == len(inputs) and not isinstance(output, Url):
        from scorer import pipeline

        return pipeline, paths, output
    from scorer.remote.hallway import Remote

    return Remote(inputs, output, work), (), None
