"""Where a run is computed: on this box, or on a Ray cluster."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from scorer.errors import UsageError

if TYPE_CHECKING:
    from scorer.run_options import Outcome

Scoring = Callable[..., "Iterator[Outcome]"]  # as scorer.pipeline.run


def check_call(engine: str, files: tuple[Path | None, ...], *, dry_run: bool) -> None:
    """Raise UsageError for what an engine cannot do.

    Args:
        engine: local or ray.
        files: All inputs and the output, as they were named.
        dry_run: Whether nothing is to be scored.
    """
    if engine == "ray":
        if dry_run:
            raise UsageError("--dry-run looks at this box only", "leave --engine out")
        if Path("-") in files:
            raise UsageError("--engine ray reads and writes files, no streams", "name files")
        return
    source = click.get_current_context().get_parameter_source("ray_address")
    if source is ParameterSource.COMMANDLINE:
        raise UsageError("--ray-address is for --engine ray", "give both or neither")


def scoring(engine: str, ray_address: str | None) -> Scoring:
    """Return what brings the inputs to their outputs."""
    if engine == "ray":
        from scorer.engines import ray

        return partial(ray.run, address=ray_address)
    from scorer import pipeline

    return pipeline.run
