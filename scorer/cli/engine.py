"""Where a run is computed: on this box, from and to files or URLs, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.streams import keep
from scorer.errors import UsageError

if TYPE_CHECKING:
    from scorer.remote.urls import Url
    from scorer.run_options import Outcome, RunOptions


@dataclass(frozen=True, slots=True)
class Engine:
    """Who finds the inputs of a run, and brings them to their outputs."""

    discover: "Callable[[RunOptions], Any]"
    run: "Callable[..., Iterator[Outcome]]"  # of the options and what was found


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
        return Engine(remote.discover, _with_model(remote.run)), (), None
    if engine == "local":
        return Engine(pipeline.discover, _with_model(pipeline.run)), paths, output
    from scorer.engines import ray

    return Engine(pipeline.discover, partial(ray.run, address=ray_address)), paths, output


def _with_model(run: "Callable[..., Iterator[Outcome]]") -> "Callable[..., Iterator[Outcome]]":
    """Let a run use a model that is kept when it has ended.

    To take it apart takes OpenVINO 70 ms, and the process ends without.
    """

    def with_model(options: "RunOptions", found: Any, **how: Any) -> "Iterator[Outcome]":
        from scorer.inference.handle import ModelHandle

        model = ModelHandle.of(options.model_spec)
        keep(model)
        return run(options, found, model=model, **how)

    return with_model
