"""Where a run is computed: on this box, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from scorer.cli.streams import keep
from scorer.errors import UsageError

if TYPE_CHECKING:
    from scorer.remote import Pipeline
    from scorer.run_options import Outcome, RunOptions


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


def chosen(engine: str, ray_address: str | None, local: "Pipeline") -> "Here | OnRay":
    """Return the pipeline that brings the inputs to their outputs."""
    return Here(local) if engine == "local" else OnRay(ray_address)


@dataclass(frozen=True, slots=True)
class Here:
    """The pipeline of this box.

    Its model is kept when its run has ended: to take it apart takes OpenVINO 70 ms, and the
    process ends without.
    """

    pipeline: "Pipeline"

    def discover(self, options: "RunOptions", /) -> Any:
        """Return what a run is asked to score."""
        return self.pipeline.discover(options)

    def run(
        self, options: "RunOptions", found: Any, /, *, progress: Callable[[int], object]
    ) -> "Iterator[Outcome]":
        """Bring each output up to date and yield what became of it."""
        from scorer.inference.handle import ModelHandle

        model = ModelHandle.of(options.model_spec)
        keep(model)
        return self.pipeline.run(options, found, model=model, progress=progress)


@dataclass(frozen=True, slots=True)
class OnRay:
    """The pipeline of `scorer.engines.ray`."""

    address: str | None

    def discover(self, options: "RunOptions", /) -> Any:
        """Return the files that a run is asked to score."""
        from scorer.pipeline import discover

        return discover(options)

    def run(
        self, options: "RunOptions", found: Any, /, *, progress: Callable[[int], object]
    ) -> "Iterator[Outcome]":
        """Bring each output up to date and yield what became of it."""
        from scorer.engines import ray

        return ray.run(options, found, address=self.address, progress=progress)
