"""Where a run is computed: on this box, from and to files or URLs, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.errors import UsageError

if TYPE_CHECKING:
    from scorer.remote.urls import Url
    from scorer.run_options import Outcome, RunOptions


@dataclass(frozen=True, slots=True)
class Engine:
    """Who finds the inputs of a run, and brings them to their outputs."""

    discover: "Callable[[RunOptions], Any]"
    run: "Callable[..., Iterator[Outcome]]"  # of options, what was found, model and progress


def check_call(engine: str, places: tuple[object, ...], *, dry_run: bool) -> None:
    """Raise UsageError for what an engine cannot do.

    Args:
        engine: local or ray.
        places: All inputs and the output, as they were named.
        dry_run: Whether nothing is to be scored.
    """
    if engine == "ray":
        if dry_run:
            raise UsageError("--dry-run looks at this box only", "leave --engine out")
        if Path("-") in places or not all(isinstance(each, Path | None) for each in places):
            raise UsageError(
                "--engine ray reads and writes files, no streams and no URLs",
                "name files on a file system that all nodes see",
            )
        return
    source = click.get_current_context().get_parameter_source("ray_address")
    if source is ParameterSource.COMMANDLINE:
        raise UsageError("--ray-address is for --engine ray", "give both or neither")


def chosen(
    engine: str,
    ray_address: str | None,
    inputs: "tuple[Path | Url, ...]",
    output: "Path | Url | None",
    work_dir: Path | None,
) -> tuple[Engine, tuple[Path, ...], Path | None]:
    """Return the engine, and those of the inputs and output that are files, for its options.

    What URLs or Ray need is loaded only where it is asked for.
    """
    from scorer import pipeline

    paths = tuple(each for each in inputs if isinstance(each, Path))
    if len(paths) < len(inputs) or not isinstance(output, Path | None):
        from scorer.remote.hallway import Remote

        remote = Remote(inputs, output, work_dir)
        return Engine(remote.discover, remote.run), (), None
    if engine == "local":
        return Engine(pipeline.discover, pipeline.run), paths, output
    from scorer.engines import ray

    def run(*what: Any, model: object, **how: Any) -> "Iterator[Outcome]":
        return ray.run(*what, address=ray_address, **how)  # its actors have models of their own

    return Engine(pipeline.discover, run), paths, output
